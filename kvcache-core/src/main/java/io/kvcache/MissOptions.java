package io.kvcache;

import java.time.Duration;

/**
 * For how long, and for how many blocks, it is remembered that a {@link BlockStore} has not got them.
 *
 * <p>Thread-safe: immutable.
 *
 * @param timeNanos how long a miss is remembered, in nanoseconds: for so long a block may stay unseen that another process
 *     has stored
 * @param jitter 0 to 1: the part of the time that chance may take away, so that what was missed together is not asked for
 *     again together
 * @param maximumEntries misses remembered at most, the newest ones, at 48 bytes of heap or less for each
 */
public record MissOptions(long timeNanos, double jitter, int maximumEntries) {
    /** One second, of which chance takes away up to a quarter; 65,536 entries, 3 MiB. */
    public static final MissOptions DEFAULT = new MissOptions(1_000_000_000, 0.25, 1 << 16);

    private static final int MOST_ENTRIES = 1 << 24;

    /**
     * Makes options; the {@code with} methods of {@link #DEFAULT} read better.
     *
     * @throws IllegalArgumentException if an argument is out of its range
     */
    public MissOptions {
        if (timeNanos <= 0) {
            throw new IllegalArgumentException("must be positive: timeNanos=" + timeNanos);
        }
        if (!(jitter >= 0 && jitter <= 1)) {
            throw new IllegalArgumentException("must be from 0 to 1: jitter=" + jitter);
        }
        if (maximumEntries <= 0 || maximumEntries > MOST_ENTRIES) {
            throw new IllegalArgumentException(
                    "must be from 1 to " + MOST_ENTRIES + ": maximumEntries=" + maximumEntries);
        }
    }

    /**
     * Returns a copy with another time.
     *
     * @param time positive
     * @return a copy
     */
    public MissOptions withTime(Duration time) {
        return new MissOptions(time.toNanos(), jitter, maximumEntries);
    }

    /**
     * Returns a copy with another jitter.
     *
     * @param newJitter 0 to 1, the largest part taken away
     * @return a copy
     */
    public MissOptions withJitter(double newJitter) {
        return new MissOptions(timeNanos, newJitter, maximumEntries);
    }

    /**
     * Returns a copy with another bound.
     *
     * @param entries 1 to 16,777,216
     * @return a copy
     */
    public MissOptions withMaximumEntries(int entries) {
        return new MissOptions(timeNanos, jitter, entries);
    }
}
