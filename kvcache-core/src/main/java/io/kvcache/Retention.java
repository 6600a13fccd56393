package io.kvcache;

import java.time.Duration;

/**
 * How long and how firmly blocks stay cached once nobody uses them.
 *
 * <p>The default is priority 50, no end and no pin: blocks stay until memory is needed. Measured on public traces of chats and
 * agents a time to live only costs hits (30 minutes below one point, 5 minutes up to eight); give one where data may not
 * outlive a time.
 *
 * <p>Thread-safe: immutable.
 *
 * @param priority 0 to 100; leaves of a lower priority are evicted first
 * @param priorityNanos how long priority and pin hold from the moment they are given, in nanoseconds; then the default of the
 *     namespace takes their place. 0: for good
 * @param ttlNanos how long a block stays, in nanoseconds; 0: without end
 * @param ttlSinceFirstUse whether the time to live counts from the moment the block was published, or this retention given;
 *     otherwise from its last release, and a block in use does not expire
 * @param jitter 0 to 1: the part of the time to live that chance may take away, so that what came together does not
 *     expire together
 * @param pinned whether the blocks, and those before them, cannot be evicted at all
 */
public record Retention(
        int priority, long priorityNanos, long ttlNanos, boolean ttlSinceFirstUse, double jitter, boolean pinned) {
    /** Until memory is needed, at priority 50. */
    public static final Retention DEFAULT = new Retention(50, 0, 0, false, 0, false);

    private static final int HIGHEST_PRIORITY = 100;

    /**
     * Makes a retention; the {@code with} methods of {@link #DEFAULT} read better.
     *
     * @throws IllegalArgumentException if an argument is out of its range
     */
    public Retention {
        if (priority < 0 || priority > HIGHEST_PRIORITY) {
            throw new IllegalArgumentException("must be from 0 to " + HIGHEST_PRIORITY + ": priority=" + priority);
        }
        if (priorityNanos < 0 || ttlNanos < 0) {
            throw new IllegalArgumentException(
                    "must not be negative: priorityNanos=" + priorityNanos + " ttlNanos=" + ttlNanos);
        }
        if (!(jitter >= 0 && jitter <= 1)) {
            throw new IllegalArgumentException("must be from 0 to 1: jitter=" + jitter);
        }
    }

    /**
     * Returns a copy with a priority for good.
     *
     * @param newPriority 0 to 100
     * @return a copy
     */
    public Retention withPriority(int newPriority) {
        return new Retention(newPriority, 0, ttlNanos, ttlSinceFirstUse, jitter, pinned);
    }

    /**
     * Returns a copy with a priority for some time.
     *
     * @param newPriority 0 to 100
     * @param duration positive
     * @return a copy
     */
    public Retention withPriority(int newPriority, Duration duration) {
        return new Retention(newPriority, positive("duration", duration), ttlNanos, ttlSinceFirstUse, jitter, pinned);
    }

    /**
     * Returns a copy with a time to live from the last use.
     *
     * @param ttl positive
     * @return a copy
     */
    public Retention withTtl(Duration ttl) {
        return new Retention(priority, priorityNanos, positive("ttl", ttl), false, jitter, pinned);
    }

    /**
     * Returns a copy with a time to live from the first use.
     *
     * @param ttl positive
     * @return a copy
     */
    public Retention withTtlSinceFirstUse(Duration ttl) {
        return new Retention(priority, priorityNanos, positive("ttl", ttl), true, jitter, pinned);
    }

    /**
     * Returns a copy whose time to live is shortened by chance. One chance is drawn for a sequence, or for a call of
     * {@link Sequence#retain}, so that the blocks of a path stay together.
     *
     * @param newJitter 0 to 1, the largest part taken away
     * @return a copy
     */
    public Retention withJitter(double newJitter) {
        return new Retention(priority, priorityNanos, ttlNanos, ttlSinceFirstUse, newJitter, pinned);
    }

    /**
     * Returns a copy that pins.
     *
     * @return a copy
     */
    public Retention withPin() {
        return new Retention(priority, priorityNanos, ttlNanos, ttlSinceFirstUse, jitter, true);
    }

    /** Refuses what could only be answered by an outcome, which a default has nobody to give to. */
    Retention checkNotPinned() {
        if (pinned) {
            throw new IllegalArgumentException(
                    "pin by Sequence.retain, which says how much the budget allows: " + this);
        }
        return this;
    }

    private static long positive(String name, Duration duration) {
        long nanos = duration.toNanos();
        if (nanos <= 0) {
            throw new IllegalArgumentException("must be positive: " + name + "=" + duration);
        }
        return nanos;
    }
}
