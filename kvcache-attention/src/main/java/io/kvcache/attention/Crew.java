package io.kvcache.attention;

import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * Lets threads of an executor help the caller with the tasks of a call. The caller works too, and needs nobody: tasks that no
 * helper has begun it does itself, so that a busy executor, or one that refuses, costs time only.
 *
 * <p>Not thread-safe: one call at a time.
 */
final class Crew {
    // A helper may be late: it starts when the call that asked for it, or several, are over. So it enters only while a
    // call is open,
    // and the caller leaves only when all who have entered are out. One number says both: helpers inside, and CLOSED.
    private static final int CLOSED = 1 << 30;

    private final Executor executor;
    private final Helper[] helpers;
    private final AtomicInteger inside = new AtomicInteger(CLOSED);
    private final AtomicInteger nextTask = new AtomicInteger();
    private int tasks;
    private Work work = (worker, task) -> {};
    private volatile @Nullable Thread waiting;
    private volatile @Nullable Throwable failure;

    /** One task of a call. */
    @FunctionalInterface
    interface Work {
        /**
         * Does a task.
         *
         * @param worker the thread's number, from 0
         */
        void run(int worker, int task);
    }

    Crew(Executor executor, int threads) {
        this.executor = executor;
        this.helpers = new Helper[threads - 1];
        for (int i = 0; i < helpers.length; i++) {
            helpers[i] = new Helper(i + 1);
        }
    }

    /** Does all tasks, each once. What one throws is thrown when all threads have stopped. */
    void run(int count, Work what) {
        if (count <= 1 || helpers.length == 0) {
            for (int task = 0; task < count; task++) {
                what.run(0, task);
            }
            return;
        }
        tasks = count;
        work = what;
        failure = null;
        nextTask.set(0);
        inside.set(0);
        call(Math.min(helpers.length, count - 1));
        takeTasks(0);
        awaitHelpers();
        rethrow();
    }

    private void call(int wanted) {
        for (int i = 0; i < wanted; i++) {
            if (helpers[i].called.compareAndSet(false, true)) {
                try {
                    executor.execute(helpers[i]);
                } catch (RejectedExecutionException e) {
                    helpers[i].called.set(false);
                    return;
                } catch (Throwable e) { // thrown again when those who came are out
                    helpers[i].called.set(false);
                    nextTask.set(tasks);
                    failure = e;
                    return;
                }
            }
        }
    }

    private void takeTasks(int worker) {
        try {
            for (int task = nextTask.getAndIncrement(); task < tasks; task = nextTask.getAndIncrement()) {
                work.run(worker, task);
            }
        } catch (Throwable e) {
            nextTask.set(tasks);
            failure = e;
        }
    }

    private void awaitHelpers() {
        waiting = Thread.currentThread();
        inside.addAndGet(CLOSED);
        int spins = 0;
        while (inside.get() != CLOSED) {
            if (++spins < 1_000) {
                Thread.onSpinWait();
            } else {
                LockSupport.park(this);
            }
        }
        waiting = null;
    }

    private void rethrow() {
        Throwable thrown = failure;
        if (thrown instanceof RuntimeException e) {
            throw e;
        }
        if (thrown instanceof Error e) {
            throw e;
        }
    }

    /** A place for a thread of the executor. */
    private final class Helper implements Runnable {
        /** From the call until its thread is done, so that no two threads have its number. */
        final AtomicBoolean called = new AtomicBoolean();

        private final int worker;

        Helper(int worker) {
            this.worker = worker;
        }

        @Override
        public void run() {
            if (!enter()) {
                called.set(false);
                return;
            }
            takeTasks(worker);
            called.set(false);
            if (inside.decrementAndGet() == CLOSED) {
                LockSupport.unpark(waiting);
            }
        }

        private boolean enter() {
            int seen = inside.get();
            while (seen < CLOSED) {
                if (inside.compareAndSet(seen, seen + 1)) {
                    return true;
                }
                seen = inside.get();
            }
            return false;
        }
    }
}
