package io.kvcache.remote;

import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Phaser;

/** Runs the calls of a tier, and tells when none is under way. */
final class CountingExecutor implements Executor, AutoCloseable {
    private static final int THREADS = 8;

    private final ExecutorService threads = Executors.newFixedThreadPool(THREADS);
    private final Phaser calls = new Phaser(1);

    @Override
    public void execute(Runnable call) {
        calls.register();
        threads.execute(() -> {
            try {
                call.run();
            } finally {
                calls.arriveAndDeregister();
            }
        });
    }

    /** Waits until no call is under way, those included that others have begun meanwhile. */
    void awaitIdle() {
        while (calls.getRegisteredParties() > 1) {
            calls.arriveAndAwaitAdvance();
        }
    }

    @Override
    public void close() {
        threads.close();
    }
}
