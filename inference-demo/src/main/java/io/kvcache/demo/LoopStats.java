package io.kvcache.demo;

/**
 * What a {@link DecodeLoop} has done since it was made.
 *
 * <p>Immutable, hence thread-safe.
 *
 * @param running samples that run now
 * @param waiting requests that wait now
 * @param completed requests that came to their end
 * @param cancelled requests that somebody else ended
 * @param failed requests that an exception of their listener ended, or for which there was no room
 * @param steps batches computed
 * @param computedTokens tokens computed in them
 * @param generatedTokens tokens chosen
 * @param preemptions how often a request had to make room for others
 * @param recomputedTokens tokens that were computed again for that
 * @param draftedTokens guesses verified
 * @param acceptedTokens guesses that were right
 * @param shifts how often a full context was shifted
 * @param stepNanos time in all steps
 * @param modelNanos the part of it that the model took
 * @param choiceNanos the part of it in which tokens were chosen from logits
 * @param heldSlotNanos slots of the running sequences' blocks, times the time that they were held
 * @param unusedSlotNanos the part of it in which they held no token
 */
public record LoopStats(
        int running,
        int waiting,
        long completed,
        long cancelled,
        long failed,
        long steps,
        long computedTokens,
        long generatedTokens,
        long preemptions,
        long recomputedTokens,
        long draftedTokens,
        long acceptedTokens,
        long shifts,
        long stepNanos,
        long modelNanos,
        long choiceNanos,
        double heldSlotNanos,
        double unusedSlotNanos) {
    /** The share of the time that the loop's own bookkeeping took, listeners included. */
    public double bookkeepingRatio() {
        return ratio((double) (stepNanos - modelNanos - choiceNanos), (double) stepNanos);
    }

    /** The share of the guesses that were right. */
    public double acceptanceRatio() {
        return ratio((double) acceptedTokens, (double) draftedTokens);
    }

    /** The share of the held slots that had no token, on average over time. */
    public double wasteRatio() {
        return ratio(unusedSlotNanos, heldSlotNanos);
    }

    private static double ratio(double part, double whole) {
        return whole == 0 ? 0 : part / whole;
    }
}
