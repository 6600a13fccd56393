package io.kvcache;

import static io.kvcache.Prompts.BLOCK_BYTES;
import static io.kvcache.Prompts.LAYOUT;
import static io.kvcache.Prompts.compute;
import static io.kvcache.Prompts.extend;
import static io.kvcache.Prompts.prompt;
import static io.kvcache.Thrown.assertRefused;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.WarmedPrompt.Status;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;

/** Lists of prompts computed ahead: once each, in parallel, whatever becomes of single ones. */
@Timeout(120)
@SuppressWarnings("ThreadPriorityCheck") // yielding only mixes things up
final class WarmupTest {
    private static final RetentionOutcome NONE_ASKED = new RetentionOutcome(RetentionOutcome.Status.ACCEPTED, 0, 0);

    @RegisterExtension
    final Caches caches = new Caches();

    private final AtomicInteger prefills = new AtomicInteger();

    private KvCache cache(int blocks, int sequences) {
        return caches.add(KvCache.builder(LAYOUT)
                .maximumBytes(blocks * BLOCK_BYTES)
                .maximumSequences(sequences)
                .seed(1)
                .build());
    }

    private Namespace namespace() {
        return cache(200, 100).namespace("a");
    }

    /** Computes what is missing, as an engine would. */
    private void prefill(Sequence sequence, int[] prompt) {
        prefills.incrementAndGet();
        int missing = prompt.length - sequence.length();
        assertTrue(sequence.reserved() >= missing, "its slots are reserved");
        extend(sequence, Arrays.copyOfRange(prompt, sequence.length(), prompt.length));
    }

    private static List<Status> statuses(WarmupReport report) {
        return report.prompts().stream().map(WarmedPrompt::status).toList();
    }

    private static RetentionOutcome accepted(int blocks) {
        return new RetentionOutcome(RetentionOutcome.Status.ACCEPTED, blocks, blocks);
    }

    private static int[] whole(int seed, int blocks) {
        return Arrays.copyOf(prompt(seed, blocks), blocks * Prompts.TOKENS_PER_BLOCK);
    }

    // ---- what is computed ----

    @Test
    void shouldComputeWhatIsMissingAndRetainAllFullBlocks() {
        Namespace namespace = namespace();
        compute(namespace, Arrays.copyOf(prompt(2, 3), 6)).close(); // one block
        compute(namespace, prompt(3, 2)).close();
        int[] fragment = {1, 2, 3};
        WarmupReport report = namespace.warm(
                List.of(prompt(1, 2), prompt(2, 3), prompt(3, 2), fragment), this::prefill, Retention.DEFAULT);
        assertEquals(
                List.of(
                        new WarmedPrompt(0, Status.COMPUTED, 0, 9, accepted(2), null),
                        new WarmedPrompt(1, Status.COMPUTED, 4, 9, accepted(3), null),
                        new WarmedPrompt(2, Status.CACHED, 8, 0, accepted(2), null),
                        new WarmedPrompt(3, Status.CACHED, 0, 0, NONE_ASKED, null)),
                report.prompts());
        assertEquals(2, report.count(Status.COMPUTED));
        assertEquals(2, report.count(Status.CACHED));
        assertEquals(0, report.count(Status.FAILED));
        assertEquals(18, report.computedTokens());
        assertEquals(2, prefills.get());
        assertEquals(12, namespace.probe(prompt(2, 3)));
        WarmupReport again = namespace.warm(List.of(prompt(1, 2)), this::prefill, Retention.DEFAULT);
        assertEquals(List.of(Status.CACHED), statuses(again));
        assertEquals(0, again.computedTokens());
    }

    @Test
    void shouldFindAndRetainPromptsOfWholeBlocksInFull() {
        Namespace namespace = namespace();
        for (Status status : List.of(Status.COMPUTED, Status.CACHED)) {
            WarmupReport report =
                    namespace.warm(List.of(whole(1, 3)), this::prefill, Retention.DEFAULT.withPriority(90));
            int cached = status == Status.CACHED ? 12 : 0;
            assertEquals(
                    List.of(new WarmedPrompt(0, status, cached, 12 - cached, accepted(3), null)), report.prompts());
        }
        assertEquals(1, prefills.get());
        assertEquals(12, namespace.probe(prompt(1, 3)));
    }

