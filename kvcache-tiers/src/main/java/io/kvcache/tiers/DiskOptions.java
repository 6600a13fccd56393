package io.kvcache.tiers;

import java.time.Duration;
import java.util.Objects;
import org.agrona.concurrent.EpochClock;
import org.agrona.concurrent.NanoClock;
import org.agrona.concurrent.SystemEpochClock;
import org.agrona.concurrent.SystemNanoClock;

/**
 * How a {@link DiskStore} uses its directory.
 *
 * <p>Thread-safe: immutable.
 *
 * @param maximumBytes what its files may take together, at least one segment
 * @param segmentBytes what a file takes at most, unless a single block needs more; each is written as a whole when it
 *     is created, and a block that needs one may have to wait for that
 * @param sync whether a block that was stored survives a loss of power. Without, it survives the death of the process
 * @param readOnly whether to read only, without a lock, also while another process writes: only what was there when the
 *     store was opened, as long as it is there
 * @param recoveryNanos how long to wait in {@link DiskStore#open} until everything that is there was found, in
 *     nanoseconds; the rest is found in the background
 * @param epochClock the wall clock, by which blocks expire
 * @param nanoClock nanoseconds from any origin
 */
public record DiskOptions(
        long maximumBytes,
        long segmentBytes,
        boolean sync,
        boolean readOnly,
        long recoveryNanos,
        EpochClock epochClock,
        NanoClock nanoClock) {
    /** 64 MiB: written within a tenth of a second by most disks, and a thousand of them are 64 GiB. */
    private static final long SEGMENT_BYTES = 64L << 20;

    private static final long RECOVERY_NANOS = 2_000_000_000;

    /**
     * Makes options; {@link #of} and the {@code with} methods read better.
     *
     * @throws IllegalArgumentException if an argument is out of its range
     */
    public DiskOptions {
        if (segmentBytes <= 0 || maximumBytes < segmentBytes) {
            throw new IllegalArgumentException("must hold a segment, which is not empty: maximumBytes=" + maximumBytes
                    + " segmentBytes=" + segmentBytes);
        }
        if (recoveryNanos < 0) {
            throw new IllegalArgumentException("must not be negative: recoveryNanos=" + recoveryNanos);
        }
        Objects.requireNonNull(epochClock, "epochClock");
        Objects.requireNonNull(nanoClock, "nanoClock");
    }

    /**
     * Returns options for a size, with segments of 64 MiB (or of the whole size, if that is less), no sync, two
     * seconds for recovery, and the clocks of the system.
     *
     * @param maximumBytes positive
     * @return options
     */
    public static DiskOptions of(long maximumBytes) {
        return new DiskOptions(
                maximumBytes,
                Math.min(maximumBytes, SEGMENT_BYTES),
                false,
                false,
                RECOVERY_NANOS,
                SystemEpochClock.INSTANCE,
                SystemNanoClock.INSTANCE);
    }

    /**
     * Returns a copy with another size of segments.
     *
     * @param bytes positive, not more than the maximum
     * @return a copy
     */
    public DiskOptions withSegmentBytes(long bytes) {
        return new DiskOptions(maximumBytes, bytes, sync, readOnly, recoveryNanos, epochClock, nanoClock);
    }

    /**
     * Returns a copy that syncs, or does not. Calls at the same time share a sync.
     *
     * @param newSync whether to
     * @return a copy
     */
    public DiskOptions withSync(boolean newSync) {
        return new DiskOptions(maximumBytes, segmentBytes, newSync, readOnly, recoveryNanos, epochClock, nanoClock);
    }

    /**
     * Returns a copy that only reads, or writes too.
     *
     * @param newReadOnly whether to read only
     * @return a copy
     */
    public DiskOptions withReadOnly(boolean newReadOnly) {
        return new DiskOptions(maximumBytes, segmentBytes, sync, newReadOnly, recoveryNanos, epochClock, nanoClock);
    }

    /**
     * Returns a copy with another deadline for recovery.
     *
     * @param deadline not negative
     * @return a copy
     */
    public DiskOptions withRecoveryDeadline(Duration deadline) {
        return new DiskOptions(maximumBytes, segmentBytes, sync, readOnly, deadline.toNanos(), epochClock, nanoClock);
    }

    /**
     * Returns a copy with another wall clock.
     *
     * @param clock milliseconds since 1970
     * @return a copy
     */
    public DiskOptions withEpochClock(EpochClock clock) {
        return new DiskOptions(maximumBytes, segmentBytes, sync, readOnly, recoveryNanos, clock, nanoClock);
    }

    /**
     * Returns a copy with another clock for pauses after failures.
     *
     * @param clock nanoseconds from any origin
     * @return a copy
     */
    public DiskOptions withNanoClock(NanoClock clock) {
        return new DiskOptions(maximumBytes, segmentBytes, sync, readOnly, recoveryNanos, epochClock, clock);
    }
}
