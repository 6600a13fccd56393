package io.kvcache;

/**
 * Decides which cached block goes when memory is needed. The cache offers leaves only: a block that nobody references and
 * that no other cached block continues. A policy that needs no more than an order of leaves implements three methods.
 *
 * <p>The cache sorts leaves into groups (by priority, and by namespace where a namespace has bytes of its own) and asks for
 * the victim of one group; what belongs together goes by the policy's own order. Groups are numbered from 0, densely, as they
 * come up; most caches have one.
 *
 * <p>The life of a block, as the policy sees it:
 *
 * <pre>
 *   published --- touched * --- evictable --- unevictable --- touched * --- evictable --- unevictable --- removed
 * </pre>
 *
 * <p>Block numbers are small integers that are used again after {@link #removed}. A policy is called under the lock of the
 * cache: it must be quick, must not call the cache, and should make no garbage in steady state. It need not be
 * thread-safe. Equal calls must lead to equal decisions, so that a trace can be replayed.
 *
 * @see LeafQueue
 */
public interface EvictionPolicy {
    /** Makes the policy of one cache. */
    @FunctionalInterface
    interface Factory {
        /**
         * Makes a policy.
         *
         * @param maximumBlocks capacity of the cache
         * @return a policy of its own
         */
        EvictionPolicy create(int maximumBlocks);
    }

    /**
     * Evicts the leaf released longest ago; a path goes deepest block first. The default of a cache.
     *
     * @return a factory, always the same
     */
    static Factory lru() {
        return StandardPolicy.LRU;
    }

    /**
     * Hit-density eviction: learns how soon blocks are used again, and evicts the leaf that promises the fewest hits for the
     * memory and time it takes. Ages count from 250 ms on; while all leaves are younger, the one used longest ago goes. Needs about
     * 45 bytes a block, and at most 48 for each of four ghosts a block: fingerprints of what was evicted.
     *
     * @return a factory, always the same
     */
    static Factory hde() {
        return StandardPolicy.HDE;
    }

    /**
     * Says that a sequence was opened; its touches follow.
     *
     * @param now nanoseconds of the cache's clock
     */
    default void opened(long now) {}

    /**
     * Says that a block was published: its first use. It is referenced.
     *
     * @param block its number
     * @param fingerprint 64 bits that stand for the block's tokens and all before them; a block published again later has
     *     the same, by which it can be recognised
     * @param depth blocks before it in its path
     * @param label the label of the sequence that computed it, 0..7
     * @param now nanoseconds of the cache's clock
     */
    default void published(int block, long fingerprint, int depth, int label, long now) {}

    /**
     * Says that a published block was used once more: another sequence adopted it, or computed it again.
     *
     * @param block its number
     * @param label the label of that sequence, 0..7
     * @param now nanoseconds of the cache's clock
     */
    default void touched(int block, int label, long now) {}

    /**
     * Says that a block may be evicted from now on: a leaf without references.
     *
     * @param block its number
     * @param group its group until {@link #unevictable}
     * @param released when the last reference was released, counted in releases: it grows with every release. A block that
     *     becomes a leaf later, because the block behind it has left, brings the count of its own last release
     */
    void evictable(int block, int group, long released);

    /**
     * Says that a block may no longer be evicted: it is referenced again, leaves the cache, or changes its group.
     *
     * @param block its number
     */
    void unevictable(int block);

    /**
     * Chooses the next to go.
     *
     * @param group a group with at least one evictable leaf
     * @return one of them; the cache calls {@link #unevictable} and {@link #removed} for it if it goes
     */
    int victim(int group);

    /**
     * Says that a block has left the cache.
     *
     * @param block its number
     * @param evicted whether it had to make room; otherwise it expired or was erased
     */
    default void removed(int block, boolean evicted) {}
}