    @Test
    void shouldRetainAsAsked() {
        KvCache cache = cache(8, 10);
        Namespace namespace = cache.namespace("a");
        namespace.warm(List.of(prompt(1, 2)), this::prefill, Retention.DEFAULT.withPriority(90));
        compute(namespace, prompt(2, 2)).close();
        compute(namespace, prompt(3, 4)).close(); // needs the place of the second one
        assertEquals(8, namespace.probe(prompt(1, 2)));
        assertEquals(4, namespace.probe(prompt(2, 2)));
    }

    @Test
    void shouldPinWithinTheBudget() {
        KvCache cache = cache(20, 10);
        Namespace namespace = cache.namespace("a", NamespaceOptions.DEFAULT.withPinnedBytes(3 * BLOCK_BYTES));
        List<int[]> prompts = List.of(prompt(1, 2), prompt(2, 2), prompt(3, 2));
        WarmupReport report = namespace.warm(prompts, this::prefill, Retention.DEFAULT.withPin());
        assertEquals(
                List.of(
                        accepted(2),
                        new RetentionOutcome(RetentionOutcome.Status.CLIPPED, 1, 2),
                        new RetentionOutcome(RetentionOutcome.Status.REJECTED, 0, 2)),
                report.prompts().stream().map(WarmedPrompt::retention).toList());
        assertEquals(3, cache.stats().pinnedBlocks());
        assertEquals(3, report.count(Status.COMPUTED));
    }

    @Test
    void shouldOpenAsAsked() {
        Namespace namespace = namespace();
        OpenOptions adapter = OpenOptions.DEFAULT.withIdentity("adapter", "x");
        WarmupOptions options = WarmupOptions.DEFAULT.withOpen(adapter);
        namespace.warm(List.of(prompt(1, 2)), this::prefill, options);
        assertEquals(8, namespace.probe(prompt(1, 2), adapter));
        assertEquals(0, namespace.probe(prompt(1, 2)));
    }

    @Test
    void shouldComputeSharedPrefixesOnceThoughInParallel() {
        Namespace namespace = namespace();
        int parallelism = 8;
        List<int[]> prompts = new ArrayList<>();
        for (int i = 0; i < 40; i++) {
            int[] prompt = prompt(i % 5, 20); // eight prompts begin alike
            prompt[prompt.length - 1 - i / 5] = i;
            prompts.add(prompt);
        }
        ConcurrentHashMap<List<Integer>, AtomicInteger> computed = new ConcurrentHashMap<>();
        AtomicInteger running = new AtomicInteger();
        AtomicInteger most = new AtomicInteger();
        Prefill prefill = (sequence, prompt) -> {
            most.accumulateAndGet(running.incrementAndGet(), Math::max);
            for (int position = sequence.length(); position < prompt.length; position++) {
                float[] row = {prompt[position], position};
                sequence.write(0, position, row, row);
                sequence.commit(prompt[position]);
                if (sequence.length() % 4 == 0) {
                    List<Integer> path =
                            Arrays.stream(prompt, 0, sequence.length()).boxed().toList();
                    computed.computeIfAbsent(path, key -> new AtomicInteger()).incrementAndGet();
                    Thread.yield();
                }
            }
            running.decrementAndGet();
        };
        WarmupReport report = namespace.warm(prompts, prefill, WarmupOptions.DEFAULT.withParallelism(parallelism));
        assertEquals(0, report.count(Status.FAILED));
        assertEquals(40, report.count(Status.COMPUTED) + report.count(Status.CACHED));
        computed.forEach((path, times) -> assertEquals(1, times.get(), () -> "computed once: " + path));
        assertEquals(computed.size(), namespace.stats().traffic().publishedBlocks());
        assertTrue(most.get() <= parallelism);
        for (int i = 0; i < 40; i++) {
            WarmedPrompt warmed = report.prompts().get(i);
            assertEquals(i, warmed.index());
            assertEquals(accepted(20), warmed.retention());
            assertEquals(80, namespace.probe(prompts.get(i)));
        }
    }

    @Test
    void shouldComputeAsManyAtATimeAsAllowed() {
        Namespace namespace = namespace();
        CyclicBarrier together = new CyclicBarrier(3);
        Prefill prefill = (sequence, prompt) -> {
            together.await();
            prefill(sequence, prompt);
        };
        List<int[]> prompts = IntStream.range(0, 6).mapToObj(i -> prompt(i, 1)).toList();
        WarmupReport report = namespace.warm(prompts, prefill, WarmupOptions.DEFAULT.withParallelism(3));
        assertEquals(6, report.count(Status.COMPUTED));
    }

    // ---- what fails ----

