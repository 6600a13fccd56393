package io.kvcache;

/**
 * What became of a wish to retain.
 *
 * <p>Thread-safe: immutable.
 *
 * @param status in one word
 * @param retained blocks that are retained as asked
 * @param asked whole blocks in the range
 */
public record RetentionOutcome(Status status, int retained, int asked) {
    /** Whether all, some or no blocks are retained as asked. */
    public enum Status {
        /** All. */
        ACCEPTED,
        /** The first ones; the others stay as they were: the budget for pins has run out, or they are not published. */
        CLIPPED,
        /** None. */
        REJECTED
    }

    static RetentionOutcome of(int retained, int asked) {
        Status partly = retained == 0 ? Status.REJECTED : Status.CLIPPED;
        return new RetentionOutcome(retained == asked ? Status.ACCEPTED : partly, retained, asked);
    }
}
