package io.kvcache.tiers;

/**
 * What a call that wants a slot has to do next.
 *
 * <p>Thread-safe: immutable.
 */
sealed interface Step {
    /** Write into a slot, which the caller owns now. */
    record Use(Slot slot) implements Step {}

    /** Create a segment of so many slots, and ask again. Nobody else does until it is attached or has failed. */
    record Grow(long segment, int slots) implements Step {}

    /** Delete a segment, which nobody uses or can find any more, and ask again. Nobody else does until then. */
    record Delete(Segment segment) implements Step {}

    /** Nothing: the store is full of what is in use, or the namespace was erased. */
    record Decline() implements Step {}

    /** Say that the disk was full a moment ago, or a file could not be deleted. */
    record Fail() implements Step {}
}
