package io.kvcache.demo;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.PrintWriter;
import java.io.StringWriter;
import org.junit.jupiter.api.Test;

/** The bar leaves the line that results are printed to. */
final class BatchProgressTest {
    private static final String WIPE = "\r\033[K";

    @Test
    void shouldWipeTheBarOutBeforeAResultAndAtTheEnd() {
        StringWriter terminal = new StringWriter();
        try (BatchProgress progress = new BatchProgress(new PrintWriter(terminal), 1)) {
            progress.ended(() -> terminal.write("result\n"));
        }
        assertTrue(terminal.toString().contains(WIPE + "result\n"), terminal.toString());
        assertTrue(terminal.toString().contains("1/1"), terminal.toString());
        assertTrue(terminal.toString().endsWith(WIPE), terminal.toString());
        for (String line : terminal.toString().split("\r", -1)) {
            assertTrue(line.length() <= 79 + "\033[K".length(), line);
        }
    }
}
