package io.kvcache;

import java.util.concurrent.TimeUnit;

/**
 * Leaves a tier alone while its calls fail (a circuit breaker; Nygard, "Release It!", 2007): after five failures in a row, or ten among
 * the last twenty calls. Then one call at a time is let through as a probe, first after 250 ms, later every 500 ms, until one succeeds.
 * Calls that find nothing out, like a look-up for what is not there, do not count; if one was the probe, the next call is.
 *
 * <p>Thread-safe.
 */
final class Breaker {
    static final long FIRST_PAUSE_NANOS = TimeUnit.MILLISECONDS.toNanos(250);
    static final long LONGEST_PAUSE_NANOS = TimeUnit.MILLISECONDS.toNanos(500);

    private static final int FAILURES_IN_A_ROW = 5;
    private static final int FAILURES = 10;
    private static final int LAST_CALLS = (1 << 20) - 1; // a bit for each of twenty calls

    private int failuresInARow;
    private int failures; // the last calls, newest in the lowest bit; 1: it failed
    private boolean open;
    private long pauseNanos;
    private long probeAt;
    private long pauses;

    /** Whether calls go through at all times, probes apart. */
    synchronized boolean isClosed() {
        return !open;
    }

    /** Whether {@link #enter} would let a call through. */
    synchronized boolean admits(long now) {
        return !open || now >= probeAt;
    }

    /** Returns whether a call may go through. One that does tells what became of it, or {@link #leave leaves}. */
    synchronized boolean enter(long now) {
        if (!open) {
            return true;
        }
        if (now < probeAt) {
            return false;
        }
        probeAt = now + LONGEST_PAUSE_NANOS; // if this probe never ends, another one goes then
        return true;
    }

    /** Says that a call that was let through has found out nothing: another may be the probe. */
    synchronized void leave(long now) {
        if (open) {
            probeAt = Math.min(probeAt, now);
        }
    }

    /** Counts a call that went well; returns whether that ends a pause. */
    synchronized boolean succeeded() {
        boolean ends = open;
        failuresInARow = 0;
        failures = open ? 0 : failures << 1 & LAST_CALLS;
        open = false;
        return ends;
    }

    /** Counts a call that failed; returns whether that begins a pause. */
    synchronized boolean failed(long now) {
        if (open) {
            pauseNanos = Math.min(2 * pauseNanos, LONGEST_PAUSE_NANOS);
            probeAt = now + pauseNanos;
            return false;
        }
        failuresInARow++;
        failures = (failures << 1 | 1) & LAST_CALLS;
        if (failuresInARow >= FAILURES_IN_A_ROW || Integer.bitCount(failures) >= FAILURES) {
            open = true;
            pauseNanos = FIRST_PAUSE_NANOS;
            probeAt = now + pauseNanos;
            failuresInARow = 0;
            pauses++;
        }
        return open;
    }

    /** How often calls began to be held back. */
    synchronized long pauses() {
        return pauses;
    }
}
