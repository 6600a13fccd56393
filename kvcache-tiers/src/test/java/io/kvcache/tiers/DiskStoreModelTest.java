package io.kvcache.tiers;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.BlockKey;
import io.kvcache.BlockNote;
import io.kvcache.Retention;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.agrona.concurrent.CachedEpochClock;
import org.agrona.concurrent.CachedNanoClock;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Random calls beside a map: what a store finds must be what the map has; it may miss. */
class DiskStoreModelTest {
    private static final int OPERATIONS = 60_000;
    private static final int NUMBERS = 40;
    private static final String[] NAMESPACES = {"a", "b", "", "a\ud800", "a?"}; // the last but one has no UTF-8
    private static final long SEGMENT_BYTES = 4096 + 8 * 8192;

    @TempDir
    Path directory;

    private final Map<BlockKey, BlockNote> model = new HashMap<>();
    private final CachedEpochClock epochClock = new CachedEpochClock();
    private SplittableRandom random = new SplittableRandom();
    private int digests;
    private long hits;

    @ParameterizedTest
    @CsvSource({"1, 1000", "2, 2", "3, 1"})
    void shouldFindWhatAMapHasOrNothing(long seed, int newDigests) throws IOException {
        random = new SplittableRandom(seed);
        digests = newDigests;
        DiskStore store = open();
        for (int i = 0; i < OPERATIONS; i++) {
            int choice = random.nextInt(1000);
            if (choice < 500) {
                load(store);
            } else if (choice < 900) {
                store(store);
            } else if (choice < 980) {
                BlockKey key = key();
                store.remove(key);
                model.remove(key);
            } else if (choice < 988) {
                String namespace = NAMESPACES[random.nextInt(NAMESPACES.length)];
                store.erase(namespace);
                model.keySet().removeIf(key -> key.namespace().equals(namespace));
            } else if (choice < 998) {
                epochClock.update(epochClock.time() + random.nextInt(50));
            } else {
                assertEquals(0, store.stats().corrupt());
                store.verify();
                store.close();
                store = open();
            }
        }
        assertTrue(store.stats().usedBytes() <= store.stats().capacityBytes());
        store.close();
        assertTrue(hits > OPERATIONS / 20, "hits=" + hits);
    }

    private DiskStore open() throws IOException {
        DiskOptions options = DiskOptions.of(12 * SEGMENT_BYTES)
                .withSegmentBytes(SEGMENT_BYTES)
                .withEpochClock(epochClock)
                .withNanoClock(new CachedNanoClock());
        return DiskStore.open(directory, options, new FaultyFiles(new NativeFileAccess()));
    }

    private BlockKey key() {
        int number = random.nextInt(NUMBERS);
        return Blocks.key(NAMESPACES[random.nextInt(NAMESPACES.length)], number, number % digests);
    }

    private static long blockBytes(BlockKey key) {
        return key.tokens()[0] % 3 == 0 ? 5000 : 4096; // two shapes
    }

    private void store(DiskStore store) throws IOException {
        BlockKey key = key();
        Retention retention = random.nextBoolean()
                ? Retention.DEFAULT
                : Retention.DEFAULT.withTtl(Duration.ofMillis(1 + random.nextInt(200)));
        BlockNote note =
                new BlockNote(retention.ttlNanos() == 0, retention, retention.ttlNanos() == 0 ? 0 : epochClock.time());
        if (store.store(key, note, Blocks.block(key, blockBytes(key)))) {
            model.put(key, note);
        }
    }

    private void load(DiskStore store) throws IOException {
        BlockKey key = key();
        int held = store.held(List.of(key));
        BlockNote found = Blocks.loadNote(store, key, blockBytes(key));
        assertEquals(held, found == null ? 0 : 1);
        if (found != null) {
            BlockNote known = model.get(key);
            assertNotNull(known, "found what was taken away: " + key);
            assertEquals(BlockHeader.expiryMillis(known), BlockHeader.expiryMillis(found));
            assertTrue(!found.isExpired(epochClock.time()));
            hits++;
        }
    }
}
