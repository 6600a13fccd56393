package io.kvcache.tiers;

import java.io.IOException;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * Lets calls that want the same file synced share one sync.
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

    /** Syncs a file. */
    @FunctionalInterface
    interface Sync {
        void run() throws IOException;
    }

    /** Those who share a sync. */
    private static final class Round {
        boolean done;

        @Nullable
        IOException failure;
    }

    private final ReentrantLock lock = new ReentrantLock(); // guards what follows
    private final Condition ended = lock.newCondition();
    private Round next = new Round();
    private boolean running;

    /**
     * Returns when what was written before the call is synced.
     *
     * @throws IOException if it is not, of whoever tried
     */
    void await(Sync sync) throws IOException {
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
        } finally {
            lock.unlock();
        }
    }

    private void lead(Sync sync) {
        Round round = next;
        next = new Round();
        running = true;
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
            ended.signalAll();
        }
    }
}
