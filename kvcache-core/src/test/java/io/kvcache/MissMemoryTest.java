package io.kvcache;

import static io.kvcache.Thrown.assertRefused;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.agrona.concurrent.NanoClock;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

final class MissMemoryTest {
    private static final long SECOND = TimeUnit.SECONDS.toNanos(1);
    private static final MissOptions ONE_SECOND =
            MissOptions.DEFAULT.withTime(Duration.ofSeconds(1)).withJitter(0);
    private static final KvLayout LAYOUT = KvLayout.builder()
            .layers(1)
            .kvHeads(1)
            .headSize(1)
            .type(KvType.F32)
            .tokensPerBlock(1)
            .build();

    private final AtomicLong time = new AtomicLong(-5 * SECOND); // of a clock with any origin
    private final HeapBlockStore heap = new HeapBlockStore();
    private final BlockStore store = BlockStore.rememberingMisses(heap, ONE_SECOND, time::get);
    private final MemorySegment segment = MemorySegment.ofArray(new byte[8]);

    private static BlockKey key(String namespace, int token) {
        return BlockKey.root("m", LAYOUT, namespace, List.of()).child(new int[] {token}, 0, 1);
    }

    private static BlockKey key(int token) {
        return key("a", token);
    }

    private boolean load(BlockKey key) throws IOException {
        return store.load(key, segment) != null;
    }

    private boolean store(BlockKey key) throws IOException {
        return store.store(key, BlockNote.DEFAULT, segment);
    }

    private void assertAsked(int loads) {
        assertEquals(loads, heap.loads.getAndSet(0), "loads that reached the store");
    }

    // ---- how long ----

    @Test
    void shouldAskOnceUntilTheTimeIsOver() throws IOException {
        assertFalse(load(key(1)));
        time.addAndGet(SECOND - 1);
        assertFalse(load(key(1)));
        assertAsked(1);
        time.addAndGet(1);
        assertFalse(load(key(1)));
        assertAsked(1);
        assertFalse(load(key(1)));
        assertAsked(0);
    }

    @Test
    void shouldCountTheTimeFromTheAnswer() throws IOException {
        heap.next = () -> time.addAndGet(10 * SECOND); // a slow store
        assertFalse(load(key(1)));
        assertFalse(load(key(1)));
        assertAsked(1);
    }

    @Test
    void shouldKnowEachBlockByItself() throws IOException {
        assertFalse(load(key("a", 1)));
        assertFalse(load(key("b", 1)));
        assertFalse(load(key("a", 2)));
        assertAsked(3);
    }

    @Test
    void shouldNotRememberLongerWhenAskedAgain() throws IOException {
        assertFalse(load(key(1)));
        for (int i = 0; i < 10; i++) {
            time.addAndGet(SECOND / 10);
            load(key(1));
        }
        assertAsked(2);
    }

    @Test
    void shouldSpreadTheEndsByJitter() throws IOException {
        int keys = 20_000;
        MissMemory memory = new MissMemory(heap, ONE_SECOND.withJitter(0.2), time::get, 7);
        for (int token = 0; token < keys; token++) {
            memory.load(key(token), segment);
        }
        int[] asked = new int[11]; // [tenths of a second]
        for (int tenth = 1; tenth <= 10; tenth++) {
            time.addAndGet(SECOND / 10);
            heap.loads.set(0);
            for (int token = 0; token < keys; token++) {
                memory.load(key(token), segment);
            }
            asked[tenth] = heap.loads.get();
        }
        assertArrayEquals(new int[8], Arrays.copyOf(asked, 8));
        assertEquals(keys / 2.0, asked[9], keys * 0.02);
        assertEquals(keys / 2.0, asked[10], keys * 0.02);
        assertEquals(keys, asked[8] + asked[9] + asked[10]);
    }

    @Test
    void shouldRememberForGoodWhenTheTimeIsEndless() throws IOException {
        MissOptions endless = ONE_SECOND.withTime(Duration.ofNanos(Long.MAX_VALUE));
        MissMemory memory = new MissMemory(heap, endless, time::get, 7);
        time.addAndGet(SECOND);
        memory.load(key(1), segment);
        time.addAndGet(TimeUnit.DAYS.toNanos(10_000));
        memory.load(key(1), segment);
        assertAsked(1);
    }

    @Test
    void shouldRememberTheNewestWithinItsBound() throws IOException {
        int bound = 1000;
        MissMemory memory = new MissMemory(heap, ONE_SECOND.withMaximumEntries(bound), time::get, 7);
        for (int token = 0; token < 3 * bound; token++) {
            memory.load(key(token), segment);
            assertEquals(Math.min(token + 1, bound), memory.size());
        }
        assertAsked(3 * bound);
        for (int token = 2 * bound; token < 3 * bound; token++) {
            memory.load(key(token), segment);
        }
        assertAsked(0);
        memory.load(key(2 * bound - 1), segment);
        assertAsked(1);
    }

