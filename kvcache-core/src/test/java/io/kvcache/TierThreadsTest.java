package io.kvcache;

import static io.kvcache.Prompts.BLOCK_BYTES;
import static io.kvcache.Prompts.LAYOUT;
import static io.kvcache.Prompts.TOKENS_PER_BLOCK;
import static io.kvcache.Prompts.assertRows;
import static io.kvcache.Prompts.compute;
import static io.kvcache.Prompts.prompt;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;

/** Tiers with threads of their own, and stores that stall. */
@Timeout(120) // seconds: a call that waits for ever fails, and does not stop the build
final class TierThreadsTest {
    private static final Duration LONG = Duration.ofMinutes(1);

    @RegisterExtension
    final Caches caches = new Caches();

    private final HeapBlockStore disk = new HeapBlockStore();
    private final CountDownLatch stalls = new CountDownLatch(1);
    private final CountDownLatch goesOn = new CountDownLatch(1);

    private KvCache cache(int blocks, TierOptions tier) {
        return KvCache.builder(LAYOUT)
                .maximumBytes(blocks * BLOCK_BYTES)
                .model("tiny")
                .tier(tier)
                .build();
    }

    /** Lets the next call of a kind wait until the test goes on. */
    private void stallNext(AtomicInteger calls) {
        disk.only = calls;
        disk.next = () -> {
            stalls.countDown();
            awaitQuietly(goesOn);
        };
    }

