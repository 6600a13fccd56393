package io.kvcache.bench;

import io.kvcache.EvictionPolicy;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * Replays of one trace with many policies and capacities; each is done once, and remembered.
 *
 * <p>Thread-safe.
 */
final class Replays {
    /** Replays have memory of their own: up to 200 bytes for each block that their cache holds. */
    private static final int MOST_THREADS = 4;

    private final Trace trace;
    private final Listener listener;
    private final int distinctBlocks;
    private final Map<TracePolicy, EvictionPolicy.Factory> factories = new ConcurrentHashMap<>();
    private final Map<Setup, Long> hits = new ConcurrentHashMap<>();

    /** A policy, and blocks that the cache holds. */
    record Setup(TracePolicy policy, int blocks) {}

    /** Hears of each replay that is done, in any thread. */
    @FunctionalInterface
    interface Listener {
        void replayed(Setup setup, long hitBlocks);
    }

    Replays(Trace trace, Listener listener) {
        this.trace = trace;
        this.listener = listener;
        this.distinctBlocks = new TracePaths(trace).distinct();
    }

    Trace trace() {
        return trace;
    }

    /** The blocks of a cache that has room for all. */
    int distinctBlocks() {
        return distinctBlocks;
    }

    /** What a cache with room for all hits: each block but the first time. */
    long reachableBlocks() {
        return trace.blockReferences() - distinctBlocks;
    }

    /** Blocks that were cached when a prompt asked for them. */
    long hitBlocks(Setup setup) {
        if (setup.blocks >= distinctBlocks) {
            return reachableBlocks();
        }
        Long known = hits.get(setup);
        return known != null ? known : replay(setup);
    }

    /** The same, as a share of all input tokens. */
    double tokenHitRatio(Setup setup) {
        return ReplayReport.of(trace, hitBlocks(setup)).tokenHitRatio();
    }

    private long replay(Setup setup) {
        EvictionPolicy.Factory factory = factories.computeIfAbsent(setup.policy, policy -> policy.factory(trace));
        long hitBlocks =
                new Replay(trace).run(setup.blocks, factory, done -> {}).hitBlocks();
        hits.put(setup, hitBlocks);
        listener.replayed(setup, hitBlocks);
        return hitBlocks;
    }

    /** Replays several at a time. */
    void replayAll(List<Setup> setups) {
        inParallel(setups.stream()
                .distinct()
                .<Callable<Long>>map(setup -> () -> hitBlocks(setup))
                .toList());
    }

    /** Calls tasks, a few at a time, and returns what they return, in their order. */
    static <T> List<T> inParallel(List<Callable<T>> tasks) {
        int threads = Math.min(MOST_THREADS, Runtime.getRuntime().availableProcessors());
        try (ExecutorService executor = Executors.newFixedThreadPool(threads)) {
            List<T> results = new ArrayList<>();
            for (Future<T> future : executor.invokeAll(tasks)) {
                results.add(future.get());
            }
            return results;
        } catch (ExecutionException e) {
            throw new IllegalStateException("a replay failed: reason=" + e.getCause(), e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted while replaying", e);
        }
    }
}
