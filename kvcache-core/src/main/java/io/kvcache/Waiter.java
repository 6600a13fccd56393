package io.kvcache;

import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * A caller who waits to open a sequence. It holds nothing meanwhile, neither a slot nor blocks, so that waiting callers never stand
 * in each other's way.
 *
 * <p>Not thread-safe: guarded by the lock of the {@link SequencePool}, {@link #park} apart.
 */
final class Waiter {
    /** A clock that stands still just before the deadline does not make it spin. */
    private static final long SHORTEST_NANOS = 100_000;

    final Partition partition;
    final int[] prompt;
    final OpenOptions options;
    final long deadline; // in nanoseconds since the cache was built
    final Claim claim = new Claim(null, this);
    private final long ticket; // waiters are served in this order
    private final Thread thread = Thread.currentThread();

    // Its neighbours among those that could go on if there were a slot and room.
    boolean queued;

    @Nullable
    Waiter earlier;

    @Nullable
    Waiter later;

    private volatile boolean woken;

    Waiter(Partition partition, int[] prompt, OpenOptions options, long deadline, long ticket) {
        this.partition = partition;
        this.prompt = prompt;
        this.options = options;
        this.deadline = deadline;
        this.ticket = ticket;
    }

    boolean cameBefore(Waiter other) {
        return ticket < other.ticket;
    }

    /** Lets it look again. */
    void wake() {
        woken = true;
        LockSupport.unpark(thread);
    }

    /** Says that it has looked, under the lock, and will park if nothing happens from now on. */
    void looked() {
        woken = false;
    }

    /**
     * Sleeps until woken, or for some time; no lock is held.
     *
     * @throws InterruptedException if the thread is or gets interrupted
     */
    void park(long nanos) throws InterruptedException {
        if (!woken) {
            LockSupport.parkNanos(this, Math.max(nanos, SHORTEST_NANOS));
        }
        if (Thread.interrupted()) {
            throw new InterruptedException("interrupted while waiting to open: namespace=" + partition.name);
        }
    }
}
