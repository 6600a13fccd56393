package io.kvcache;

import java.util.ArrayDeque;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/**
 * Events on their way to the listener: numbered and queued under the lock of the cache, delivered by an executor after it is
 * released.
 *
 * <p>Thread-safe: events about blocks are {@link #stored added} under the lock of the {@link SequencePool}; {@link #deliver} is called
 * without it.
 */
final class EventQueue {
    /** Events that may wait for a slow listener. */
    static final int CAPACITY = 1 << 16;

    private final CacheListener listener;
    private final Executor executor;
    private final AtomicBoolean delivering = new AtomicBoolean();

    // Guarded by this queue's own monitor, which is held for a push or a poll only.
    private final ArrayDeque<CacheEvent> waiting = new ArrayDeque<>();
    private long last; // number of the last event
    private long firstLost; // 0: none since the last one that found room
    private long lost;
    private long failures;

    EventQueue(CacheListener listener, Executor executor) {
        this.listener = listener;
        this.executor = executor;
    }

    synchronized void stored(PrefixRoot root, long block, long parent, int[] tokens, int from, int count) {
        TokenList copy = TokenList.copyOf(tokens, from, count);
        push(new CacheEvent.Stored(++last, root.partition.name, root.identities, block, parent, copy));
    }

    synchronized void removed(Partition owner, long block, long parent, RemovalCause cause) {
        push(new CacheEvent.Removed(++last, owner.name, block, parent, cause));
    }

    synchronized void loaded(Partition owner, long block, String tier) {
        push(new CacheEvent.Loaded(++last, owner.name, block, tier));
    }

    synchronized void offloaded(Partition owner, long block, String tier) {
        push(new CacheEvent.Offloaded(++last, owner.name, block, tier));
    }

    /** Adds an event about a tier; the lock of the pool need not be held. */
    synchronized void tierChanged(String tier, boolean loads, boolean stores, @Nullable String lastFailure) {
        push(new CacheEvent.TierChanged(++last, tier, loads, stores, lastFailure));
    }

    private void push(CacheEvent event) {
        if (waiting.size() >= CAPACITY) {
            firstLost = firstLost == 0 ? event.number() : firstLost;
            lost++;
            return;
        }
        if (firstLost != 0) {
            waiting.add(new CacheEvent.Lost(firstLost, event.number() - 1));
            firstLost = 0;
        }
        waiting.add(event);
    }

    /** The number of the last event; what it counts in about blocks does not change while the lock of the pool is held. */
    synchronized long last() {
        return last;
    }

    /** Events that were dropped because the listener was too slow. */
    synchronized long lost() {
        return lost;
    }

    /** Calls of the listener, or of its executor, that threw. */
    synchronized long failures() {
        return failures;
    }

    private synchronized boolean isEmpty() {
        return waiting.isEmpty() && firstLost == 0;
    }

    private synchronized @Nullable CacheEvent poll() {
        CacheEvent event = waiting.poll();
        if (event == null && firstLost != 0) {
            event = new CacheEvent.Lost(firstLost, last);
            firstLost = 0;
        }
        return event;
    }

    private synchronized void countFailure() {
        failures++;
    }

    /** Sees to it that what is queued will be delivered. */
    void deliver() {
        if (isEmpty() || !delivering.compareAndSet(false, true)) {
            return;
        }
        try {
            executor.execute(this::drain);
        } catch (RuntimeException
                | Error e) { // full, shut down, or out of threads: the events wait for the next attempt
            countFailure();
            delivering.set(false);
        }
    }

    private void drain() {
        do {
            for (CacheEvent event = poll(); event != null; event = poll()) {
                try {
                    listener.onEvent(event);
                } catch (RuntimeException | Error e) { // its own affair
                    countFailure();
                }
            }
            delivering.set(false);
        } while (!isEmpty() && delivering.compareAndSet(false, true)); // came after the last poll
    }
}
