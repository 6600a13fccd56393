package io.kvcache.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.CacheStats;
import io.kvcache.Sequence;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.HdrHistogram.Histogram;
import org.agrona.concurrent.CachedNanoClock;
import org.junit.jupiter.api.Test;

final class SteadyWorkerTest {
    private static final long BYTES = 32L << 20; // 16,384 tokens

    private record Outcome(SteadyTally tally, CacheStats stats) {}

    private static Outcome work(int requests) {
        CachedNanoClock clock = new CachedNanoClock();
        try (SteadyCache cache = new SteadyCache(BYTES, clock, 7)) {
            SteadyWorker worker = new SteadyWorker(cache, 0);
            for (int i = 0; i < requests; i++) {
                clock.advance(TimeUnit.MILLISECONDS.toNanos(10));
                worker.request();
            }
            assertEquals(requests, timed(worker, TimedOperation.REQUEST));
            assertEquals(worker.tally().opened(), timed(worker, TimedOperation.OPEN));
            assertTrue(
                    timed(worker, TimedOperation.RESERVE) > 15L * requests,
                    "answers have 16 tokens or more, where they have room");
            assertTrue(
                    timed(worker, TimedOperation.COMMIT) > 15L * requests,
                    "answers have 16 tokens or more, where they have room");
            assertEquals(0, timed(worker, TimedOperation.REQUEST), "collected before");
            return new Outcome(worker.tally(), cache.stats());
        }
    }

    private static long timed(SteadyWorker worker, TimedOperation operation) {
        Histogram histogram = LatencyRecorder.newHistogram();
        worker.latencies().collect(operation, histogram);
        return histogram.getTotalCount();
    }

    @Test
    void shouldDoTheSameTwice() {
        assertEquals(work(1_500), work(1_500));
    }

    @Test
    void shouldDoEverything() {
        Outcome outcome = work(4_000);
        SteadyTally tally = outcome.tally;
        assertEquals(4_000, tally.requests());
        assertTrue(tally.refused() < 40, tally.toString());
        assertEquals(4_000, tally.opened() + tally.continued());
        assertTrue(tally.continued() > 100, tally.toString());
        assertTrue(tally.stored() > 500, tally.toString());
        assertTrue(tally.forks() > 300, tally.toString());
        assertTrue(tally.truncates() > 300, tally.toString());
        assertTrue(tally.pins() > 300, tally.toString());
        assertTrue(tally.erasures() > 1, tally.toString());
        assertTrue(tally.checkedTokens() > 500, tally.toString());

        CacheStats stats = outcome.stats;
        assertEquals(0, stats.openSequences());
        assertEquals(stats.maximumBlocks(), stats.allocatedBlocks());
        assertEquals(tally.opened(), stats.traffic().opened());
        assertTrue(stats.traffic().hitTokens() > 0, stats.toString());
        assertTrue(stats.traffic().evictedBlocks() > 10_000, stats.toString());
        assertTrue(stats.traffic().expiredBlocks() > 0, stats.toString());
        assertTrue(stats.traffic().erasedBlocks() > 0, stats.toString());
        assertTrue(stats.pinnedBlocks() > 0, stats.toString());
    }

    @Test
    void shouldFindKeysOfAnotherToken() {
        int[] tokens = {1, 2, 3};
        SteadyRows rows = new SteadyRows();
        try (SteadyCache cache = new SteadyCache(BYTES, new CachedNanoClock(), 7);
                Sequence sequence = cache.namespace(0).open(tokens)) {
            assertTrue(sequence.tryReserve(3));
            rows.write(sequence, new int[] {1, 7, 3}, 0, 3);
            sequence.commit(tokens);
            rows.check(sequence, 1, 2);
            assertThrows(IllegalStateException.class, () -> rows.check(sequence, 1, 1));
        }
    }

    @Test
    void shouldChooseByZipf() {
        SkewedChoice choice = new SkewedChoice(4);
        SplittableRandom random = new SplittableRandom(3);
        int[] chosen = new int[4];
        for (int i = 0; i < 25_000; i++) {
            chosen[choice.choose(random)]++;
        }
        for (int number = 0; number < 4; number++) {
            assertEquals(12_000.0 / (number + 1), chosen[number], 300); // 1 + 1/2 + 1/3 + 1/4 = 25/12
        }
    }

    @Test
    void shouldMakePromptsThatShareAPrefixOnly() {
        SteadyPrompts one = new SteadyPrompts(0, 10);
        SteadyPrompts other = new SteadyPrompts(1, 10);
        for (int prefix = 0; prefix < SteadyPrompts.PREFIXES; prefix += 7) {
            int[] first = one.prompt(prefix, 3).clone();
            int[] second = other.prompt(prefix, 5);
            assertEquals(first.length + 2, second.length);
            for (int i = 0; i < first.length; i++) {
                assertEquals(i < first.length - 3, first[i] == second[i]);
            }
        }
    }
}
