package io.kvcache.tiers;

import java.io.IOException;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * Lets calls that want the same file synced share one sync, and knows whether it is synced.
 *
 * <p>Thread-safe.
 */
final class GroupSync {
    // A sync covers what was written before it began. Whoever comes joins the next round; the first one who finds
    // nobody syncing leads the round, and those who come meanwhile join the one after it:
    //
    //   A  |==== sync, round 1 ====|
    //   B     |--- waits ----------|==== sync, round 2 ====|
    //   C         |--- waits ------------------------------|

    // The system says once that a sync has failed, and takes what was written before for written from then on: the next
    // sync is a success. So who has written before a failure has failed, whichever round he comes to.

    /** Syncs a file. */
    @FunctionalInterface
    interface Sync {
        void run() throws IOException;
    }

    /** Those who share a sync. */
    private static final class Round {
        boolean done;
        long failures; // of this round and all before

        @Nullable
        IOException failure;
    }

    private final ReentrantLock lock = new ReentrantLock(); // guards what follows
    private final Condition ended = lock.newCondition();
    private Round next = new Round();
    private boolean running;
    private boolean dirty;
    private long failures;

    /** Begins with a file; a dirty one may have been written before. */
    GroupSync(boolean dirty) {
        this.dirty = dirty;
    }

    /** How many syncs have failed so far: to be known before something is written that is to be synced. */
    long failures() {
        lock.lock();
        try {
            return failures;
        } finally {
            lock.unlock();
        }
    }

    /** Says that something was written, or a part of it. */
    void written() {
        lock.lock();
        try {
            dirty = true;
        } finally {
            lock.unlock();
        }
    }

    /** Whether anything was written that is not synced. */
    boolean isDirty() {
        lock.lock();
        try {
            return dirty;
        } finally {
            lock.unlock();
        }
    }

    /**
     * Returns when what was written before the call is synced.
     *
     * @param failuresBefore what {@link #failures} was before it was written
     * @throws IOException if it is not, of whoever tried
     */
    void await(long failuresBefore, Sync sync) throws IOException {
        lock.lock();
        try {
            Round round = next;
            while (!round.done) {
                if (running) {
                    ended.awaitUninterruptibly();
                } else {
                    lead(sync);
                }
            }
            if (round.failure != null) {
                throw new IOException("sync failed: " + round.failure.getMessage(), round.failure);
            }
            if (round.failures != failuresBefore) {
                throw new IOException(
                        "a sync failed after the write: failures=" + round.failures + " before=" + failuresBefore);
            }
        } finally {
            lock.unlock();
        }
    }

    private void lead(Sync sync) {
        Round round = next;
        next = new Round();
        running = true;
        dirty = false; // what is written from now on makes it true again
        lock.unlock();
        @Nullable IOException failure = null;
        try {
            sync.run();
        } catch (IOException e) {
            failure = e;
        } catch (RuntimeException | Error e) {
            failure = new IOException(e);
        } finally {
            lock.lock();
            running = false;
            round.done = true;
            round.failure = failure;
            failures += failure == null ? 0 : 1;
            dirty |= failure != null;
            round.failures = failures;
            ended.signalAll();
        }
    }
}