    @Test
    void shouldGoOnWhenAPromptFails() {
        Namespace namespace = namespace();
        IllegalStateException broken = new IllegalStateException("broken");
        AssertionError error = new AssertionError("even an error");
        Prefill prefill = (sequence, prompt) -> {
            switch (prompt[0] / 1000) {
                case 1 -> {
                    extend(sequence, Arrays.copyOf(prompt, 5));
                    throw broken;
                }
                case 2 -> throw error;
                case 3 -> extend(sequence, Arrays.copyOf(prompt, 7)); // and no more
                default -> prefill(sequence, prompt);
            }
        };
        List<int[]> prompts =
                IntStream.rangeClosed(1, 4).mapToObj(i -> prompt(i, 2)).toList();
        WarmupReport report = namespace.warm(prompts, prefill, Retention.DEFAULT);
        assertEquals(List.of(Status.FAILED, Status.FAILED, Status.FAILED, Status.COMPUTED), statuses(report));
        assertSame(broken, report.prompts().get(0).failure());
        assertSame(error, report.prompts().get(1).failure());
        assertEquals(
                "prefill commits the whole prompt: promptTokens=9 committed=7",
                assertInstanceOf(
                                IllegalStateException.class,
                                report.prompts().get(2).failure())
                        .getMessage());
        assertNull(report.prompts().get(0).retention());
        assertEquals(4, namespace.probe(prompt(1, 2)), "what was computed stays");
        assertEquals(8, namespace.probe(prompt(4, 2)));
    }

    @Test
    void shouldFailWhereThereIsNoSlotOrNoRoomInTime() {
        KvCache cache = cache(4, 1);
        Namespace namespace = cache.namespace("a");
        WarmupOptions options = WarmupOptions.DEFAULT.withPatience(Duration.ZERO);
        WarmupReport report;
        try (Sequence hog = namespace.open(prompt(9, 1))) {
            report = namespace.warm(List.of(prompt(1, 1)), this::prefill, options);
            assertEquals(0, hog.length());
        }
        WarmedPrompt failed = report.prompts().getFirst();
        assertEquals(Status.FAILED, failed.status());
        assertEquals(
                "no slot or no room in time: patience=PT0S promptTokens=5",
                assertInstanceOf(IllegalStateException.class, failed.failure()).getMessage());
        report = namespace.warm(List.of(prompt(1, 4), prompt(1, 1)), this::prefill, options);
        assertEquals(List.of(Status.FAILED, Status.COMPUTED), statuses(report));
        assertInstanceOf(
                IllegalArgumentException.class, report.prompts().getFirst().failure(), "it can never fit");
    }

    @Test
    void shouldRefuseWhatMakesNoSense() {
        Namespace namespace = namespace();
        assertRefused(
                "prompt has no token: length=0",
                () -> namespace.warm(List.of(prompt(1, 1), new int[0]), this::prefill, Retention.DEFAULT));
        assertEquals(0, prefills.get());
        assertRefused(
                "parallelism must be positive, patience not negative: parallelism=0 patience=PT1M",
                () -> WarmupOptions.DEFAULT.withParallelism(0));
        assertRefused(
                "parallelism must be positive, patience not negative: parallelism=1 patience=PT-1S",
                () -> WarmupOptions.DEFAULT.withPatience(Duration.ofSeconds(-1)));
        assertEquals(
                0,
                namespace
                        .warm(List.of(), this::prefill, Retention.DEFAULT)
                        .prompts()
                        .size());
    }

    // ---- progress and cancellation ----

    @Test
    void shouldTellOfEveryPromptInOrderAndOneAtATime() {
        Namespace namespace = namespace();
        List<WarmupProgress> told = new ArrayList<>();
        AtomicInteger inside = new AtomicInteger();
        WarmupOptions options = WarmupOptions.DEFAULT.withParallelism(4).withProgress(progress -> {
            assertEquals(1, inside.incrementAndGet());
            Thread.yield();
            told.add(progress);
            inside.decrementAndGet();
        });
        List<int[]> prompts = IntStream.range(0, 30).mapToObj(i -> prompt(i, 1)).toList();
        Prefill prefill = (sequence, prompt) -> {
            if (prompt[0] == 7000) {
                throw new IllegalStateException("broken");
            }
            prefill(sequence, prompt);
        };
        WarmupReport report = namespace.warm(prompts, prefill, options);
        assertEquals(30, told.size());
        for (int i = 0; i < 30; i++) {
            assertEquals(i + 1, told.get(i).done());
            assertEquals(30, told.get(i).total());
        }
        List<WarmedPrompt> each =
                new ArrayList<>(told.stream().map(WarmupProgress::last).toList());
        each.sort((left, right) -> left.index() - right.index());
        assertEquals(report.prompts(), each);
        assertEquals(Status.FAILED, report.prompts().get(7).status());
    }

