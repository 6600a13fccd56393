package io.kvcache.attention;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.BlockOrder;
import io.kvcache.KvLayout;
import io.kvcache.KvType;
import io.kvcache.Sequence;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Queue;
import java.util.Random;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Helpers may come, come late or stay away: results are the same to the last bit. */
@Timeout(60)
final class AttentionThreadsTest {
    private static final int QUERY_HEADS = 4;
    private static final int THREADS = 4;
    private static final int RUNS = 50;
    private static final KvLayout LAYOUT = Filled.layout(KvType.F16, BlockOrder.TILES, 2, 32, 16);

    private final Filled filled = new Filled(LAYOUT, new Random(5), 1024);
    private final AttentionBatch batch = new AttentionBatch();
    private final float[] queries;
    private final float[] expected;

    AttentionThreadsTest() {
        Sequence first = filled.open(3000);
        Sequence second = filled.fork(first, 700);
        batch.add(first)
                .add(second, second.length() - 5, 5)
                .add(filled.open(900))
                .add(filled.open(10));
        queries = filled.gaussian(batch.rows() * QUERY_HEADS * 32);
        expected = attend(attention(command -> {}));
    }

    @AfterEach
    void close() {
        filled.close();
    }

    private static PagedAttention attention(Executor executor) {
        return PagedAttention.builder(LAYOUT, QUERY_HEADS)
                .threads(executor, THREADS)
                .build();
    }

    /** Outputs, and log-sum-exps behind them. */
    private float[] attend(PagedAttention attention) {
        return attend(attention, batch, queries);
    }

    private static float[] attend(PagedAttention attention, AttentionBatch of, float[] input) {
        int outputs = of.rows() * QUERY_HEADS * 32;
        float[] results = new float[outputs + of.rows() * QUERY_HEADS];
        float[] logSumExp = new float[of.rows() * QUERY_HEADS];
        Arrays.fill(results, Float.NaN);
        attention.attend(of, 0, input, 0, results, 0, logSumExp, 0);
        System.arraycopy(logSumExp, 0, results, outputs, logSumExp.length);
        return results;
    }

    private void assertSameOverRuns(Executor executor) {
        PagedAttention attention = attention(executor);
        for (int run = 0; run < RUNS; run++) {
            assertArrayEquals(expected, attend(attention), "run=" + run);
        }
    }

    @Test
    void shouldBeWorthSeveralTasks() {
        AttentionPlan plan = new AttentionPlan(16, 2, 128, THREADS);
        plan.make(batch, AttentionOptions.DEFAULT);
        assertTrue(plan.tasks() >= 2 * THREADS, () -> "tasks=" + plan.tasks());
        float[] alone = attend(new PagedAttention(LAYOUT, QUERY_HEADS));
        assertArrayEquals(alone, expected, 1e-4f); // another cut: other rounding
    }

    @Test
    void shouldGiveTheSameWithHelpers() {
        try (ExecutorService executor = Executors.newFixedThreadPool(THREADS)) {
            assertSameOverRuns(executor);
        }
    }

    @Test
    void shouldGiveTheSameWithFewerHelpersThanAskedFor() {
        try (ExecutorService executor = Executors.newSingleThreadExecutor()) {
            assertSameOverRuns(executor);
        }
    }

    @Test
    void shouldGiveTheSameOnVirtualThreads() {
        try (ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor()) {
            assertSameOverRuns(executor);
        }
    }

    @Test
    void shouldGiveTheSameIfTheCallerRunsTheHelpers() {
        assertSameOverRuns(Runnable::run);
    }

    @Test
    void shouldGiveTheSameIfHelpersNeverRun() {
        assertSameOverRuns(command -> {});
    }

    @Test
    void shouldGiveTheSameIfHelpersAreRejected() {
        AtomicInteger calls = new AtomicInteger();
        assertSameOverRuns(command -> {
            calls.incrementAndGet();
            throw new RejectedExecutionException("full");
        });
        assertEquals(RUNS, calls.get(), "once refused, nobody else is called; in the next call they are again");
        try (ExecutorService executor = Executors.newFixedThreadPool(THREADS)) {
            assertSameOverRuns(command -> {
                if (calls.incrementAndGet() % 3 == 0) {
                    throw new RejectedExecutionException("full");
                }
                executor.execute(command);
            });
        }
    }

