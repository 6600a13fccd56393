package io.kvcache;

import java.util.Objects;
import java.util.concurrent.TimeUnit;

/**
 * What goes with a block into a {@link BlockStore} and comes back with it: how long and how firmly it is to stay cached, and what
 * its elements are known to be. Times are those of the wall clock, since other processes and machines read them. A clock that
 * has been put back makes no life longer than it was when the block was stored.
 *
 * <p>Thread-safe: immutable.
 *
 * @param finite whether the block holds neither infinity nor NaN in F16; see {@link Sequence#isFinite}
 * @param retention what was left of its retention when it was stored: no jitter, no pin
 * @param storedAtMillis when it was stored, in milliseconds since 1970
 */
public record BlockNote(boolean finite, Retention retention, long storedAtMillis) {
    /** The default retention, nothing known of the elements. */
    public static final BlockNote DEFAULT = new BlockNote(false, Retention.DEFAULT, 0);

    /**
     * Makes a note.
     *
     * @throws IllegalArgumentException if the retention pins or has jitter, or the time is negative
     */
    public BlockNote {
        Objects.requireNonNull(retention, "retention");
        if (retention.pinned() || retention.jitter() != 0) {
            throw new IllegalArgumentException("a block below memory has neither pin nor jitter: " + retention);
        }
        if (storedAtMillis < 0) {
            throw new IllegalArgumentException("must not be negative: storedAtMillis=" + storedAtMillis);
        }
    }

    /**
     * Returns whether its time to live is over, counted from the moment when it was stored.
     *
     * @param nowMillis the wall clock
     * @return whether it may not be found any more
     */
    public boolean isExpired(long nowMillis) {
        return retention.ttlNanos() > 0 && ageNanos(nowMillis) >= retention.ttlNanos();
    }

    /**
     * Returns what is left of the retention. A time to live from the last use begins anew.
     *
     * @param nowMillis the wall clock, before its time to live is over
     * @param defaultPriority takes the place of a priority whose duration is over
     * @return a retention
     */
    Retention left(long nowMillis, int defaultPriority) {
        long age = ageNanos(nowMillis);
        boolean over = retention.priorityNanos() > 0 && age >= retention.priorityNanos();
        return new Retention(
                over ? defaultPriority : retention.priority(),
                over || retention.priorityNanos() == 0 ? 0 : retention.priorityNanos() - age,
                retention.ttlSinceFirstUse() && retention.ttlNanos() > 0
                        ? Math.max(1, retention.ttlNanos() - age)
                        : retention.ttlNanos(),
                retention.ttlSinceFirstUse(),
                0,
                false);
    }

    private long ageNanos(long nowMillis) {
        return TimeUnit.MILLISECONDS.toNanos(Math.max(0, nowMillis - storedAtMillis));
    }
}
