package io.kvcache.bench;

import io.kvcache.EvictionPolicy;
import io.kvcache.LeafQueue;

/**
 * Least frequently used with dynamic ageing. At each use a block gets the priority {@code uses + age}, where age is the priority
 * of the block evicted last; the lowest goes. So a block that was used much long ago loses to what is used a little now.
 *
 * <p>Source: M. Arlitt, L. Cherkasova, J. Dilley, R. Friedrich, T. Jin, "Evaluating content management techniques for Web
 * proxy caches", Performance Evaluation Review 27(4), 2000. All blocks are of one size and cost.
 *
 * <p>Leaves only: whoever uses a block uses its parent too, so a parent's priority is at least its child's, and the lowest of
 * all blocks is a leaf anyway, unless it is referenced. Equal priorities go in order of release. The age is the cache's, not the
 * group's.
 *
 * <p>Not thread-safe: guarded by the lock of the cache.
 */
final class LfuDaPolicy implements EvictionPolicy {
    private final LeafQueue leaves = new LeafQueue(); // a list for each group, in order of priority, then of release
    private final BlockLongs uses = new BlockLongs();
    private final BlockLongs priorities = new BlockLongs();
    private long age;

    @Override
    public void published(int block, long fingerprint, int depth, int label, long now) {
        use(block, 1);
    }

    @Override
    public void touched(int block, int label, long now) {
        use(block, uses.get(block) + 1);
    }

    private void use(int block, long count) {
        uses.set(block, count);
        priorities.set(block, count + age);
    }

    @Override
    public void evictable(int block, int group, long released) {
        // A priority is at most the number of all uses; after 2^31 of them only the order of release is left.
        long priority = Math.min(priorities.get(block), Integer.MAX_VALUE);
        leaves.add(group, block, (priority << 32) | (released & 0xFFFFFFFFL));
    }

    @Override
    public void unevictable(int block) {
        leaves.remove(block);
    }

    @Override
    public int victim(int group) {
        return leaves.first(group);
    }

    @Override
    public void removed(int block, boolean evicted) {
        if (evicted) {
            age = Math.max(age, priorities.get(block));
        }
    }
}
