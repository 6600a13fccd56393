package io.kvcache;

/**
 * Is told what can be found in a cache and what cannot any more; see {@link KvCache.Builder#listener}. Equal blocks computed
 * twice are one block: nothing is said while a copy can still be found.
 *
 * <p>Called by one thread at a time, in order, never under the lock of the cache; it may call the cache. What it throws is
 * counted and otherwise ignored. While it is slow, events wait in a bounded queue; then they are dropped, and it is
 * told which.
 *
 * <p>An {@link EventJournal} is a listener that keeps the last events for others to read.
 */
@FunctionalInterface
public interface CacheListener {
    /**
     * Says what happened.
     *
     * @param event the next one
     */
    void onEvent(CacheEvent event);
}
