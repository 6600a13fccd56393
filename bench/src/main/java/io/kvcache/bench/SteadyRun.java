package io.kvcache.bench;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.agrona.concurrent.SystemNanoClock;

/**
 * Lets workers serve requests from one cache, first until it is full, then for a time, which is measured in intervals of equal length.
 *
 * <p>Not thread-safe.
 */
final class SteadyRun {
    private static final int SEED = 1;

    private final long cacheBytes;
    private final Duration duration;
    private final List<SteadyInterval> intervals =
            new ArrayList<>(); // all made before the run: it takes no heap for them
    private final List<Served> served = new ArrayList<>();
    private SteadyTally tally = SteadyTally.NONE;
    private volatile boolean over;

    /** A worker and the thread that it has to itself. */
    private final class Served implements Callable<SteadyTally> {
        final SteadyWorker worker;
        volatile long thread;

        Served(SteadyWorker worker) {
            this.worker = worker;
        }

        @Override
        public SteadyTally call() {
            thread = Thread.currentThread().threadId();
            try {
                while (!over) {
                    worker.request();
                }
                return worker.tally();
            } finally {
                over = true; // one that fails ends the run
            }
        }
    }

    SteadyRun(long cacheBytes, Duration duration, int intervals) {
        this.cacheBytes = cacheBytes;
        this.duration = duration;
        for (int i = 0; i < intervals; i++) {
            this.intervals.add(new SteadyInterval());
        }
    }

    /** Runs; at the end all sequences are closed and the bookkeeping is checked. */
    List<SteadyInterval> run(int threads) throws Exception {
        try (SteadyCache cache = new SteadyCache(cacheBytes, SystemNanoClock.INSTANCE, SEED);
                ExecutorService executor = Executors.newFixedThreadPool(threads)) {
            for (int number = 0; number < threads; number++) {
                served.add(new Served(new SteadyWorker(cache, number)));
            }
            List<Future<SteadyTally>> results = new ArrayList<>();
            for (Served each : served) {
                results.add(executor.submit(each));
            }
            try {
                fill(cache);
                measure(cache);
            } finally {
                over = true;
            }
            for (Future<SteadyTally> result : results) {
                tally = tally.plus(result.get());
            }
        }
        return intervals;
    }

    /** What was done in the whole run. */
    SteadyTally tally() {
        return tally;
    }

    /** Lets workers run until there is no memory left that was not used yet; what they take meanwhile is not measured. */
    private void fill(SteadyCache cache) {
        while (!over && !(cache.isFull() && served.stream().allMatch(each -> each.thread != 0))) {
            LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(5));
        }
        collect(new SteadyInterval());
    }

    private void measure(SteadyCache cache) {
        List<Long> threads = served.stream().map(each -> each.thread).toList();
        ProcessFigures before = ProcessFigures.now(threads);
        long start = System.nanoTime();
        long last = start;
        for (int i = 0; i < intervals.size() && !over; i++) {
            await(start + duration.toNanos() * (i + 1) / intervals.size());
            SteadyInterval interval = intervals.get(i);
            long now = System.nanoTime();
            interval.seconds = (now - last) / (double) TimeUnit.SECONDS.toNanos(1);
            last = now;
            collect(interval);
            ProcessFigures figures = ProcessFigures.now(threads);
            interval.garbageBytes = figures.allocatedBytes() - before.allocatedBytes();
            interval.collections = figures.collections() - before.collections();
            interval.collectionMillis = figures.collectionMillis() - before.collectionMillis();
            interval.residentBytes = figures.residentBytes();
            interval.heapBytes = figures.heapBytes();
            interval.nativeBytes = cache.stats().allocatedBytes();
            before = figures;
        }
    }

    private void await(long deadline) {
        for (long left = deadline - System.nanoTime(); left > 0 && !over; left = deadline - System.nanoTime()) {
            LockSupport.parkNanos(left);
        }
    }

    private void collect(SteadyInterval interval) {
        for (Served each : served) {
            for (TimedOperation operation : TimedOperation.values()) {
                each.worker.latencies().collect(operation, interval.nanos(operation));
            }
        }
    }
}
