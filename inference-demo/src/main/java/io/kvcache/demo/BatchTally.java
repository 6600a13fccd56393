package io.kvcache.demo;

import java.util.concurrent.TimeUnit;
import org.agrona.concurrent.NanoClock;

/**
 * Adds up what became of many requests.
 *
 * <p>Not thread-safe.
 */
final class BatchTally {
    private static final double NANOS_PER_SECOND = TimeUnit.SECONDS.toNanos(1);

    private final NanoClock clock;
    private final long start;
    private int requests;
    private int failed;
    private long generatedTokens;
    private long promptTokens;
    private CachedTokens cached = CachedTokens.NONE;

    /** Starts now. */
    BatchTally(NanoClock clock) {
        this.clock = clock;
        this.start = clock.nanoTime();
    }

    void add(BatchOutcome outcome) {
        requests++;
        switch (outcome) {
            case BatchFailure failure -> failed++;
            case BatchResult result -> {
                generatedTokens += result.generatedTokens();
                promptTokens += result.promptTokens();
                cached = cached.plus(result.cachedTokensByTier());
            }
        }
    }

    int failed() {
        return failed;
    }

    /** The sums until now, with what the loop says of itself. */
    BatchSummary summary(LoopStats loop) {
        double seconds = (clock.nanoTime() - start) / NANOS_PER_SECOND;
        return new BatchSummary(
                requests,
                failed,
                generatedTokens,
                seconds,
                seconds == 0 ? 0 : generatedTokens / seconds,
                promptTokens,
                cached.total(),
                cached,
                loop.preemptions(),
                loop.recomputedTokens(),
                loop.draftedTokens(),
                loop.acceptedTokens(),
                loop.draftedTokens() == 0 ? null : loop.acceptanceRatio(),
                loop.wasteRatio(),
                loop.bookkeepingRatio());
    }
}
