package io.kvcache;

import java.util.Objects;

/**
 * What a partition of a cache may take and how long its blocks stay. Bytes are counted in whole blocks, those in use and
 * those cached.
 *
 * <p>Thread-safe: immutable.
 *
 * @param floorBytes memory guaranteed to it, rounded up to blocks: others get no more than what leaves so much. What a
 *     namespace has beyond its floor is borrowed, and is reclaimed first when others need room
 * @param ceilingBytes memory that it never exceeds, rounded down to blocks: there it evicts blocks of its own, then is
 *     refused
 * @param pinnedBytes memory that it may pin, rounded down to blocks
 * @param retention of what its sequences publish, where they say nothing else; not pinned
 */
public record NamespaceOptions(long floorBytes, long ceilingBytes, long pinnedBytes, Retention retention) {
    /** No floor, no ceiling, no pins, {@link Retention#DEFAULT}. */
    public static final NamespaceOptions DEFAULT = new NamespaceOptions(0, Long.MAX_VALUE, 0, Retention.DEFAULT);

    /**
     * Makes options; the {@code with} methods of {@link #DEFAULT} read better.
     *
     * @throws IllegalArgumentException if the floor is above the ceiling, a number is negative, or the retention pins
     */
    public NamespaceOptions {
        if (floorBytes < 0 || ceilingBytes < floorBytes || pinnedBytes < 0) {
            throw new IllegalArgumentException(
                    "floor and pins must not be negative, the ceiling not below the floor: floorBytes=" + floorBytes
                            + " ceilingBytes=" + ceilingBytes + " pinnedBytes=" + pinnedBytes);
        }
        Objects.requireNonNull(retention, "retention").checkNotPinned();
    }

    /**
     * Returns a copy with another floor.
     *
     * @param bytes not negative
     * @return a copy
     */
    public NamespaceOptions withFloorBytes(long bytes) {
        return new NamespaceOptions(bytes, ceilingBytes, pinnedBytes, retention);
    }

    /**
     * Returns a copy with another ceiling.
     *
     * @param bytes at least a block
     * @return a copy
     */
    public NamespaceOptions withCeilingBytes(long bytes) {
        return new NamespaceOptions(floorBytes, bytes, pinnedBytes, retention);
    }

    /**
     * Returns a copy with another budget for pins.
     *
     * @param bytes not negative
     * @return a copy
     */
    public NamespaceOptions withPinnedBytes(long bytes) {
        return new NamespaceOptions(floorBytes, ceilingBytes, bytes, retention);
    }

    /**
     * Returns a copy with another default retention.
     *
     * @param newRetention not pinned
     * @return a copy
     */
    public NamespaceOptions withRetention(Retention newRetention) {
        return new NamespaceOptions(floorBytes, ceilingBytes, pinnedBytes, newRetention);
    }
}
