package io.kvcache.bench;

import java.util.List;

/**
 * What a way to keep keys and values made of a memory.
 *
 * <p>Thread-safe: immutable.
 *
 * @param steps in which each running sequence grew by a token
 * @param peakSequences that ran in one step
 * @param meanSequences that ran, over all steps
 * @param meanReservedSlots taken at the end of a step, over all steps
 * @param meanUsedTokens in them
 * @param peakReservedSlots taken at any moment, also between steps
 * @param preemptions sequences that gave way
 * @param recomputedTokens tokens that these had when they started again
 * @param timeline the same in the course of time
 */
record MemoryOutcome(
        long steps,
        int peakSequences,
        double meanSequences,
        double meanReservedSlots,
        double meanUsedTokens,
        long peakReservedSlots,
        long preemptions,
        long recomputedTokens,
        List<Moment> timeline) {
    MemoryOutcome {
        timeline = List.copyOf(timeline);
    }

    /** The share of what is taken that holds no token. */
    double wasteShare() {
        return 1 - meanUsedTokens / meanReservedSlots;
    }

    /**
     * The mean over some consecutive steps.
     *
     * @param step the first of them
     * @param sequences that ran
     * @param reservedSlots taken
     * @param usedTokens in them
     */
    record Moment(long step, double sequences, double reservedSlots, double usedTokens) {}
}
