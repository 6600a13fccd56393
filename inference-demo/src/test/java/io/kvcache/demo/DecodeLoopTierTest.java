package io.kvcache.demo;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.KvCache;
import io.kvcache.KvLayout;
import io.kvcache.Sequence;
import io.kvcache.TierOptions;
import io.kvcache.TierStats;
import io.kvcache.tiers.DiskOptions;
import io.kvcache.tiers.DiskStore;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The loop computes what neither memory nor a tier has, and waits for a tier no longer than that may take. */
@Timeout(60)
final class DecodeLoopTierTest {
    private static final int VOCABULARY = 50;
    private static final int CONTEXT = 256;
    private static final int TOKENS_PER_BLOCK = 8;
    private static final int MAXIMUM_ROWS = 64;
    private static final Duration DEADLINE = Duration.ofMillis(250);
    private static final Duration LONG = Duration.ofHours(1);
    private static final KvLayout LAYOUT = WitnessModel.layout(TOKENS_PER_BLOCK);

    @TempDir
    private Path directory = Path.of("");

    private final AtomicLong nanos = new AtomicLong();
    private final HandRunTasks tasks = new HandRunTasks();
    private final HeapTier heap = new HeapTier();
    private final WitnessModel model = new WitnessModel(VOCABULARY, CONTEXT, MAXIMUM_ROWS);

    private static KvCache cache(int blocks, LongClock clock, TierOptions tier) {
        return KvCache.builder(LAYOUT)
                .maximumBytes(blocks * LAYOUT.blockBytes())
                .model("witness")
                .clock(clock::nanoTime)
                .seed(1)
                .tier(tier.withMisses(null))
                .build();
    }

    /** Nanoseconds from any origin. */
    @FunctionalInterface
    private interface LongClock {
        long nanoTime();
    }

    /** A cache over the heap, whose tier works when told. */
    private KvCache cacheByHand(int blocks) {
        return cache(blocks, nanos::get, TierOptions.of("heap", heap).withExecutor(tasks));
    }

    /** A cache over the heap, whose tier works at once. */
    private KvCache cacheAtOnce(int blocks) {
        return cache(blocks, nanos::get, TierOptions.of("heap", heap).withExecutor(Runnable::run));
    }

    private KvCache cacheOverDisk() throws IOException {
        DiskStore store = DiskStore.open(directory, DiskOptions.of(1 << 20));
        return cache(64, System::nanoTime, TierOptions.of("disk", store).withDeadline(LONG));
    }

    private DecodeLoop loop(KvCache cache) {
        return new DecodeLoop(model, cache, -1, DecodeOptions.DEFAULT, nanos::get);
    }

    private static int[] prompt(int seed, int length) {
        return new Random(seed).ints(length, 0, VOCABULARY).toArray();
    }

    private static CompletableFuture<DecodeResult> submit(DecodeLoop loop, int[] prompt, int tokens) {
        return loop.submit(DecodeRequest.builder(prompt).maxTokens(tokens).build());
    }

    private static void assertContinues(int[] prompt, DecodeResult result, int tokens) {
        assertArrayEquals(
                WitnessModel.continuation(prompt, tokens, VOCABULARY),
                result.samples().getFirst().tokens());
    }

    /** Computes prompts over the heap, and lets all of it be copied there. */
    private void store(int[]... prompts) {
        try (KvCache cache = cacheAtOnce(64);
                DecodeLoop loop = loop(cache)) {
            List<CompletableFuture<DecodeResult>> results = Arrays.stream(prompts)
                    .map(prompt -> submit(loop, prompt, 1))
                    .toList();
            loop.run();
            results.forEach(CompletableFuture::join);
        }
        model.computedRows = 0;
    }

    private void end(KvCache cache) {
        tasks.runAll();
        cache.verify();
        assertEquals(0, cache.stats().openSequences());
        assertEquals(0, cache.stats().usedBlocks());
    }

    // ---- what is there is not computed ----

