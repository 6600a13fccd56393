package io.kvcache;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.LongSupplier;
import org.agrona.concurrent.EpochClock;
import org.jspecify.annotations.Nullable;

/**
 * One store below memory while a cache uses it: the threads that call it, whether it may be called, and what came of that. Whatever
 * a call throws is a failure that is counted; the caller sees a miss.
 *
 * <p>Thread-safe, but for what is said to be guarded by the lock of the {@link SequencePool}.
 */
final class Tier {
    private static final long IDLE_THREAD_SECONDS = 10;
    private static final int MOST_LOAD_TASKS = 1024;

    final int index; // in the order of the cache
    final TierOptions options;

    // Guarded by the lock of the pool.
    final WriteQueue queue;
    int writers; // tasks that copy blocks out of the queue
    long droppedBlocks;
    long lostBlocks;

    private final LongSupplier now;
    private final EpochClock wallClock;
    private final @Nullable EventQueue events;
    private final Breaker loading = new Breaker();
    private final Breaker storing = new Breaker();
    private final Executor loaders;
    private final Executor storers;

    private final OpenedStore store;
    private final PendingErasures erasures = new PendingErasures();
    private final AtomicInteger loadTasks = new AtomicInteger();

    // Guarded by this.
    private long lastLoad = Long.MIN_VALUE; // when a load last went well
    private long loadedBlocks;
    private long missedBlocks;
    private long failedLoads;
    private long lateLoads;
    private long storedBlocks;
    private long declinedBlocks;
    private long failedStores;
    private long lateStores;
    private @Nullable String lastFailure;

    Tier(int index, TierOptions options, LongSupplier now, EpochClock wallClock, @Nullable EventQueue events) {
        this.index = index;
        this.options = options;
        this.store = new OpenedStore(() -> open(options, now));
        this.queue = new WriteQueue(options.queuedBlocks());
        this.now = now;
        this.wallClock = wallClock;
        this.events = events;
        Executor given = options.executor();
        this.loaders = given != null ? given : threads("load");
        this.storers = given != null ? given : threads("store");
    }

    private ExecutorService threads(String work) {
        ThreadPoolExecutor threads = new ThreadPoolExecutor(
                options.threads(),
                options.threads(),
                IDLE_THREAD_SECONDS,
                TimeUnit.SECONDS,
                new LinkedBlockingQueue<>(),
                Thread.ofPlatform()
                        .daemon()
                        .name("kvcache-" + options.name() + "-" + work + "-", 1)
                        .factory());
        threads.allowCoreThreadTimeOut(true);
        return threads;
    }

    Executor loaders() {
        return loaders;
    }

    Executor storers() {
        return storers;
    }

    String name() {
        return options.name();
    }

    /** Whether it may be asked for blocks, and has threads left for that. */
    boolean admitsLoads(long time) {
        return loading.admits(time) && loadTasks.get() < MOST_LOAD_TASKS;
    }

    /** Whether a load may ask it now; a probe if need be. One that did not come to a {@link #load} {@link #leavesLoad leaves}. */
    boolean entersLoad(long time) {
        return loadTasks.get() < MOST_LOAD_TASKS && loading.enter(time);
    }

    void leavesLoad(long time) {
        loading.leave(time);
    }

    /** A task of a load, counted until it begins: what a store that hangs leaves waiting is bounded. */
    Runnable counted(Runnable task) {
        loadTasks.incrementAndGet();
        return () -> {
            loadTasks.decrementAndGet();
            task.run();
        };
    }

    /** Says that a counted task will not run. */
    void uncount() {
        loadTasks.decrementAndGet();
    }

    boolean admitsStores(long time) {
        return options.rule() != StoreRule.NONE && storing.admits(time);
    }

    private static BlockStore open(TierOptions options, LongSupplier now) throws IOException {
        BlockStore opened = options.opener().open();
        MissOptions misses = options.misses();
        return misses == null ? opened : BlockStore.rememberingMisses(opened, misses, now::getAsLong);
    }

    /** Opens the store, if it is not open, so that the first look-up need not wait for that. */
    void open() {
        try {
            store.get();
        } catch (IOException | RuntimeException | Error e) {
            loadFailed(e);
        }
    }

    // ---- load ----

    /** How many of the blocks of a path, from the first one on, the store seems to hold; 0 where it cannot tell. */
    int held(List<BlockKey> path) {
        try {
            boolean erased = isErased(path.getFirst().namespace());
            int held = erased ? Math.clamp(store.get().held(path), 0, path.size()) : 0;
            if (held == 0) {
                loading.leave(now.getAsLong()); // whether blocks can be read is not known from that
            }
            return held;
        } catch (IOException | RuntimeException | Error e) {
            loadFailed(e);
            return 0;
        }
    }

    /** Loads a block; null is a miss. */
    @Nullable
    BlockNote load(BlockKey key, MemorySegment target) {
        long began = now.getAsLong();
        try {
            BlockNote note = store.get().load(key, target);
            boolean found = note != null && !note.isExpired(wallClock.time());
            answered(found, began, now.getAsLong());
            return found ? note : null;
        } catch (IOException | RuntimeException | Error e) {
            loadFailed(e);
            return null;
        }
    }

