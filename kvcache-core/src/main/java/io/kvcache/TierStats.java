package io.kvcache;

import org.jspecify.annotations.Nullable;

/**
 * What has gone through one tier since the cache has it; counts only grow.
 *
 * <p>Thread-safe: immutable.
 *
 * @param name of the tier
 * @param loads whether it is asked for blocks now: not while too many calls fail
 * @param stores whether it is given blocks now, likewise
 * @param loadedBlocks blocks that came from it into memory
 * @param missedBlocks blocks that it seemed to have and had not, or whose time was over
 * @param failedLoads look-ups and loads that failed
 * @param lateLoads those that took longer than the deadline
 * @param storedBlocks blocks that it took
 * @param declinedBlocks blocks that it did not take
 * @param failedStores stores and erasures that failed
 * @param lateStores stores that took longer than the deadline
 * @param queuedBlocks blocks that wait to be copied now
 * @param droppedBlocks blocks that were not copied because too many waited, or the cache was closed
 * @param lostBlocks blocks that left memory before their turn came
 * @param pauses how often it was left alone because too many calls failed
 * @param unreachedNamespaces namespaces that were erased, and may still be there: nothing is loaded from them
 * @param lastFailure what the last call that failed said; null: none did
 */
public record TierStats(
        String name,
        boolean loads,
        boolean stores,
        long loadedBlocks,
        long missedBlocks,
        long failedLoads,
        long lateLoads,
        long storedBlocks,
        long declinedBlocks,
        long failedStores,
        long lateStores,
        int queuedBlocks,
        long droppedBlocks,
        long lostBlocks,
        long pauses,
        int unreachedNamespaces,
        @Nullable String lastFailure) {
    /**
     * Returns what it does now and what went through it since an earlier snapshot.
     *
     * @param earlier a snapshot of the same tier
     * @return this with the differences of what is counted
     */
    public TierStats minus(TierStats earlier) {
        return new TierStats(
                name,
                loads,
                stores,
                loadedBlocks - earlier.loadedBlocks,
                missedBlocks - earlier.missedBlocks,
                failedLoads - earlier.failedLoads,
                lateLoads - earlier.lateLoads,
                storedBlocks - earlier.storedBlocks,
                declinedBlocks - earlier.declinedBlocks,
                failedStores - earlier.failedStores,
                lateStores - earlier.lateStores,
                queuedBlocks,
                droppedBlocks - earlier.droppedBlocks,
                lostBlocks - earlier.lostBlocks,
                pauses - earlier.pauses,
                unreachedNamespaces,
                lastFailure);
    }
}
