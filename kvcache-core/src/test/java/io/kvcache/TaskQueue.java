package io.kvcache;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;

/**
 * An executor whose tasks run when a test says so, in the test's own thread.
 *
 * <p>Thread-safe.
 */
final class TaskQueue implements Executor {
    private final List<Runnable> tasks = new ArrayList<>();

    /** Whether it refuses tasks. */
    volatile boolean refuses;

    @Override
    public void execute(Runnable task) {
        if (refuses) {
            throw new RejectedExecutionException("refused");
        }
        synchronized (tasks) {
            tasks.add(task);
        }
    }

    int size() {
        synchronized (tasks) {
            return tasks.size();
        }
    }

    private Runnable take(int index) {
        synchronized (tasks) {
            return tasks.remove(index);
        }
    }

    /** Runs the task that came first. */
    void runOne() {
        take(0).run();
    }

    /** Runs any one task, if there is one. */
    void runAny(Random random) {
        if (size() > 0) {
            take(random.nextInt(size())).run();
        }
    }

    /** Runs tasks, and those that they make, until there is none. */
    void runAll() {
        while (size() > 0) {
            runOne();
        }
    }
}
