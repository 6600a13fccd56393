package io.kvcache.tiers;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.BlockKey;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Processes are killed while they write. */
class KilledProcessTest {
    private static final int KILLS = 50;
    private static final int THREADS = 4;
    private static final long BLOCK_BYTES = 48 << 10;
    private static final long SEGMENT_BYTES = 1 << 20;
    private static final int MOST_BLOCKS = 1500; // by thread, in a process

    @TempDir
    Path directory;

    @Test
    void shouldLoseNothingThatWasAcknowledgedAndServeNothingElse() throws Exception {
        SplittableRandom random = new SplittableRandom(7);
        for (int kill = 0; kill < KILLS; kill++) {
            boolean evicts = kill % 2 == 1;
            Path path = directory.resolve("kill-" + kill % 10); // some were killed before
            List<BlockKey> acknowledged = writeAndKill(path, kill, evicts, 1 + random.nextInt(200));
            long start = System.nanoTime();
            try (DiskStore store = DiskStore.open(path, options(evicts))) {
                assertTrue(System.nanoTime() - start < TimeUnit.SECONDS.toNanos(2), "opening took long");
                assertEquals(0, store.stats().recoveringSegments());
                for (BlockKey key : acknowledged) {
                    boolean found = Blocks.load(store, key, BLOCK_BYTES);
                    assertTrue(found || evicts, "lost: " + key);
                }
                for (int number = 0; number < THREADS * MOST_BLOCKS; number += 7) {
                    Blocks.load(store, Blocks.key("kill-" + kill, number), BLOCK_BYTES);
                }
                assertTrue(store.stats().corrupt() <= 1, "more than a segment that was being created");
                store.erase("kill-" + kill); // room for the next process
            }
        }
    }

    private static DiskOptions options(boolean evicts) {
        return DiskOptions.of(evicts ? 4 * SEGMENT_BYTES : 512 * SEGMENT_BYTES)
                .withSegmentBytes(SEGMENT_BYTES)
                .withRecoveryDeadline(Duration.ofSeconds(2));
    }

    private static List<BlockKey> writeAndKill(Path path, int kill, boolean evicts, int after) throws Exception {
        Process process = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-Xmx64m",
                        "-Xshare:auto",
                        "-XX:TieredStopAtLevel=1",
                        "-XX:+UseSerialGC",
                        "--enable-native-access=ALL-UNNAMED",
                        "-cp",
                        System.getProperty("java.class.path"),
                        Writer.class.getName(),
                        path.toString(),
                        "kill-" + kill,
                        Boolean.toString(evicts))
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        List<BlockKey> acknowledged = new ArrayList<>();
        try (BufferedReader lines =
                new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.US_ASCII))) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                if (line.endsWith(".")) { // complete
                    int number = Integer.parseInt(line.substring(0, line.length() - 1));
                    acknowledged.add(Blocks.key("kill-" + kill, number));
                }
                if (acknowledged.size() == after) {
                    process.toHandle().destroyForcibly(); // unlike the process it lets us read on
                }
            }
        } finally {
            process.destroyForcibly().waitFor();
        }
        assertTrue(acknowledged.size() >= after, "acknowledged=" + acknowledged.size());
        return acknowledged;
    }

    /** Stores blocks and says so, in a process of its own. */
    static final class Writer {
        private Writer() {}

        /** Runs until it is killed. */
        public static void main(String[] arguments) throws IOException {
            DiskStore store = DiskStore.open(Path.of(arguments[0]), options(Boolean.parseBoolean(arguments[2])));
            for (int i = 0; i < THREADS; i++) {
                int thread = i;
                new Thread(() -> write(store, arguments[1], thread)).start();
            }
        }

        private static void write(DiskStore store, String namespace, int thread) {
            for (int i = 0; i < MOST_BLOCKS; i++) {
                int number = i * THREADS + thread;
                try {
                    if (Blocks.store(store, Blocks.key(namespace, number), BLOCK_BYTES)) {
                        System.out.println(number + ".");
                    }
                } catch (IOException e) {
                    throw new IllegalStateException(e);
                }
            }
        }
    }
}
