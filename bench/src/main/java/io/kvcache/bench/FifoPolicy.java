package io.kvcache.bench;

import io.kvcache.EvictionPolicy;
import io.kvcache.LeafQueue;

/**
 * First in, first out: the leaf published longest ago goes, however much it was used.
 *
 * <p>A path is published from its root on, so a parent that becomes a leaf is older than all leaves published since and goes
 * before them.
 *
 * <p>Not thread-safe: guarded by the lock of the cache.
 */
final class FifoPolicy implements EvictionPolicy {
    private final LeafQueue leaves = new LeafQueue(); // a list for each group, in order of publication
    private final BlockLongs publications = new BlockLongs();
    private long published;

    @Override
    public void published(int block, long fingerprint, int depth, int label, long now) {
        publications.set(block, published++);
    }

    @Override
    public void evictable(int block, int group, long released) {
        leaves.add(group, block, publications.get(block));
    }

    @Override
    public void unevictable(int block) {
        leaves.remove(block);
    }

    @Override
    public int victim(int group) {
        return leaves.first(group);
    }
}
