package io.kvcache;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
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

    final int index; // in the order of the cache
    final TierOptions options;

    // Guarded by the lock of the pool.
    final WriteQueue queue;
    int writers; // tasks that copy blocks out of the queue
    long droppedBlocks;
    long lostBlocks;

    private final LongSupplier now;
    private final EpochClock wallClock;
    private final Breaker loading = new Breaker();
    private final Breaker storing = new Breaker();
    private final Executor loaders;
    private final Executor storers;

    private final Object opening = new Object(); // held while the store opens
    private @Nullable BlockStore store; // guarded by opening
    private boolean closed; // likewise

    // Guarded by this.
    private final Set<String> toErase = new HashSet<>(); // namespaces that may still be there and must not be found
    private final Map<String, Integer> storesUnderWay = new HashMap<>(); // by namespace
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

    Tier(int index, TierOptions options, LongSupplier now, EpochClock wallClock) {
        this.index = index;
        this.options = options;
        this.queue = new WriteQueue(options.queuedBlocks());
        this.now = now;
        this.wallClock = wallClock;
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

    boolean admitsLoads(long time) {
        return loading.admits(time);
    }

    boolean admitsStores(long time) {
        return options.rule() != StoreRule.NONE && storing.admits(time);
    }

    /** The store, opened with the first call. */
    private BlockStore store() throws IOException {
        synchronized (opening) {
            if (closed) {
                throw new IOException("tier is closed: name=" + options.name());
            }
            BlockStore open = store;
            if (open == null) {
                open = options.opener().open();
                MissOptions misses = options.misses();
                open = misses == null ? open : BlockStore.rememberingMisses(open, misses, now::getAsLong);
                store = open;
            }
            return open;
        }
    }

    /** Opens the store, if it is not open, so that the first look-up need not wait for that. */
    void open() {
        try {
            store();
        } catch (IOException | RuntimeException | Error e) {
            loadFailed(e);
        }
    }

    // ---- load ----

    /** How many of the blocks of a path, from the first one on, the store seems to hold; 0 where it cannot tell. */
    int held(List<BlockKey> path) {
        if (path.isEmpty() || !loading.enter(now.getAsLong())) {
            return 0;
        }
        try {
            int held = isErased(path.getFirst().namespace()) ? Math.clamp(store().held(path), 0, path.size()) : 0;
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
        try {
            BlockNote note = store().load(key, target);
            if (note == null || note.isExpired(wallClock.time())) {
                missed();
                return null;
            }
            loaded();
            return note;
        } catch (IOException | RuntimeException | Error e) {
            loadFailed(e);
            return null;
        }
    }

    private void missed() {
        loading.leave(now.getAsLong());
        synchronized (this) {
            missedBlocks++;
        }
    }

    private void loaded() {
        long time = now.getAsLong();
        loading.succeeded();
        synchronized (this) {
            loadedBlocks++;
            lastLoad = time;
        }
    }

    private void loadFailed(Throwable failure) {
        loading.failed(now.getAsLong());
        synchronized (this) {
            failedLoads++;
            lastFailure = failure.toString();
        }
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
            loading.failed(time);
        }
    }

    /** The rest of a block's retention, by the wall clock. */
    Retention left(BlockNote note, int defaultPriority) {
        return note.left(wallClock.time(), defaultPriority);
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

    /**
     * Says that a block is on its way: an erasure of its namespace waits for its end. The lock of the pool is held.
     *
     * @return whether it may go: not while the namespace is to be erased
     */
    synchronized boolean beginStore(String namespace) {
        boolean begins = !toErase.contains(namespace);
        if (begins) {
            storesUnderWay.merge(namespace, 1, Integer::sum);
        }
        return begins;
    }

    /** Says that a block is not on its way any more. */
    synchronized void endStore(String namespace) {
        storesUnderWay.computeIfPresent(namespace, (name, count) -> count == 1 ? null : count - 1);
        notifyAll();
    }

    /** Stores a block; returns whether it is there. */
    boolean store(BlockKey key, BlockNote note, MemorySegment block) {
        long began = now.getAsLong();
        boolean stored;
        try {
            stored = store().store(key, note, block);
        } catch (IOException | RuntimeException | Error e) {
            storeFailed(e);
            return false;
        }
        long time = now.getAsLong();
        boolean late = time - began > options.deadlineNanos();
        if (late) {
            storing.failed(time);
        } else {
            storing.succeeded();
        }
        synchronized (this) {
            lateStores += late ? 1 : 0;
            storedBlocks += stored ? 1 : 0;
            declinedBlocks += stored ? 0 : 1;
        }
        return stored;
    }

    private void storeFailed(Throwable failure) {
        storing.failed(now.getAsLong());
        synchronized (this) {
            failedStores++;
            lastFailure = failure.toString();
        }
    }

    // ---- erase ----

    /** Says that a namespace must not be found any more, whatever the store still has; the lock of the pool is held. */
    synchronized void mustErase(String namespace) {
        toErase.add(namespace);
    }

    /** Whether nothing is left of a namespace from before it was last erased; tries to make it so, if it failed before. */
    private boolean isErased(String namespace) {
        synchronized (this) {
            if (!toErase.contains(namespace)) {
                return true;
            }
            if (storesUnderWay.containsKey(namespace)) {
                return false;
            }
        }
        return storing.enter(now.getAsLong()) && erase(namespace) == null;
    }

    /**
     * Erases a namespace, once what was on its way there has ended. Takes as long as the store does, and some time more.
     *
     * @return why it may still be there, or null
     */
    @Nullable
    String erase(String namespace) {
        try {
            if (!awaitStores(namespace)) {
                return "a block is still being stored";
            }
            store().erase(namespace);
        } catch (IOException | RuntimeException | Error e) {
            storeFailed(e);
            return e.toString();
        }
        storing.succeeded();
        synchronized (this) {
            toErase.remove(namespace);
        }
        return null;
    }

    /** Waits, up to the deadline, for stores that began before; returns whether they have ended. */
    private synchronized boolean awaitStores(String namespace) {
        long end = System.nanoTime() + options.deadlineNanos();
        long left = options.deadlineNanos();
        try {
            while (storesUnderWay.containsKey(namespace) && left > 0) {
                TimeUnit.NANOSECONDS.timedWait(this, left);
                left = end - System.nanoTime();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        return !storesUnderWay.containsKey(namespace);
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
                options.rule() != StoreRule.NONE && storing.isClosed(),
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
                toErase.size(),
                lastFailure);
    }

    /** Closes the store, and lets the threads end. What is under way may go on. */
    void close() {
        BlockStore open;
        synchronized (opening) {
            closed = true;
            open = store;
            store = null;
        }
        try {
            if (open != null) {
                open.close();
            }
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