    @Test
    void shouldGiveTheSameIfHelpersRunBetweenCalls() {
        Queue<Runnable> queued = new ArrayDeque<>();
        PagedAttention attention = attention(queued::add);
        for (int run = 0; run < RUNS; run++) {
            float[] results = attend(attention);
            assertArrayEquals(expected, results, "run=" + run);
            assertEquals(THREADS - 1, queued.size());
            if (run % 2 == 1) {
                float[] before = results.clone();
                while (!queued.isEmpty()) {
                    queued.remove().run();
                }
                assertArrayEquals(before, results);
            }
        }
    }

    /** Helpers of an earlier call start on other threads, while later calls for other rows run. */
    @Test
    void shouldGiveTheSameIfHelpersRunDuringLaterCalls() throws InterruptedException {
        Queue<Runnable> queued = new ConcurrentLinkedQueue<>();
        AtomicInteger ran = new AtomicInteger();
        PagedAttention attention = attention(queued::add);
        AttentionBatch other = new AttentionBatch().add(filled.open(2000), 1990, 10);
        float[] otherQueries = filled.gaussian(other.rows() * QUERY_HEADS * 32);
        float[] otherExpected = attend(attention(command -> {}), other, otherQueries);
        Thread[] late = new Thread[2];
        for (int i = 0; i < late.length; i++) {
            late[i] = new Thread(() -> {
                while (!Thread.currentThread().isInterrupted()) {
                    Runnable helper = queued.poll();
                    if (helper != null) {
                        helper.run();
                        ran.incrementAndGet();
                    }
                    Thread.onSpinWait();
                }
            });
            late[i].start();
        }
        try {
            int run = 0;
            for (; run < RUNS || ran.get() < RUNS / 5; run++) {
                assertArrayEquals(expected, attend(attention), "run=" + run);
                assertArrayEquals(otherExpected, attend(attention, other, otherQueries), "run=" + run);
            }
        } finally {
            for (Thread thread : late) {
                thread.interrupt();
            }
            for (Thread thread : late) {
                thread.join();
            }
        }
    }

    @Test
    void shouldThrowInTheCallerWhatATaskThrows() {
        int tasks = 20;
        try (ExecutorService executor = Executors.newFixedThreadPool(THREADS)) {
            for (Executor each : new Executor[] {executor, Runnable::run, command -> {}}) {
                Crew crew = new Crew(each, THREADS);
                for (int failing = 0; failing < tasks; failing++) {
                    int broken = failing;
                    RuntimeException thrown = new IllegalArgumentException("broken");
                    assertSame(
                            thrown,
                            assertThrows(
                                    RuntimeException.class,
                                    () -> crew.run(tasks, (worker, task) -> {
                                        if (task == broken) {
                                            throw thrown;
                                        }
                                    })));
                    AtomicIntegerArray done = new AtomicIntegerArray(tasks);
                    crew.run(tasks, (worker, task) -> done.incrementAndGet(task));
                    for (int task = 0; task < tasks; task++) {
                        assertEquals(1, done.get(task));
                    }
                }
            }
        }
    }

    @Test
    void shouldRefuseAClosedSequenceAndWorkAgain() {
        PagedAttention attention = attention(Runnable::run);
        Sequence sequence = filled.open(500);
        AttentionBatch closed =
                new AttentionBatch().add(filled.sequences.getFirst()).add(sequence);
        float[] input = filled.gaussian(2 * QUERY_HEADS * 32);
        attend(attention, closed, input);
        sequence.close();
        assertThrows(IllegalStateException.class, () -> attend(attention, closed, input));
        assertArrayEquals(expected, attend(attention));
    }

    /** Not a rejection, but an executor that is broken: no helper may work on behind the caller's back. */
    @Test
    void shouldLetNobodyWorkOnceTheExecutorHasThrown() {
        Queue<Runnable> queued = new ArrayDeque<>();
        IllegalStateException broken = new IllegalStateException("broken");
        AtomicInteger calls = new AtomicInteger();
        Crew crew = new Crew(
                command -> {
                    if (calls.incrementAndGet() == 2) {
                        throw broken;
                    }
                    queued.add(command);
                },
                THREADS);
        AtomicInteger done = new AtomicInteger();
        assertSame(
                broken,
                assertThrows(
                        IllegalStateException.class, () -> crew.run(20, (worker, task) -> done.incrementAndGet())));
        int before = done.get();
        assertFalse(queued.isEmpty());
        queued.remove().run();
        assertEquals(before, done.get(), "a helper worked without a call");
        crew.run(20, (worker, task) -> done.incrementAndGet());
        assertEquals(before + 20, done.get());
    }
}
