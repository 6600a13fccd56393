package io.kvcache;

import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * Which namespaces a tier must erase before anything of them may be found there, and which stores are under way, as an erasure must
 * not be overtaken by one that began before it.
 *
 * <p>Thread-safe.
 */
final class PendingErasures {
    private final Map<String, Long> pending = new HashMap<>(); // namespace -> number of the last erasure asked for
    private final Map<String, Integer> storesUnderWay = new HashMap<>(); // by namespace
    private long asked;

    /** Says that what a namespace has by now must not be found any more. */
    synchronized void ask(String namespace) {
        pending.put(namespace, ++asked);
    }

    synchronized int size() {
        return pending.size();
    }

    /** The number of the last erasure asked for, or 0 if nothing is left to erase. */
    synchronized long number(String namespace) {
        return pending.getOrDefault(namespace, 0L);
    }

    /** Says that an erasure is done; one that was asked for later is not. */
    synchronized void done(String namespace, long number) {
        pending.remove(namespace, number);
    }

    /**
     * Says that a block is on its way.
     *
     * @return whether it may go: not while its namespace is to be erased
     */
    synchronized boolean beginStore(String namespace) {
        boolean begins = !pending.containsKey(namespace);
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

    synchronized boolean hasStores(String namespace) {
        return storesUnderWay.containsKey(namespace);
    }

    /** Waits, not for ever, for stores that began before; returns whether they have ended. An interrupt stays set. */
    synchronized boolean awaitStores(String namespace, long nanos) {
        long end = System.nanoTime() + nanos;
        long left = nanos;
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
}