    // ---- what is stored is found ----

    @Test
    void shouldFindABlockAtOnceWhenItIsStored() throws IOException {
        byte[] bytes = {1, 2, 3, 4, 5, 6, 7, 8};
        assertFalse(load(key(1)));
        assertTrue(store.store(key(1), BlockNote.DEFAULT, MemorySegment.ofArray(bytes)));
        assertTrue(load(key(1)));
        assertArrayEquals(bytes, (byte[]) segment.heapBase().orElseThrow());
        assertAsked(2);
    }

    @Test
    void shouldNotRememberAMissWhenTheBlockIsStoredMeanwhile() throws IOException {
        heap.next = () -> assertTrue(store(key(1)));
        assertFalse(load(key(1)));
        assertTrue(load(key(1)));
    }

    @Test
    void shouldNotRememberAMissWhenTheBlockIsStoredAndRemovedAndStoredMeanwhile() throws IOException {
        heap.next = () -> {
            assertTrue(store(key(1)));
            store.remove(key(1));
            assertFalse(load(key(1))); // remembered
            assertTrue(store(key(1)));
        };
        assertFalse(load(key(1)));
        assertTrue(load(key(1)));
    }

    @Test
    void shouldForgetAMissThatWasNotedWhileTheBlockWasBeingStored() throws IOException {
        heap.full = true; // not there yet
        heap.next = () -> {
            assertFalse(load(key(1)));
            heap.full = false;
            heap.store(key(1), BlockNote.DEFAULT, segment); // now it is
        };
        store(key(1));
        assertTrue(load(key(1)));
    }

    @Test
    void shouldForgetAMissThatSeveralLookUpsHaveNoted() throws IOException {
        heap.next = () -> assertFalse(load(key(1)));
        assertFalse(load(key(1)));
        assertAsked(2);
        assertTrue(store(key(1)));
        assertTrue(load(key(1)));
    }

    @Test
    void shouldAskAgainAfterAStoreThatFailed() throws IOException {
        assertFalse(load(key(1)));
        heap.next = () -> {
            throw new IOException("too late: the block is there");
        };
        assertThrows(IOException.class, () -> store(key(1)));
        assertTrue(load(key(1)));
    }

    @Test
    void shouldSayWhatTheStoreSays() throws IOException {
        assertTrue(store(key(1)));
        heap.full = true;
        assertFalse(store(key(2)));
        assertFalse(load(key(2)));
        assertEquals(2, heap.stores.get());
    }

    @Test
    void shouldRememberAMissOfAnotherBlockThanWasStoredMeanwhile() throws IOException {
        int remembered = 0;
        for (int token = 0; token < 100; token++) {
            heap.next = () -> assertTrue(store(key("b", 0)));
            assertFalse(load(key(token)));
            heap.loads.set(0);
            assertFalse(load(key(token)));
            remembered += 1 - heap.loads.get();
        }
        assertTrue(remembered > 95, "all but those of one stripe in 256: " + remembered);
    }

    // ---- the other calls ----

    @Test
    void shouldNotRememberFailures() throws IOException {
        heap.next = () -> {
            throw new IOException("broken");
        };
        assertThrows(IOException.class, () -> load(key(1)));
        heap.next = () -> {
            throw new UncheckedIOException(new IOException("broken"));
        };
        assertThrows(UncheckedIOException.class, () -> load(key(1)));
        assertAsked(2);
        assertFalse(load(key(1)));
        assertAsked(1);
    }

    @Test
    void shouldRemoveAndErase() throws IOException {
        for (BlockKey key : List.of(key("a", 1), key("a", 2), key("b", 1))) {
            assertTrue(store(key));
        }
        store.remove(key("a", 1));
        assertFalse(load(key("a", 1)));
        assertTrue(load(key("a", 2)));
        store.erase("a");
        assertFalse(load(key("a", 2)));
        assertTrue(load(key("b", 1)));
        assertAsked(4);
        assertFalse(load(key("a", 2)), "what was missed before is missing still");
        assertAsked(0);
        assertTrue(store(key("a", 2)));
        assertTrue(load(key("a", 2)));
    }

    @Test
    void shouldHandOnWhatFails() throws IOException {
        List<HeapCall> calls =
                List.of(() -> store.remove(key(1)), () -> store.erase("a"), () -> store.close(), () -> store(key(1)));
        for (HeapCall call : calls) {
            IOException broken = new IOException("broken");
            heap.next = () -> {
                throw broken;
            };
            assertEquals(broken, assertThrows(IOException.class, call::run));
        }
    }

    @Test
    void shouldCloseTheStore() throws IOException {
        store.close();
        assertEquals(1, heap.closures.get());
        assertTrue(store.toString().startsWith("MissMemory[io.kvcache.HeapBlockStore@"), store::toString);
    }

