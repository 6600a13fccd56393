package io.kvcache;

import java.util.EnumMap;
import java.util.Map;

/**
 * The counts behind {@link Traffic}, of one namespace.
 *
 * <p>Not thread-safe: guarded by the lock of the {@link SequencePool}.
 */
@SuppressWarnings("EnumOrdinal") // counts in an array: no garbage on the way
final class TrafficCounters {
    private static final MissReason[] REASONS = MissReason.values();

    long opened;
    long promptTokens;
    long hitTokens;
    long adoptedTokens;
    long loadedTokens;
    long publishedBlocks;
    long loadedBlocks;
    long evictedBlocks;
    long expiredBlocks;
    long erasedBlocks;
    long recomputedBlocks;
    long recomputedAfterNanos;
    long waits;
    long waitedNanos;
    long timeouts;
    long refusals;
    long sessionHits;
    long sessionMisses;
    long droppedSessions;
    private final long[] missedTokens = new long[REASONS.length];

    /** Counts a sequence that was opened with a prompt of which the first {@code matched} tokens were found. */
    void opened(int tokens, int matched, MissReason reason) {
        opened++;
        promptTokens += tokens;
        hitTokens += matched;
        missedTokens[reason.ordinal()] += tokens - 1 - matched;
    }

    /** Counts a block that was computed; {@code age} is the time since its eviction, -1 if it was not evicted. */
    void published(long age) {
        publishedBlocks++;
        if (age >= 0) {
            recomputedBlocks++;
            recomputedAfterNanos += age;
        }
    }

    /** Counts an open that did not go through at once. */
    void waited(long nanos) {
        waits++;
        waitedNanos += nanos;
    }

    Traffic snapshot() {
        Map<MissReason, Long> missed = new EnumMap<>(MissReason.class);
        for (MissReason reason : REASONS) {
            missed.put(reason, missedTokens[reason.ordinal()]);
        }
        return new Traffic(
                opened,
                promptTokens,
                hitTokens,
                missed,
                adoptedTokens,
                loadedTokens,
                publishedBlocks,
                loadedBlocks,
                evictedBlocks,
                expiredBlocks,
                erasedBlocks,
                recomputedBlocks,
                recomputedAfterNanos,
                waits,
                waitedNanos,
                timeouts,
                refusals,
                sessionHits,
                sessionMisses,
                droppedSessions);
    }
}