    @Test
    void shouldComputeOnlyWhatIsNotOnTheDisk() throws IOException, InterruptedException {
        List<int[]> prompts =
                IntStream.range(0, 6).mapToObj(i -> prompt(i, 20 + 9 * i)).toList();
        long rows = 0;
        for (int round = 0; round < 2; round++) {
            model.computedRows = 0;
            try (KvCache cache = cacheOverDisk();
                    DecodeLoop loop = loop(cache)) {
                List<CompletableFuture<DecodeResult>> results =
                        prompts.stream().map(prompt -> submit(loop, prompt, 10)).toList();
                loop.run();
                long onDisk = 0;
                for (int i = 0; i < prompts.size(); i++) {
                    DecodeResult result = results.get(i).join();
                    int length = prompts.get(i).length;
                    assertContinues(prompts.get(i), result, 10);
                    long expected = round == 0 ? 0 : (length - 1) / TOKENS_PER_BLOCK * TOKENS_PER_BLOCK;
                    // A block that the answer has filled has some of the prompt's last tokens too.
                    long found = result.cached().byTier().getOrDefault("disk", -1L);
                    assertTrue(
                            found >= expected && found < length && (round > 0 || found == 0),
                            "round=" + round + " " + result);
                    assertEquals(found, result.cachedTokens());
                    assertEquals(
                            List.of("memory", "disk"),
                            List.copyOf(result.cached().byTier().keySet()));
                    onDisk += found;
                }
                assertEquals(onDisk, cache.stats().traffic().loadedTokens());
                rows = round == 0 ? model.computedRows : rows;
                assertEquals(rows - onDisk, model.computedRows);
                assertTrue(cache.flush(LONG));
                cache.verify();
            }
        }
    }

    @Test
    void shouldTellMemoryFromTiers() {
        int[] prompt = prompt(1, 41);
        store(Arrays.copyOf(prompt, 33));
        try (KvCache cache = cacheAtOnce(64);
                DecodeLoop loop = loop(cache)) {
            CompletableFuture<DecodeResult> half = submit(loop, Arrays.copyOf(prompt, 17), 1);
            loop.run();
            CompletableFuture<DecodeResult> whole = submit(loop, prompt, 1);
            loop.run();
            assertContinues(prompt, whole.join(), 1);
            assertEquals(Map.of("memory", 0L, "heap", 16L), half.join().cached().byTier());
            assertEquals(
                    Map.of("memory", 16L, "heap", 16L), whole.join().cached().byTier());
            end(cache);
        }
    }

    // ---- waiting ----

    @Test
    void shouldComputeForOthersWhileATierIsAsked() {
        int[] stored = prompt(1, 100);
        store(stored);
        try (KvCache cache = cacheByHand(64);
                DecodeLoop loop = loop(cache)) {
            CompletableFuture<DecodeResult> waits = submit(loop, stored, 3);
            CompletableFuture<DecodeResult> other = submit(loop, prompt(2, 5), 30);
            for (int i = 0; i < 10; i++) {
                assertTrue(loop.step());
            }
            assertEquals(5 + 9, model.computedRows, "nothing of what is being loaded");
            tasks.runAll();
            loop.run();
            assertContinues(stored, waits.join(), 3);
            assertContinues(prompt(2, 5), other.join(), 30);
            assertEquals(
                    Map.of("memory", 0L, "heap", 96L), waits.join().cached().byTier());
            assertEquals(5 + 29 + 4 + 2, model.computedRows);
            end(cache);
        }
    }

    @Test
    void shouldWaitForATierNoLongerThanItsDeadline() {
        int[] stored = prompt(1, 100);
        store(stored);
        long tick = Duration.ofMillis(5).toNanos();
        AtomicLong ticking = new AtomicLong();
        LongClock clock = () -> ticking.addAndGet(tick); // time goes by as it is looked at
        try (KvCache cache = cache(
                        64,
                        clock,
                        TierOptions.of("heap", heap).withExecutor(tasks).withDeadline(DEADLINE));
                DecodeLoop loop = new DecodeLoop(model, cache, -1, DecodeOptions.DEFAULT, ticking::get)) {
            model.duringForward = () -> {
                model.duringForward = () -> {};
                long waited = ticking.get();
                assertTrue(waited > DEADLINE.toNanos(), () -> "waited=" + waited);
                assertTrue(waited < DEADLINE.toNanos() + 40 * tick, () -> "waited=" + waited);
            };
            CompletableFuture<DecodeResult> result = submit(loop, stored, 3);
            loop.run(); // no task of the tier runs
            assertContinues(stored, result.join(), 3);
            assertEquals(0, result.join().cachedTokens());
            assertEquals(102, model.computedRows);
            assertEquals(1, tier(cache).lateLoads());
            end(cache);
        }
    }