    /** A call that may throw what a store throws. */
    @FunctionalInterface
    private interface HeapCall {
        void run() throws IOException;
    }

    // ---- threads ----

    @Test
    void shouldHoldNoLockWhileItCallsTheStoreOrTheClock() throws Exception {
        try (ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor()) {
            HeapCall useFromAnotherThread = () -> {
                Future<Boolean> other = executor.submit(() -> store(key(2)) && load(key(2)) && !load(key(3)));
                try {
                    assertTrue(other.get(20, TimeUnit.SECONDS));
                } catch (Exception e) {
                    throw new IOException("somebody holds a lock", e);
                }
            };
            List<HeapCall> calls = List.of(
                    () -> load(key(1)),
                    () -> store(key(1)),
                    () -> store.remove(key(1)),
                    () -> store.erase("a"),
                    () -> store.close());
            for (HeapCall call : calls) {
                heap.next = useFromAnotherThread::run;
                call.run();
                assertEquals(null, heap.next);
            }
        }
    }

    @Test
    void shouldHoldNoLockWhileItReadsTheClock() throws Exception {
        AtomicReference<BlockStore> used = new AtomicReference<>(heap);
        AtomicBoolean reading = new AtomicBoolean();
        try (ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor()) {
            NanoClock clock = () -> {
                if (reading.compareAndSet(false, true)) { // not so in the clock of the other thread
                    Future<Boolean> other = executor.submit(() -> used.get().load(key(2), segment) != null);
                    assertFalse(assertDoesNotThrow(() -> other.get(20, TimeUnit.SECONDS), "somebody holds a lock"));
                    reading.set(false);
                }
                return time.get();
            };
            used.set(BlockStore.rememberingMisses(heap, ONE_SECOND, clock));
            assertNull(used.get().load(key(1), segment));
            assertNull(used.get().load(key(1), segment));
            assertAsked(3); // for blocks 2, when the memory was made, 1, and 2 again: the memory did not know
        }
    }

    @Test
    void shouldNeverHideWhatWasStored() throws Exception {
        int rounds = 3_000;
        AtomicLong stored = new AtomicLong(-1); // blocks 0..stored are there
        try (ExecutorService executor = Executors.newFixedThreadPool(4)) {
            List<Callable<Integer>> workers = new ArrayList<>();
            workers.add(() -> {
                int hidden = 0;
                MemorySegment block = MemorySegment.ofArray(new byte[8]);
                for (int token = 0; token < rounds; token++) {
                    BlockKey key = key(token);
                    store.store(key, BlockNote.DEFAULT, block);
                    hidden += store.load(key, block) != null ? 0 : 1;
                    stored.set(token);
                }
                return hidden;
            });
            for (int reader = 0; reader < 3; reader++) {
                workers.add(() -> {
                    int hidden = 0;
                    MemorySegment block = MemorySegment.ofArray(new byte[8]);
                    long known;
                    while ((known = stored.get()) < rounds - 1) {
                        for (long token = Math.max(0, known - 2); token < known + 3; token++) {
                            hidden += store.load(key((int) token), block) != null || token > known ? 0 : 1;
                        }
                    }
                    return hidden;
                });
            }
            for (Future<Integer> worker : executor.invokeAll(workers, 60, TimeUnit.SECONDS)) {
                assertEquals(0, worker.get());
            }
        }
    }

    // ---- against a model ----

    @Test
    void shouldAskExactlyWhatAModelSays() throws IOException {
        for (int seed = 0; seed < 20; seed++) {
            new Episode(seed).run(5_000);
        }
    }

    /** Random calls, single-threaded but for calls inside of calls; what is missed is known from a plain map in order of age. */
    private final class Episode {
        private static final int BOUND = 12;
        private static final int TOKENS = 10; // times 2 namespaces

        private final Random random;
        private final HeapBlockStore other = new HeapBlockStore();
        private final BlockStore memory;
        private final Map<BlockKey, Long> missedUntil = new LinkedHashMap<>();
        private @Nullable BlockKey lastStored;
        private int expectedLoads;
        private int saved;

        Episode(int seed) {
            random = new Random(seed);
            memory = new MissMemory(other, ONE_SECOND.withMaximumEntries(BOUND), time::get, seed);
        }

        void run(int steps) throws IOException {
            for (int step = 0; step < steps; step++) {
                step();
                assertEquals(expectedLoads, other.loads.get());
            }
            assertTrue(saved > steps / 50, () -> "saved=" + saved);
        }

