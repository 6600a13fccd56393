package io.kvcache.tiers;

/**
 * A slot that a call reads or has for itself, as it was when the call got it.
 *
 * <p>Thread-safe: immutable, but for the segment.
 *
 * @param entry in the table
 * @param segment where it is
 * @param number in the segment
 * @param generation of the block that is in it or comes into it
 * @param expiryMillis the millisecond since 1970 from which the block is over
 * @param clean whether the header in the file holds zeros
 */
record Slot(int entry, Segment segment, int number, long generation, long expiryMillis, boolean clean) {
    boolean isExpired(long nowMillis) {
        return nowMillis >= expiryMillis;
    }
}