    private void answered(boolean found, long began, long time) {
        boolean late = time - began > options.deadlineNanos();
        if (late || found) {
            ended(loading, !late, time);
        } else {
            loading.leave(time);
        }
        synchronized (this) {
            missedBlocks += found ? 0 : 1;
            lastLoad = found && !late ? time : lastLoad;
        }
    }

    /** Says that a block that came from here can be found in memory. */
    synchronized void broughtBlock() {
        loadedBlocks++;
    }

    private void loadFailed(Throwable failure) {
        synchronized (this) {
            failedLoads++;
            lastFailure = failure.toString();
        }
        ended(loading, false, now.getAsLong());
    }

    /** Counts a call, and tells the listener if the tier is left alone from now on, or used again. */
    private void ended(Breaker breaker, boolean well, long time) {
        boolean changed = well ? breaker.succeeded() : breaker.failed(time);
        if (changed && events != null) {
            events.tierChanged(name(), loading.isClosed(), takesBlocks(), lastFailure());
        }
    }

    private boolean takesBlocks() {
        return options.rule() != StoreRule.NONE && storing.isClosed();
    }

    private synchronized @Nullable String lastFailure() {
        return lastFailure;
    }

    /**
     * Says that a load has got no further since a time for longer than the deadline. Where others do, that is no fault of the store:
     * there is much to do.
     */
    void loadIsLate(long since, long time) {
        boolean stuck;
        synchronized (this) {
            lateLoads++;
            stuck = lastLoad < since;
        }
        if (stuck) {
            ended(loading, false, time);
        }
    }

    // ---- store ----

    /** Whether a block may be stored now; a probe if need be. */
    boolean entersStore() {
        return storing.enter(now.getAsLong());
    }

    /** Says that what {@link #entersStore was let through} did not come to a store. */
    void leavesStore() {
        storing.leave(now.getAsLong());
    }

    long wallMillis() {
        return Math.max(0, wallClock.time());
    }

    /** Which namespaces it must erase, and what is on its way there. */
    PendingErasures erasures() {
        return erasures;
    }

    /** Stores a block; returns whether it is there. */
    boolean store(BlockKey key, BlockNote note, MemorySegment block) {
        long began = now.getAsLong();
        boolean stored;
        try {
            stored = store.get().store(key, note, block);
        } catch (IOException | RuntimeException | Error e) {
            storeFailed(e);
            return false;
        }
        long time = now.getAsLong();
        boolean late = time - began > options.deadlineNanos();
        ended(storing, !late, time);
        synchronized (this) {
            lateStores += late ? 1 : 0;
            storedBlocks += stored ? 1 : 0;
            declinedBlocks += stored ? 0 : 1;
        }
        return stored;
    }

    private void storeFailed(Throwable failure) {
        synchronized (this) {
            failedStores++;
            lastFailure = failure.toString();
        }
        ended(storing, false, now.getAsLong());
    }

    // ---- erase ----

    /** Whether nothing is left of a namespace from before it was last erased; tries to make it so, if it failed before. */
    private boolean isErased(String namespace) {
        if (erasures.number(namespace) == 0) {
            return true;
        }
        return !erasures.hasStores(namespace) && storing.enter(now.getAsLong()) && erase(namespace) == null;
    }

    /**
     * Erases a namespace, once what was on its way there has ended. Takes as long as the store does, and some time more.
     *
     * @return why it may still be there, or null
     */
    @Nullable
    String erase(String namespace) {
        long number = erasures.number(namespace);
        try {
            if (!erasures.awaitStores(namespace, options.deadlineNanos())) {
                return "a block is still being stored";
            }
            store.get().erase(namespace);
        } catch (IOException | RuntimeException | Error e) {
            storeFailed(e);
            return e.toString();
        }
        storing.leave(now.getAsLong()); // whether blocks can be stored is not known from that
        erasures.done(namespace, number);
        return null;
    }

    /** Takes note of an error that is not the store's. */
    synchronized void broke(Throwable error) {
        lastFailure = error.toString();
    }

    // ---- facts and end ----

    /** What it did so far; the lock of the pool is held. */
    synchronized TierStats stats() {
        return new TierStats(
                options.name(),
                loading.isClosed(),
                takesBlocks(),
                loadedBlocks,
                missedBlocks,
                failedLoads,
                lateLoads,
                storedBlocks,
                declinedBlocks,
                failedStores,
                lateStores,
                queue.size(),
                droppedBlocks,
                lostBlocks,
                loading.pauses() + storing.pauses(),
                erasures.size(),
                lastFailure);
    }

    /** Closes the store, and lets the threads end. What is under way may go on. */
    void close() {
        try {
            store.close();
        } catch (IOException | RuntimeException | Error e) {
            storeFailed(e);
        }
        shutDown(loaders);
        shutDown(storers);
    }

    private void shutDown(Executor executor) {
        if (executor instanceof ExecutorService own && options.executor() == null) {
            own.shutdown();
        }
    }
}
