package io.kvcache;

import java.time.Duration;
import java.util.Objects;
import java.util.concurrent.Executor;
import org.jspecify.annotations.Nullable;

/**
 * A store below memory, and how a cache uses it. Tiers are asked in the order in which a cache was given them.
 *
 * <p>Thread-safe: immutable.
 *
 * @param name unique in a cache, for statistics and events
 * @param opener opens the store, in a thread of the tier; a cache starts without it, and asks again, if that fails
 * @param rule which blocks are copied to it
 * @param moment when
 * @param deadlineNanos how long a call of the store may take, in nanoseconds, before the cache goes on without it
 * @param queuedBlocks blocks that may wait to be copied; more are not copied, and counted. A block that waits takes no memory
 * @param threads that load, and as many that store; each that stores has memory for one block of its own
 * @param misses how it is remembered what the store has not got; null: it is not
 * @param executor runs the calls of the store, in place of threads of the tier's own; null: those
 */
public record TierOptions(
        String name,
        BlockStore.Opener opener,
        StoreRule rule,
        StoreMoment moment,
        long deadlineNanos,
        int queuedBlocks,
        int threads,
        @Nullable MissOptions misses,
        @Nullable Executor executor) {
    private static final long DEADLINE_NANOS = 250_000_000;
    private static final int QUEUED_BLOCKS = 1024;
    private static final int THREADS = 2;

    /**
     * Makes options; {@link #of} and the {@code with} methods read better.
     *
     * @throws IllegalArgumentException if a number is not positive
     */
    public TierOptions {
        Objects.requireNonNull(name, "name");
        Objects.requireNonNull(opener, "opener");
        Objects.requireNonNull(rule, "rule");
        Objects.requireNonNull(moment, "moment");
        if (deadlineNanos <= 0 || queuedBlocks <= 0 || threads <= 0) {
            throw new IllegalArgumentException("must be positive: deadlineNanos=" + deadlineNanos + " queuedBlocks="
                    + queuedBlocks + " threads=" + threads);
        }
    }

    /**
     * Returns options for a store that is open: every block, as soon as it is published; 250 ms a call, 1,024 blocks waiting, two
     * threads for each direction, misses remembered for a second.
     *
     * @param name unique in a cache
     * @param store closed by the cache
     * @return options
     */
    public static TierOptions of(String name, BlockStore store) {
        Objects.requireNonNull(store, "store");
        return of(name, () -> store);
    }

    /**
     * Returns the same options for a store that the cache opens, so that a store that cannot be opened does not keep a cache
     * from starting.
     *
     * @param name unique in a cache
     * @param opener opens the store, which the cache closes
     * @return options
     */
    public static TierOptions of(String name, BlockStore.Opener opener) {
        return new TierOptions(
                name,
                opener,
                StoreRule.ALL,
                StoreMoment.COMMIT,
                DEADLINE_NANOS,
                QUEUED_BLOCKS,
                THREADS,
                MissOptions.DEFAULT,
                null);
    }

    /**
     * Returns a copy whose store is opened otherwise.
     *
     * @param newOpener opens the store, which the cache closes
     * @return a copy
     */
    public TierOptions withOpener(BlockStore.Opener newOpener) {
        return new TierOptions(name, newOpener, rule, moment, deadlineNanos, queuedBlocks, threads, misses, executor);
    }

    /**
     * Returns a copy that stores other blocks, at another moment.
     *
     * @param newRule which
     * @param newMoment when
     * @return a copy
     */
    public TierOptions withRule(StoreRule newRule, StoreMoment newMoment) {
        return new TierOptions(
                name, opener, newRule, newMoment, deadlineNanos, queuedBlocks, threads, misses, executor);
    }

    /**
     * Returns a copy with another deadline.
     *
     * @param deadline positive
     * @return a copy
     */
    public TierOptions withDeadline(Duration deadline) {
        return new TierOptions(name, opener, rule, moment, deadline.toNanos(), queuedBlocks, threads, misses, executor);
    }

    /**
     * Returns a copy with another bound for blocks that wait to be copied.
     *
     * @param blocks positive
     * @return a copy
     */
    public TierOptions withQueuedBlocks(int blocks) {
        return new TierOptions(name, opener, rule, moment, deadlineNanos, blocks, threads, misses, executor);
    }

    /**
     * Returns a copy with another number of threads.
     *
     * @param newThreads positive, for each direction
     * @return a copy
     */
    public TierOptions withThreads(int newThreads) {
        return new TierOptions(name, opener, rule, moment, deadlineNanos, queuedBlocks, newThreads, misses, executor);
    }

    /**
     * Returns a copy that remembers otherwise what the store has not got.
     *
     * @param newMisses how; null: not at all, for a store that knows at once
     * @return a copy
     */
    public TierOptions withMisses(@Nullable MissOptions newMisses) {
        return new TierOptions(name, opener, rule, moment, deadlineNanos, queuedBlocks, threads, newMisses, executor);
    }

    /**
     * Returns a copy whose store is called by an executor.
     *
     * @param newExecutor may take long over a call, and must not interrupt one
     * @return a copy
     */
    public TierOptions withExecutor(Executor newExecutor) {
        return new TierOptions(
                name,
                opener,
                rule,
                moment,
                deadlineNanos,
                queuedBlocks,
                threads,
                misses,
                Objects.requireNonNull(newExecutor, "executor"));
    }
}
