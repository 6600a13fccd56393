package io.kvcache.remote;

import java.io.IOException;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * Does something over and over in a daemon thread of its own. After a round that failed there is a pause; the first
 * failure in a row is logged as a warning.
 *
 * <p>Thread-safe.
 */
final class Rounds implements AutoCloseable {
    private static final System.Logger LOG = System.getLogger("io.kvcache.remote");
    private static final Duration PATIENCE = Duration.ofMillis(500);
    private static final long PAUSE_MILLIS = 250;
    private static final long CLOSE_MILLIS = 2_000;

    private final String name;
    private final Work work;
    private final Thread thread;
    private final CountDownLatch closed = new CountDownLatch(1);

    /** What is done over and over, by one thread. */
    interface Work extends AutoCloseable {
        /**
         * Does it once.
         *
         * @param patience how long to wait for something to do
         * @return whether there is another round
         */
        boolean round(Duration patience) throws IOException, InterruptedException;

        /** Closes connections after a failure; another round makes new ones. */
        void disconnect();

        /** Ends it, after the last round. */
        @Override
        void close();
    }

    private Rounds(String name, Work work) {
        this.name = name;
        this.work = work;
        this.thread = Thread.ofPlatform().daemon().name(name).unstarted(this::run);
    }

    /**
     * Starts the thread.
     *
     * @param name of it, which warnings tell
     */
    static Rounds start(String name, Work work) {
        Rounds rounds = new Rounds(name, work);
        rounds.thread.start();
        return rounds;
    }

    private void run() {
        try {
            boolean failing = false;
            boolean more = true;
            while (more) {
                Exception failure = null;
                try {
                    more = work.round(PATIENCE);
                } catch (IOException | RuntimeException e) {
                    failure = e;
                }
                if (closed.getCount() == 0) {
                    return;
                }
                if (failure != null) {
                    work.disconnect();
                }
                if (failing != (failure != null)) {
                    failing = failure != null;
                    tell(failure);
                }
                more &= failure == null || !closed.await(PAUSE_MILLIS, TimeUnit.MILLISECONDS);
            }
        } catch (InterruptedException e) { // closed
            return;
        } finally {
            work.close();
        }
    }

    private void tell(@Nullable Exception failure) {
        if (failure == null) {
            LOG.log(System.Logger.Level.INFO, "{0} works again", name);
        } else {
            LOG.log(System.Logger.Level.WARNING, "{0} fails, and goes on trying: {1}", name, Replies.text(failure));
        }
    }

    /** Ends the thread, and waits for that for two seconds at most. */
    @Override
    public void close() {
        closed.countDown();
        thread.interrupt();
        try {
            thread.join(CLOSE_MILLIS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