        private void step() throws IOException {
            BlockKey key = randomKey();
            switch (random.nextInt(14)) {
                case 0 -> store(key);
                case 1 -> storeThatFails(key);
                case 2 -> memory.remove(key);
                case 3 -> time.addAndGet(random.nextLong(SECOND / 2));
                case 4 -> loadThatFails(key);
                case 9 -> look(key, randomKey());
                case 5 -> loadWhile(key, () -> store(random.nextBoolean() ? key : randomKey()));
                case 6 -> loadWhile(key, () -> memory.remove(key));
                case 7 -> loadWhile(key, () -> load(random.nextBoolean() ? key : randomKey()));
                case 8 -> {
                    if (random.nextInt(10) == 0) {
                        memory.erase(key.namespace());
                    }
                }
                default -> load(key);
            }
        }

        /** A look at two keys finds what is there, asks for nothing that is known to be missing, and remembers the first miss. */
        private void look(BlockKey first, BlockKey second) throws IOException {
            List<BlockKey> path = List.of(first, second);
            int known = knownMissing(first) ? 0 : knownMissing(second) ? 1 : 2;
            int there = !other.contains(first) ? 0 : !other.contains(second) ? 1 : 2;
            int looks = other.looks.get();
            assertEquals(Math.min(known, there), memory.held(path));
            assertEquals(known == 0 ? looks : looks + 1, other.looks.get());
            if (there < known) {
                noteMiss(path.get(there));
            }
        }

        private BlockKey randomKey() {
            return key(random.nextBoolean() ? "a" : "b", random.nextInt(TOKENS));
        }

        private boolean knownMissing(BlockKey key) {
            Long until = missedUntil.get(key);
            if (until != null && time.get() >= until) {
                missedUntil.remove(key);
                return false;
            }
            return until != null;
        }

        private void noteMiss(BlockKey key) {
            missedUntil.remove(key);
            if (missedUntil.size() == BOUND) {
                missedUntil.remove(missedUntil.keySet().iterator().next());
            }
            missedUntil.put(key, time.get() + SECOND);
        }

        private void load(BlockKey key) throws IOException {
            boolean missing = knownMissing(key);
            boolean there = other.contains(key);
            assertEquals(!missing && there, memory.load(key, segment) != null);
            if (missing) {
                saved++;
                assertFalse(there, "only what is missing is remembered as missing");
                return;
            }
            expectedLoads++;
            if (!there) {
                noteMiss(key);
            }
        }

        /** Something else happens between the answer of the other store and its noting. */
        private void loadWhile(BlockKey key, HeapCall meanwhile) throws IOException {
            boolean missing = knownMissing(key);
            if (missing) {
                load(key);
                return;
            }
            boolean there = other.contains(key);
            lastStored = null;
            other.next = meanwhile::run;
            assertEquals(there, memory.load(key, segment) != null);
            expectedLoads++;
            BlockKey storedMeanwhile = lastStored;
            if (!there && (storedMeanwhile == null || !shareStripe(storedMeanwhile, key))) {
                noteMiss(key);
            }
        }

        /** The only thing taken from the code under test: which blocks count as one when they are stored meanwhile. */
        private static boolean shareStripe(BlockKey one, BlockKey another) {
            return ((one.fingerprint() ^ another.fingerprint()) & 255) == 0;
        }

        private void loadThatFails(BlockKey key) {
            if (!knownMissing(key)) {
                expectedLoads++;
                other.next = () -> {
                    throw new IOException("broken");
                };
                assertThrows(IOException.class, () -> memory.load(key, segment));
            }
        }

        private void store(BlockKey key) throws IOException {
            lastStored = key;
            other.full = random.nextInt(4) == 0;
            assertEquals(!other.full, memory.store(key, BlockNote.DEFAULT, segment));
            missedUntil.remove(key);
        }

        private void storeThatFails(BlockKey key) {
            lastStored = key;
            other.full = random.nextBoolean();
            other.next = () -> {
                throw new IOException("broken");
            };
            assertThrows(IOException.class, () -> memory.store(key, BlockNote.DEFAULT, segment));
            missedUntil.remove(key);
        }
    }

    // ---- options ----

    @Test
    void shouldRefuseOptionsOutOfRange() {
        MissOptions options = MissOptions.DEFAULT;
        assertRefused("must be positive: timeNanos=0", () -> options.withTime(Duration.ZERO));
        assertRefused("must be from 0 to 1: jitter=NaN", () -> options.withJitter(Double.NaN));
        assertRefused("must be from 0 to 1: jitter=1.5", () -> options.withJitter(1.5));
        assertRefused("must be from 1 to 16777216: maximumEntries=0", () -> options.withMaximumEntries(0));
        assertRefused(
                "must be from 1 to 16777216: maximumEntries=16777217", () -> options.withMaximumEntries((1 << 24) + 1));
        assertEquals(
                new MissOptions(5, 0.5, 7),
                options.withTime(Duration.ofNanos(5)).withJitter(0.5).withMaximumEntries(7));
    }
}