    private static TierStats tier(KvCache cache) {
        return cache.stats().tiers().getFirst();
    }

    @Test
    void shouldLookAtRequestsWhileItWaits() {
        int[] stored = prompt(1, 100);
        store(stored);
        AtomicLong ticking = new AtomicLong();
        LongClock clock = () -> ticking.addAndGet(Duration.ofMillis(5).toNanos());
        try (KvCache cache = cache(
                        64,
                        clock,
                        TierOptions.of("heap", heap).withExecutor(tasks).withDeadline(LONG));
                DecodeLoop loop = loop(cache)) {
            CompletableFuture<DecodeResult> waits = submit(loop, stored, 3);
            assertTrue(loop.step());
            CompletableFuture<DecodeResult> other = submit(loop, prompt(2, 5), 1);
            assertTrue(loop.step());
            assertContinues(prompt(2, 5), other.join(), 1);
            assertTrue(loop.step());
            assertFalse(waits.isDone());
            waits.cancel(false);
            assertFalse(loop.step(), "there is nothing more to do");
            end(cache);
        }
    }

    @Test
    void shouldComputeWhenItIsInterrupted() {
        int[] stored = prompt(1, 50);
        store(stored);
        try (KvCache cache = cacheByHand(64);
                DecodeLoop loop = loop(cache)) {
            CompletableFuture<DecodeResult> result = submit(loop, stored, 3);
            Thread.currentThread().interrupt();
            loop.run();
            assertTrue(Thread.interrupted(), "the interrupt stays set");
            assertContinues(stored, result.join(), 3);
            assertEquals(52, model.computedRows);
            end(cache);
        }
    }

    // ---- failure ----

    @Test
    void shouldGoOnWhileATierFails() {
        int[] stored = prompt(1, 60);
        store(stored);
        heap.duringLoads = () -> {
            throw new IOException("no such device");
        };
        heap.duringStores = heap.duringLoads;
        try (KvCache cache = cacheAtOnce(64);
                DecodeLoop loop = loop(cache)) {
            for (int i = 0; i < 20; i++) {
                int[] prompt = Arrays.copyOf(stored, 30 + i);
                prompt[20] = i;
                CompletableFuture<DecodeResult> result = submit(loop, prompt, 3);
                loop.run();
                assertContinues(prompt, result.join(), 3);
            }
            assertEquals(20, loop.stats().completed());
            assertTrue(tier(cache).failedLoads() > 0, () -> "" + tier(cache));
            assertTrue(tier(cache).failedStores() > 0, () -> "" + tier(cache));
            nanos.addAndGet(LONG.toNanos());
            heap.duringStores = () -> {};
            cache.maintain(1);
            end(cache);
        }
    }

    // ---- room ----

    @Test
    void shouldWaitForTheRoomOfALoadThatNobodyNeeds() throws InterruptedException {
        int[] stored = prompt(1, 40);
        store(stored);
        CountDownLatch reading = new CountDownLatch(1);
        try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();
                KvCache cache = cache(
                        10,
                        nanos::get,
                        TierOptions.of("heap", heap).withExecutor(threads).withThreads(1));
                DecodeLoop loop = loop(cache)) {
            heap.duringLoads = () -> {
                reading.countDown();
                while (cache.stats().traffic().refusals() == 0) {
                    Thread.onSpinWait();
                }
            };
            Sequence gone = cache.namespace("default").open(stored);
            reading.await();
            gone.close(); // its load goes on reading
            int[] prompt = prompt(2, 78); // ten blocks, all there are
            CompletableFuture<DecodeResult> result = submit(loop, prompt, 3);
            loop.run();
            assertContinues(prompt, result.join(), 3);
            assertTrue(cache.stats().traffic().refusals() > 0);
            assertEquals(0, loop.stats().preemptions());
            assertTrue(cache.flush(LONG));
            cache.verify();
        }
    }
}
