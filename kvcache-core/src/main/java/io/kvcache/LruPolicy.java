package io.kvcache;

/**
 * Least recently used: leaves in the order of their last release.
 *
 * <p>Not thread-safe: guarded by the lock of the {@link SequencePool}.
 */
final class LruPolicy implements EvictionPolicy {
    private final LeafQueue leaves = new LeafQueue();

    @Override
    public void evictable(int block, int group, long released) {
        leaves.add(group, block, released);
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
