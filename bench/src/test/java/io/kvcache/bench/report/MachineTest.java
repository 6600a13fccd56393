package io.kvcache.bench.report;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.File;
import java.util.Map;
import org.junit.jupiter.api.Test;

final class MachineTest {
    @Test
    void shouldReadVersionsFromTheClassPath() {
        assertEquals(
                Map.of("jmh-core", "1.37", "nd4j-native", "1.0.0-M2.1", "netty-buffer", "4.2.7.Final"),
                Machine.versions(String.join(
                        File.pathSeparator,
                        "/a/target/classes",
                        "/b/jmh-core-1.37.jar",
                        "/c/nd4j-native-1.0.0-M2.1.jar",
                        "netty-buffer-4.2.7.Final.jar")));
    }
}
