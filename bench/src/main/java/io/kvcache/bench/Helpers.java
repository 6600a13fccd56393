package io.kvcache.bench;

import java.util.Arrays;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * Threads that take turns with tasks. Unlike the executors of the JDK it allocates nothing for a task, so that {@code -prof gc}
 * shows what the code under test allocates.
 *
 * <p>Not thread-safe: one caller.
 */
final class Helpers implements Executor, AutoCloseable {
    private static final int SPINS = 10_000;

    private final Helper[] helpers;
    private final RejectedExecutionException busy = new RejectedExecutionException("helper has a task to begin with");
    private int next;
    private volatile boolean closed;

    Helpers(int threads) {
        helpers = new Helper[threads];
        Arrays.setAll(helpers, number -> new Helper());
        for (Helper helper : helpers) {
            helper.thread.start();
        }
    }

    /** Gives the task to the thread whose turn it is; refuses where that one has a task that it has not begun. */
    @Override
    public void execute(Runnable task) {
        if (helpers.length == 0) {
            throw new RejectedExecutionException("there are no helpers");
        }
        Helper helper = helpers[next];
        next = (next + 1) % helpers.length;
        if (!helper.task.compareAndSet(null, task)) {
            throw busy;
        }
        LockSupport.unpark(helper.thread);
    }

    /** Lets the threads end, without waiting for them. */
    @Override
    public void close() {
        closed = true;
        for (Helper helper : helpers) {
            LockSupport.unpark(helper.thread);
        }
    }

    private final class Helper {
        final AtomicReference<@Nullable Runnable> task = new AtomicReference<>();
        final Thread thread = Thread.ofPlatform().daemon().name("helper").unstarted(this::run);

        private void run() {
            int spins = 0;
            while (!closed) {
                Runnable taken = task.get() == null ? null : task.getAndSet(null);
                if (taken != null) {
                    taken.run();
                    spins = 0;
                } else if (++spins < SPINS) {
                    Thread.onSpinWait();
                } else {
                    LockSupport.park(this);
                }
            }
        }
    }
}
