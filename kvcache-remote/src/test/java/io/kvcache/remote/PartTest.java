package io.kvcache.remote;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.BlockKey;
import io.kvcache.localredis.LocalRedis;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** A block is cut so that its values waste no memory of a server. */
final class PartTest {
    private static final int HEADER_BYTES = 400;
    private static final int PART_BYTES = 1 << 20;
    private static final int SMALL = 16 << 10;

    @Test
    void shouldCoverABlockWithoutGapOrOverlap() {
        Random random = new Random(5);
        for (int round = 0; round < 10_000; round++) {
            long block = 1 + (random.nextLong() >>> 1) % (1L << random.nextInt(1, 27));
            int header = 112 + random.nextInt(random.nextInt(10) == 0 ? 1 << 20 : 1000);
            int largest = 1 + random.nextInt(1 << random.nextInt(8, 22));
            if (block / largest > 10_000) {
                continue;
            }
            List<Part> parts = Part.of(block, header, largest);
            long at = 0;
            for (Part part : parts) {
                assertEquals(at, part.from());
                assertTrue(part.bytes() > 0 && part.bytes() <= largest, part.toString());
                assertEquals(parts.size(), part.count());
                at += part.bytes();
            }
            assertEquals(block, at);
        }
    }

    @Test
    void shouldCutNothingThatIsSmall() {
        assertEquals(
                1, Part.of(SMALL - HEADER_BYTES - 1, HEADER_BYTES, PART_BYTES).size());
        assertEquals(3, Part.of(3 * 1024, HEADER_BYTES, 1024).size());
    }

    /** The server itself tells what values take. */
    @Test
    void shouldTakeLittleMoreMemoryThanTheBlock() throws IOException {
        Duration patience = Duration.ofSeconds(30);
        try (LocalRedis server = LocalRedis.start();
                RemoteStore store =
                        RemoteStore.connect(RemoteOptions.of(server.uri()).withDeadlines(patience, patience))) {
            for (long bytes :
                    new long[] {32 << 10, 64 << 10, 256 << 10, 320 << 10, 1 << 20, 3 << 19, 2 << 20, 5 << 20}) {
                BlockKey key = Blocks.key("a", (int) (bytes >> 10));
                assertTrue(Blocks.store(store, key, bytes));
                assertTrue(Blocks.load(store, key, bytes));
                long used = 0;
                for (String name : server.command("KEYS", "*").lines().toList()) {
                    used += Long.parseLong(server.command("MEMORY", "USAGE", name));
                }
                assertTrue(used >= bytes && used < 1.13 * bytes + 2000, "bytes=" + bytes + " used=" + used);
                server.command("FLUSHALL");
            }
        }
    }
}
