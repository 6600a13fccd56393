package io.kvcache.bench;

import io.kvcache.EvictionPolicy;
import io.kvcache.LeafQueue;

/**
 * Adaptive replacement: what was used once (T1) and what was used again (T2) are apart, each with ghosts of what it lost
 * lately (B1, B2). A ghost that comes back says which of the two was too small, and moves the target size of T1.
 *
 * <p>Source: N. Megiddo, D. S. Modha, "ARC: a self-tuning, low overhead replacement cache", FAST 2003.
 *
 * <p>Leaves only: T1 gives its leaf released longest ago if T1 is larger than its target, otherwise T2 does, and each falls
 * back to the other where it has none. Sizes count all cached blocks, not only leaves. A cache makes room before it knows
 * the block that needs it, so the target moves after the eviction, and the rule for a block of B2 when T1 has exactly its target
 * falls away. Groups have leaves of their own and share target and ghosts.
 *
 * <p>Not thread-safe: guarded by the lock of the cache.
 */
final class ArcPolicy implements EvictionPolicy {
    private static final int ONCE = 0; // T1 and B1
    private static final int AGAIN = 1; // T2 and B2

    private final int maximumBlocks;
    private final LeafQueue leaves = new LeafQueue(); // lists 2 * group + ONCE or AGAIN, in order of release
    private final Ghosts ghosts = new Ghosts(); // lists ONCE and AGAIN
    private final BlockLongs fingerprints = new BlockLongs();
    private final BlockLongs lists = new BlockLongs();
    private final int[] sizes = new int[2];
    private int target;

    ArcPolicy(int maximumBlocks) {
        this.maximumBlocks = maximumBlocks;
    }

    @Override
    public void published(int block, long fingerprint, int depth, int label, long now) {
        int onceGhosts = ghosts.size(ONCE);
        int againGhosts = ghosts.size(AGAIN);
        int ghost = ghosts.remove(fingerprint);
        if (ghost == ONCE) {
            target = Math.min(maximumBlocks, target + Math.max(1, againGhosts / onceGhosts));
        } else if (ghost == AGAIN) {
            target = Math.max(0, target - Math.max(1, onceGhosts / againGhosts));
        }
        fingerprints.set(block, fingerprint);
        enter(block, ghost == LeafQueue.NONE ? ONCE : AGAIN);
        ghosts.trim(ONCE, maximumBlocks - sizes[ONCE]);
        ghosts.trim(AGAIN, 2 * maximumBlocks - sizes[ONCE] - sizes[AGAIN] - ghosts.size(ONCE));
    }

    @Override
    public void touched(int block, int label, long now) {
        leave(block);
        enter(block, AGAIN);
    }

    private void enter(int block, int list) {
        lists.set(block, list);
        sizes[list]++;
    }

    private int leave(int block) {
        int list = (int) lists.get(block);
        sizes[list]--;
        return list;
    }

    @Override
    public void evictable(int block, int group, long released) {
        leaves.add(2 * group + (int) lists.get(block), block, released);
    }

    @Override
    public void unevictable(int block) {
        leaves.remove(block);
    }

    @Override
    public int victim(int group) {
        int list = sizes[ONCE] > target ? ONCE : AGAIN;
        int leaf = leaves.first(2 * group + list);
        return leaf != LeafQueue.NONE ? leaf : leaves.first(2 * group + (1 - list));
    }

    @Override
    public void removed(int block, boolean evicted) {
        int list = leave(block);
        if (evicted) {
            ghosts.add(list, fingerprints.get(block));
        }
    }
}