    @Test
    void shouldEndAndThrowWhatProgressThrows() {
        Namespace namespace = namespace();
        IllegalStateException broken = new IllegalStateException("broken");
        WarmupOptions options = WarmupOptions.DEFAULT.withProgress(progress -> {
            if (progress.done() == 2) {
                throw broken;
            }
        });
        List<int[]> prompts = IntStream.range(0, 5).mapToObj(i -> prompt(i, 1)).toList();
        assertSame(
                broken,
                assertThrows(IllegalStateException.class, () -> namespace.warm(prompts, this::prefill, options)));
        assertEquals(2, prefills.get());
        AssertionError error = new AssertionError("even an error");
        WarmupOptions worse = WarmupOptions.DEFAULT.withCancellation(() -> {
            throw error;
        });
        assertSame(error, assertThrows(AssertionError.class, () -> namespace.warm(prompts, this::prefill, worse)));
        assertEquals(2, prefills.get());
    }

    @Test
    void shouldBeCancelledBeforeAPrompt() {
        Namespace namespace = namespace();
        List<Integer> told = Collections.synchronizedList(new ArrayList<>());
        WarmupOptions options = WarmupOptions.DEFAULT
                .withCancellation(() -> prefills.get() == 2)
                .withProgress(progress -> told.add(progress.last().index()));
        List<int[]> prompts = IntStream.range(0, 5).mapToObj(i -> prompt(i, 1)).toList();
        WarmupReport report = namespace.warm(prompts, this::prefill, options);
        assertEquals(
                List.of(Status.COMPUTED, Status.COMPUTED, Status.CANCELLED, Status.CANCELLED, Status.CANCELLED),
                statuses(report));
        assertEquals(List.of(0, 1), told);
        assertEquals(
                new WarmedPrompt(4, Status.CANCELLED, 0, 0, null, null),
                report.prompts().get(4));
    }

    @Test
    void shouldBeCancelledByAnInterruptThatReachesAllPrompts() {
        Namespace namespace = namespace();
        Thread caller = Thread.currentThread();
        CountDownLatch running = new CountDownLatch(2);
        CountDownLatch never = new CountDownLatch(1);
        Prefill prefill = (sequence, prompt) -> {
            running.countDown();
            running.await();
            if (Thread.currentThread() != caller) {
                caller.interrupt();
            }
            never.await(); // in each of both threads, until it is interrupted
        };
        List<int[]> prompts = IntStream.range(0, 5).mapToObj(i -> prompt(i, 1)).toList();
        WarmupReport report = namespace.warm(prompts, prefill, WarmupOptions.DEFAULT.withParallelism(2));
        assertTrue(Thread.interrupted(), "it stays set");
        assertEquals(5, report.count(Status.CANCELLED));
    }

    @Test
    void shouldNotWaitForASlotWhenInterrupted() {
        KvCache cache = cache(10, 1);
        Namespace namespace = cache.namespace("a");
        try (Sequence hog = namespace.open(prompt(9, 1))) {
            Thread.currentThread().interrupt();
            WarmupReport report = namespace.warm(List.of(prompt(1, 1)), this::prefill, Retention.DEFAULT);
            assertTrue(Thread.interrupted());
            assertEquals(List.of(Status.CANCELLED), statuses(report));
            assertEquals(0, hog.length());
        }
        assertEquals(0, cache.stats().waitingOpens());
    }

    @Test
    void shouldFinishWhatOneThreadComputesWhenAnotherIsCancelled() {
        Namespace namespace = namespace();
        CountDownLatch cancelled = new CountDownLatch(1);
        AtomicInteger asked = new AtomicInteger();
        WarmupOptions options = WarmupOptions.DEFAULT.withParallelism(2).withCancellation(() -> {
            boolean over = asked.incrementAndGet() >= 3;
            if (over) {
                cancelled.countDown();
            }
            return over;
        });
        Prefill prefill = (sequence, prompt) -> {
            if (prompt[0] == 0) {
                cancelled.await();
            }
            prefill(sequence, prompt);
        };
        List<int[]> prompts = IntStream.range(0, 4).mapToObj(i -> prompt(i, 1)).toList();
        WarmupReport report = namespace.warm(prompts, prefill, options);
        assertEquals(List.of(Status.COMPUTED, Status.COMPUTED, Status.CANCELLED, Status.CANCELLED), statuses(report));
        assertNotNull(report.prompts().getFirst().retention());
    }
}
