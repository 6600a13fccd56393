package io.kvcache.tiers;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.BlockKey;
import io.kvcache.BlockNote;
import io.kvcache.Retention;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.agrona.concurrent.CachedEpochClock;
import org.agrona.concurrent.CachedNanoClock;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DiskStoreTest {
    private static final long BLOCK_BYTES = 4096;
    private static final long SLOT_BYTES = 8192;
    private static final int SLOTS = 8;
    private static final long SEGMENT_BYTES = 4096 + SLOTS * SLOT_BYTES;

    @TempDir
    Path directory;

    private final CachedEpochClock epochClock = new CachedEpochClock();
    private final CachedNanoClock nanoClock = new CachedNanoClock();

    private DiskOptions options(int segments) {
        return DiskOptions.of(segments * SEGMENT_BYTES)
                .withSegmentBytes(SEGMENT_BYTES)
                .withEpochClock(epochClock)
                .withNanoClock(nanoClock);
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void shouldFindWhatItHasStoredAlsoAfterOpeningAgain(boolean systemCalls) throws IOException {
        BlockNote note = new BlockNote(true, Retention.DEFAULT.withPriority(7).withTtl(Duration.ofHours(1)), 5);
        BlockKey key = Blocks.key("a", 1);
        try (DiskStore store = DiskStore.open(directory, options(2), files(systemCalls))) {
            assertNull(Blocks.loadNote(store, key, BLOCK_BYTES));
            assertTrue(store.store(key, note, Blocks.block(key, BLOCK_BYTES)));
            assertEquals(note, Blocks.loadNote(store, key, BLOCK_BYTES));
        }
        try (DiskStore store = DiskStore.open(directory, options(2), files(systemCalls))) {
            assertEquals(note, Blocks.loadNote(store, key, BLOCK_BYTES));
            assertEquals(1, store.stats().blocks());
            assertEquals(0, store.stats().corrupt());
        }
    }

    private static FileAccess files(boolean systemCalls) {
        return systemCalls ? new NativeFileAccess() : new ChannelFileAccess();
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 4095, 4097, 300_000, 1 << 20})
    void shouldHoldBlocksOfAnySizeInAnyMemory(long bytes) throws IOException {
        BlockKey key = Blocks.key("a", 1);
        byte[] onHeap = new byte[(int) bytes];
        MemorySegment heap = MemorySegment.ofArray(onHeap).copyFrom(Blocks.block(key, bytes));
        try (DiskStore store = DiskStore.open(directory, DiskOptions.of(8 << 20))) {
            assertTrue(store.store(key, BlockNote.DEFAULT, heap.asReadOnly()));
            heap.fill((byte) 0);
            assertEquals(BlockNote.DEFAULT, store.load(key, heap));
            assertEquals(-1, heap.mismatch(Blocks.block(key, bytes)));
            assertTrue(Blocks.load(store, key, bytes));
        }
    }

    @Test
    void shouldSayHowManyBlocksOfAPathItHolds() throws IOException {
        List<BlockKey> path =
                IntStream.range(0, 5).mapToObj(i -> Blocks.key("a", i)).toList();
        try (DiskStore store = DiskStore.open(directory, options(2))) {
            assertEquals(0, store.held(path));
            for (int i : new int[] {0, 1, 3}) {
                Blocks.store(store, path.get(i), BLOCK_BYTES);
            }
            assertEquals(2, store.held(path));
            assertEquals(0, store.held(List.of()));
        }
    }

    @Test
    void shouldEvictWhatWasUsedLeastRecently() throws IOException {
        try (DiskStore store = DiskStore.open(directory, options(2))) {
            for (int i = 0; i < 2 * SLOTS; i++) {
                assertTrue(Blocks.store(store, Blocks.key("a", i), BLOCK_BYTES));
            }
            assertEquals(0, store.stats().evicted());
            assertTrue(Blocks.load(store, Blocks.key("a", 0), BLOCK_BYTES));
            assertTrue(Blocks.store(store, Blocks.key("a", 1), BLOCK_BYTES));
            for (int i = 0; i < 2; i++) {
                assertTrue(Blocks.store(store, Blocks.key("b", i), BLOCK_BYTES));
            }
            assertEquals(2, store.stats().evicted());
            assertEquals(2 * SEGMENT_BYTES, store.stats().usedBytes());
            for (int i = 0; i < 2 * SLOTS; i++) {
                assertEquals(i != 2 && i != 3, Blocks.load(store, Blocks.key("a", i), BLOCK_BYTES), "block " + i);
            }
        }
        try (var paths = Files.list(directory)) {
            assertEquals(2, paths.filter(SegmentNames::isOurs).count());
        }
    }

    @Test
    void shouldKnowTheOrderOfStoringAfterOpeningAgain() throws IOException {
        try (DiskStore store = DiskStore.open(directory, options(2))) {
            for (int i = 0; i < 2 * SLOTS; i++) {
                Blocks.store(store, Blocks.key("a", i), BLOCK_BYTES);
            }
            store.remove(Blocks.key("a", 0));
            store.remove(Blocks.key("a", 9));
            Blocks.store(store, Blocks.key("a", 0), BLOCK_BYTES);
            Blocks.store(store, Blocks.key("a", 9), BLOCK_BYTES);
        }
        try (DiskStore store = DiskStore.open(directory, options(2))) {
            for (int i = 0; i < 2 * SLOTS - 2; i++) {
                Blocks.store(store, Blocks.key("b", i), BLOCK_BYTES);
            }
            for (int i = 0; i < 2 * SLOTS; i++) {
                assertEquals(i == 0 || i == 9, Blocks.load(store, Blocks.key("a", i), BLOCK_BYTES), "block " + i);
            }
        }
    }

    @Test
    void shouldDeleteASegmentOfAnotherShapeWhenThereIsNoSlot() throws IOException {
        long otherBytes = 3 * BLOCK_BYTES;
        try (DiskStore store = DiskStore.open(directory, options(2))) {
            for (int i = 0; i < 2 * SLOTS; i++) {
                Blocks.store(store, Blocks.key("a", i), BLOCK_BYTES);
            }
            Blocks.load(store, Blocks.key("a", 0), BLOCK_BYTES);
            assertTrue(Blocks.store(store, Blocks.key("b", 0), otherBytes));
            assertTrue(Blocks.load(store, Blocks.key("b", 0), otherBytes));
            assertFalse(Blocks.load(store, Blocks.key("a", SLOTS), BLOCK_BYTES));
            assertTrue(Blocks.load(store, Blocks.key("a", 1), BLOCK_BYTES));
            assertTrue(store.stats().usedBytes() <= 2 * SEGMENT_BYTES);
            assertEquals(SLOTS, store.stats().evicted());
        }
        try (DiskStore store = DiskStore.open(directory, options(2))) {
            assertTrue(Blocks.load(store, Blocks.key("b", 0), otherBytes));
            assertEquals(SLOTS + 1, store.stats().blocks());
        }
    }

    @Test
    void shouldShrinkToASmallerBound() throws IOException {
        try (DiskStore store = DiskStore.open(directory, options(3))) {
            for (int i = 0; i < 3 * SLOTS; i++) {
                Blocks.store(store, Blocks.key("a", i), BLOCK_BYTES);
            }
        }
        try (DiskStore store = DiskStore.open(directory, options(2))) {
            assertEquals(2 * SEGMENT_BYTES, store.stats().usedBytes());
            assertFalse(Blocks.load(store, Blocks.key("a", 0), BLOCK_BYTES));
            assertTrue(Blocks.load(store, Blocks.key("a", SLOTS), BLOCK_BYTES));
        }
    }

    @Test
    void shouldForgetWhatIsExpired() throws IOException {
        BlockKey key = Blocks.key("a", 1);
        BlockNote note = new BlockNote(false, Retention.DEFAULT.withTtl(Duration.ofNanos(1_500_000)), 10);
        epochClock.update(10);
        try (DiskStore store = DiskStore.open(directory, options(1))) {
            assertTrue(store.store(key, note, Blocks.block(key, BLOCK_BYTES)));
            epochClock.update(11);
            assertTrue(Blocks.load(store, key, BLOCK_BYTES));
            epochClock.update(12);
            assertEquals(0, store.held(List.of(key)));
            assertFalse(Blocks.load(store, key, BLOCK_BYTES));
            assertFalse(Blocks.load(store, key, BLOCK_BYTES));
            assertEquals(1, store.stats().expired());
            assertEquals(0, store.stats().blocks());
            assertFalse(store.store(key, note, Blocks.block(key, BLOCK_BYTES)));
        }
        try (DiskStore store = DiskStore.open(directory, options(1))) {
            assertEquals(0, store.stats().blocks());
        }
    }

    @Test
    void shouldStoreAnewWhatWouldExpireAtAnotherTime() throws IOException {
        BlockKey key = Blocks.key("a", 1);
        Retention retention = Retention.DEFAULT.withTtl(Duration.ofMillis(10));
        try (DiskStore store = DiskStore.open(directory, options(1))) {
            store.store(key, new BlockNote(false, retention, 0), Blocks.block(key, BLOCK_BYTES));
            store.store(key, new BlockNote(false, retention, 5), Blocks.block(key, BLOCK_BYTES));
            assertEquals(1, store.stats().blocks());
            epochClock.update(12);
            assertTrue(Blocks.load(store, key, BLOCK_BYTES));
        }
    }

    @Test
    void shouldDeclineWhatDoesNotFit() throws IOException {
        BlockKey large = Blocks.key("a", 1);
        BlockKey longName = Blocks.key("n".repeat(3000), 1);
        BlockKey manyTokens = BlockKey.of("a", large.digest(), new int[100_000]);
        try (DiskStore store = DiskStore.open(directory, options(1))) {
            assertTrue(Blocks.store(store, Blocks.key("a", 0), BLOCK_BYTES));
            assertFalse(Blocks.store(store, large, SEGMENT_BYTES));
            assertTrue(Blocks.load(store, Blocks.key("a", 0), BLOCK_BYTES), "made room for what cannot be held");
            assertFalse(Blocks.store(store, longName, BLOCK_BYTES));
            assertFalse(Blocks.store(store, manyTokens, BLOCK_BYTES));
            assertTrue(Blocks.store(store, BlockKey.of("a", large.digest(), new int[1500]), BLOCK_BYTES));
            assertEquals(3, store.stats().declined());
        }
    }

    @Test
    void shouldRemoveForGood() throws IOException {
        BlockKey key = Blocks.key("a", 1);
        try (DiskStore store = DiskStore.open(directory, options(1))) {
            Blocks.store(store, key, BLOCK_BYTES);
            store.remove(key);
            store.remove(key);
            assertFalse(Blocks.load(store, key, BLOCK_BYTES));
        }
        try (DiskStore store = DiskStore.open(directory, options(1))) {
            assertFalse(Blocks.load(store, key, BLOCK_BYTES));
        }
    }

    @Test
    void shouldSyncWhatIsToSurviveALossOfPower() throws IOException {
        List<FaultyFiles.Kind> calls = new ArrayList<>();
        FaultyFiles files = new FaultyFiles(new NativeFileAccess());
        try (DiskStore store = DiskStore.open(directory, options(1).withSync(true), files)) {
            Blocks.store(store, Blocks.key("a", 1), BLOCK_BYTES);
            files.behave((call, bytes) -> {
                calls.add(call.kind());
                return bytes;
            });
            store.remove(Blocks.key("a", 1));
            assertEquals(List.of(FaultyFiles.Kind.WRITE, FaultyFiles.Kind.SYNC), calls);
            calls.clear();
            store.erase("a");
            assertEquals(
                    List.of(
                            FaultyFiles.Kind.WRITE,
                            FaultyFiles.Kind.WRITE,
                            FaultyFiles.Kind.SYNC,
                            FaultyFiles.Kind.SYNC_DIRECTORY),
                    calls);
        }
    }

    @Test
    void shouldRefuseARoot() throws IOException {
        BlockKey root = BlockKey.root(
                "model",
                io.kvcache.KvLayout.builder().layers(1).kvHeads(1).headSize(64).build(),
                "a",
                List.of());
        try (DiskStore store = DiskStore.open(directory, options(1))) {
            assertEquals(
                    "a root is no block: " + root,
                    assertThrows(IllegalArgumentException.class, () -> store.remove(root))
                            .getMessage());
        }
    }

    @Test
    void shouldFailAfterClosing() throws IOException {
        BlockKey key = Blocks.key("a", 1);
        DiskStore store = DiskStore.open(directory, options(1));
        store.close();
        store.close();
        assertThrows(IOException.class, () -> store.held(List.of(key)));
        assertThrows(IOException.class, () -> Blocks.load(store, key, BLOCK_BYTES));
        assertThrows(IOException.class, () -> Blocks.store(store, key, BLOCK_BYTES));
        assertThrows(IOException.class, () -> store.remove(key));
        assertThrows(IOException.class, () -> store.erase("a"));
    }

    @Test
    void shouldOverwriteTheHeaderBeforeASlotIsReused() throws IOException {
        List<Long> written = new ArrayList<>();
        FaultyFiles files = new FaultyFiles(new NativeFileAccess());
        try (DiskStore store = DiskStore.open(directory, DiskOptions.of(4096 + SLOT_BYTES), files)) {
            Blocks.store(store, Blocks.key("a", 1), BLOCK_BYTES);
            files.behave((call, bytes) -> {
                written.add(call.position());
                return bytes;
            });
            Blocks.store(store, Blocks.key("a", 2), BLOCK_BYTES);
        }
        long block = 4096;
        long header = block + BLOCK_BYTES;
        assertEquals(List.of(header, block, header, 0L), written); // the last one closes the file
    }

    @Test
    void shouldTellKeysApartThatLookAlikeInMemory() throws IOException {
        byte[] digest = new byte[BlockKey.DIGEST_BYTES];
        int[][] alike = tokensThatLookAlike();
        BlockKey one = BlockKey.of("a", digest, alike[0]);
        BlockKey other = BlockKey.of("a", digest, alike[1]);
        assertEquals(KeyPrint.of(one), KeyPrint.of(other));
        try (DiskStore store = DiskStore.open(directory, options(1))) {
            Blocks.store(store, one, BLOCK_BYTES);
            assertFalse(Blocks.load(store, other, BLOCK_BYTES));
            assertTrue(Blocks.load(store, one, BLOCK_BYTES));
            assertEquals(0, store.stats().corrupt());
        }
    }

    /**
     * Searches tokens with one hash: the third token makes up for what differs after two, if an int is enough for
     * that.
     */
    private static int[][] tokensThatLookAlike() {
        SplittableRandom random = new SplittableRandom(1);
        Map<Long, int[]> tokensByUpperBits = new HashMap<>();
        while (true) {
            int[] tokens = {random.nextInt(), random.nextInt(), 5};
            long hash = hash(tokens, 2);
            int[] before = tokensByUpperBits.put(hash >> 31, tokens);
            if (before != null) {
                tokens[2] ^= (int) (hash ^ hash(before, 2));
                return new int[][] {before, tokens};
            }
        }
    }

    private static long hash(int[] tokens, int count) {
        long hash = tokens.length;
        for (int i = 0; i < count; i++) {
            hash = (hash ^ tokens[i]) * 0x9e3779b97f4a7c15L;
            hash ^= hash >>> 32;
        }
        return hash;
    }

    @Test
    void shouldSyncWhatWasOverwrittenBeforeItErases() throws IOException {
        List<FaultyFiles.Kind> calls = new ArrayList<>();
        FaultyFiles files = new FaultyFiles(new NativeFileAccess());
        DiskOptions one = DiskOptions.of(4096 + SLOT_BYTES);
        List<FaultyFiles.Kind> synced = List.of(FaultyFiles.Kind.SYNC, FaultyFiles.Kind.SYNC_DIRECTORY);
        try (DiskStore store = DiskStore.open(directory, one, files)) {
            Blocks.store(store, Blocks.key("a", 1), BLOCK_BYTES);
            Blocks.store(store, Blocks.key("b", 1), BLOCK_BYTES); // in its place
            files.behave((call, bytes) -> {
                calls.add(call.kind());
                return bytes;
            });
            store.erase("a");
            assertEquals(synced, calls);
            calls.clear();
            store.erase("a");
            assertEquals(List.of(FaultyFiles.Kind.SYNC_DIRECTORY), calls);
            Blocks.store(store, Blocks.key("b", 2), BLOCK_BYTES);
        }
        files.behave(FaultyFiles.Behaviour.WELL);
        try (DiskStore store = DiskStore.open(directory, one, files)) {
            calls.clear();
            files.behave((call, bytes) -> {
                calls.add(call.kind());
                if (call.kind() == FaultyFiles.Kind.SYNC && calls.size() == 1) {
                    throw new IOException("errno=5");
                }
                return bytes;
            });
            String message =
                    assertThrows(IOException.class, () -> store.erase("a")).getMessage();
            assertEquals(
                    "namespace may still be there: namespace=a in [file=" + directory.resolve(SegmentNames.of(0)) + "]",
                    message);
            calls.clear();
            calls.add(FaultyFiles.Kind.LIST); // any: the next sync succeeds
            store.erase("a");
            assertEquals(synced, calls.subList(1, calls.size()));
            store.verify();
        }
    }

    @Test
    void shouldGiveTheRoomOfAnotherShapeToTheOneThatIsUsed() throws IOException {
        long otherBytes = 3 * BLOCK_BYTES;
        long otherSlots = 4; // in a segment
        try (DiskStore store = DiskStore.open(directory, options(4))) {
            for (int i = 0; i < 4 * SLOTS; i++) {
                Blocks.store(store, Blocks.key("a", i), BLOCK_BYTES);
            }
            for (int i = 0; i < 3 * otherSlots; i++) {
                assertTrue(Blocks.store(store, Blocks.key("b", i), otherBytes));
                assertTrue(Blocks.load(store, Blocks.key("a", 3 * SLOTS), BLOCK_BYTES)); // in the last segment
            }
            for (int i = 0; i < 3 * otherSlots; i++) {
                assertTrue(Blocks.load(store, Blocks.key("b", i), otherBytes), "block " + i);
            }
            assertEquals(3 * SLOTS, store.stats().evicted());
            for (int i = 0; i < 3 * otherSlots; i++) {
                assertTrue(Blocks.load(store, Blocks.key("a", 3 * SLOTS), BLOCK_BYTES));
                assertTrue(Blocks.store(store, Blocks.key("c", i), otherBytes));
            }
            assertTrue(Blocks.load(store, Blocks.key("a", 3 * SLOTS + 1), BLOCK_BYTES), "its segment is in use");
            assertEquals(3 * SLOTS + 3 * otherSlots, store.stats().evicted());
            for (int i = 0; i < 4 * otherSlots; i++) {
                assertTrue(Blocks.store(store, Blocks.key("d", i), otherBytes));
            }
            assertFalse(Blocks.load(store, Blocks.key("a", 3 * SLOTS + 1), BLOCK_BYTES));
            assertEquals(4, store.stats().segments());
            assertEquals(4 * otherSlots, store.stats().blocks());
            store.verify();
        }
    }
}