    private static void awaitQuietly(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    private static void fill(BlockStore store) throws InterruptedException {
        try (KvCache cache = KvCache.builder(LAYOUT)
                .maximumBytes(50 * BLOCK_BYTES)
                .model("tiny")
                .tier(TierOptions.of("disk", store))
                .build()) {
            compute(cache.namespace("a"), prompt(1, 10)).close();
            assertTrue(cache.flush(LONG));
        }
    }

    /** A store that looks whether what it is given is what the key says. */
    private static final class CheckingStore implements BlockStore {
        private final HeapBlockStore store = new HeapBlockStore();
        final AtomicReference<@Nullable String> wrong = new AtomicReference<>();

        @Override
        public int held(List<BlockKey> path) throws IOException {
            return store.held(path);
        }

        @Override
        public @Nullable BlockNote load(BlockKey key, MemorySegment target) throws IOException {
            return store.load(key, target);
        }

        @Override
        public boolean store(BlockKey key, BlockNote note, MemorySegment block) throws IOException {
            int[] tokens = key.tokens();
            int[] found = IntStream.range(0, TOKENS_PER_BLOCK)
                    .map(i -> (int) block.getAtIndex(ValueLayout.JAVA_FLOAT, 2L * i))
                    .toArray();
            if (!Arrays.equals(tokens, found)) {
                wrong.set(Arrays.toString(tokens) + " holds " + Arrays.toString(found));
            }
            return store.store(key, note, block);
        }

        @Override
        public void remove(BlockKey key) throws IOException {
            store.remove(key);
        }

        @Override
        public void erase(String namespace) throws IOException {
            store.erase(namespace);
        }

        @Override
        public void close() throws IOException {
            store.close();
        }
    }

    @Test
    void shouldNeverStoreWhatAnotherSequenceHasWrittenMeanwhile() throws Exception {
        CheckingStore store = new CheckingStore();
        KvCache cache = caches.add(cache(12, TierOptions.of("disk", store).withQueuedBlocks(64)));
        try (ExecutorService threads = Executors.newFixedThreadPool(3)) {
            List<Future<?>> done = IntStream.range(0, 3)
                    .<Future<?>>mapToObj(seed -> threads.submit(() -> decode(cache, new Random(seed))))
                    .toList();
            for (Future<?> thread : done) {
                thread.get();
            }
        }
        assertNull(store.wrong.get());
        assertTrue(cache.flush(LONG));
        TierStats stats = cache.stats().tiers().getFirst();
        assertTrue(stats.storedBlocks() > 100 && stats.loadedBlocks() > 100, stats::toString);
        assertEquals(0, stats.failedLoads() + stats.failedStores(), stats::toString);
    }

    /** Opens, takes up and computes prompts of which there are more than fit. */
    private static void decode(KvCache cache, Random random) {
        Namespace namespace = cache.namespace("a");
        for (int i = 0; i < 3000; i++) {
            int[] prompt = prompt(random.nextInt(12), 1 + random.nextInt(3));
            try (Sequence sequence = namespace.open(prompt)) {
                if (random.nextBoolean()) {
                    sequence.await(Duration.ofMillis(2));
                }
                while (sequence.length() < prompt.length && sequence.tryReserve(1)) {
                    float[] row = {prompt[sequence.length()], sequence.length()};
                    sequence.write(0, sequence.length(), row, row);
                    sequence.commit(prompt[sequence.length()]);
                }
                assertRows(sequence);
            } catch (InterruptedException e) {
                throw new AssertionError(e);
            }
        }
    }

    @Test
    void shouldHoldWhatIsBeingReadUntilAStalledStoreIsDone() throws Exception {
        fill(disk);
        KvCache cache =
                caches.add(cache(20, TierOptions.of("disk", disk).withThreads(1).withDeadline(Duration.ofMillis(20))));
        stallNext(disk.loads);
        try (Sequence sequence = cache.namespace("a").open(prompt(1, 10))) {
            stalls.await();
            assertEquals(0, sequence.await(LONG), "the deadline of the tier comes first");
            assertEquals(1, cache.stats().usedBlocks());
            goesOn.countDown();
            assertTrue(cache.flush(LONG));
            assertEquals(0, cache.stats().usedBlocks());
        }
    }

    @Test
    void shouldNotDelaySequencesByAStalledStore() throws Exception {
        KvCache cache = caches.add(cache(10, TierOptions.of("disk", disk).withQueuedBlocks(4)));
        stallNext(disk.stores);
        compute(cache.namespace("a"), prompt(0, 8)).close();
        stalls.await();
        for (int seed = 1; seed < 20; seed++) { // all memory, several times over
            compute(cache.namespace("a"), prompt(seed, 8)).close();
        }
        assertEquals(0, cache.stats().usedBlocks());
        goesOn.countDown();
        assertTrue(cache.flush(LONG));
    }

    @Test
    void shouldCloseInBoundedTimeAndFreeMemoryWhenAStalledLoadEnds() throws Exception {
        fill(disk);
        KvCache cache = cache(20, TierOptions.of("disk", disk).withThreads(1));
        stallNext(disk.loads);
        MemorySegment view;
        try (Sequence sequence = cache.namespace("a").open(prompt(1, 10))) {
            stalls.await();
            assertTrue(sequence.tryReserve(1));
            view = sequence.segment(0);
        }
        cache.close();
        assertEquals(2, disk.closures.get(), "the one that has filled it, and this one");
        assertTrue(view.scope().isAlive(), "the store writes to it");
        goesOn.countDown();
        while (view.scope().isAlive()) {
            Thread.onSpinWait();
        }
        cache.close();
        assertThrows(IllegalStateException.class, () -> cache.namespace("a").open(prompt(1, 1)));
    }

    @Test
    void shouldStoreWhatWaitsWhenTheCacheIsClosed() throws Exception {
        fill(disk);
        assertEquals(10, disk.size());
        KvCache cache = cache(50, TierOptions.of("disk", disk).withRule(StoreRule.ALL, StoreMoment.RELEASE));
        compute(cache.namespace("a"), prompt(2, 10)).close();
        cache.close();
        assertEquals(20, disk.size());
    }

    @Test
    void shouldWaitForStoresOfANamespaceBeforeErasingIt() throws Exception {
        KvCache cache = caches.add(cache(20, TierOptions.of("disk", disk)));
        stallNext(disk.stores);
        compute(cache.namespace("a"), prompt(1, 3)).close();
        stalls.await();
        List<String> unreached = cache.namespace("a").erase().unreached();
        assertEquals(1, unreached.size(), unreached::toString);
        goesOn.countDown();
        assertTrue(cache.flush(LONG));
        while (cache.stats().tiers().getFirst().unreachedNamespaces() > 0) {
            cache.namespace("a").open(prompt(1, 3)).close(); // a look-up tries again
        }
        assertEquals(0, disk.size());
        assertFalse(cache.namespace("a").probe(prompt(1, 3)) > 0);
    }

    @Test
    void shouldLoadForThoseWhoWaitInAQueue() throws Exception {
        fill(disk);
        KvCache cache = caches.add(KvCache.builder(LAYOUT)
                .maximumBytes(50 * BLOCK_BYTES)
                .maximumSequences(1)
                .model("tiny")
                .tier(TierOptions.of("disk", disk))
                .build());
        Namespace namespace = cache.namespace("a");
        Sequence first = namespace.open(prompt(2, 1));
        try (ExecutorService threads = Executors.newFixedThreadPool(2)) {
            List<Future<Integer>> waiting = IntStream.range(0, 2)
                    .mapToObj(i -> threads.submit(() -> {
                        try (Sequence sequence = namespace.open(prompt(1, 10), OpenOptions.DEFAULT, LONG)) {
                            return sequence == null ? -1 : sequence.cachedTokens();
                        }
                    }))
                    .toList();
            while (cache.stats().waitingOpens() < 2 || cache.stats().traffic().loadedBlocks() < 10) {
                Thread.onSpinWait();
            }
            first.close();
            for (Future<Integer> opened : waiting) {
                assertEquals(40, opened.get());
            }
        }
        assertTrue(cache.flush(LONG));
    }

    @Test
    void shouldCloseWhileItsStoreIsBeingOpened() throws Exception {
        KvCache cache = cache(10, TierOptions.of("disk", () -> {
            stalls.countDown();
            awaitQuietly(goesOn);
            return disk;
        }));
        stalls.await();
        cache.close();
        assertEquals(0, disk.closures.get());
        goesOn.countDown();
        while (disk.closures.get() == 0) {
            Thread.onSpinWait();
        }
    }
}
