package io.kvcache.bench;

import io.kvcache.EvictionPolicy;
import io.kvcache.LeafQueue;

/**
 * Three first-in-first-out queues: a small one, a tenth of the cache, lets go quickly of what is hardly used; what was used
 * more than once beyond its publication moves on to the main one, which gives each use another round; ghosts of the small one
 * enter the main one at once when they come back.
 *
 * <p>Source: J. Yang, Y. Zhang, Z. Qiu, Y. Yue, R. Vinayak, "FIFO queues are all you need for cache eviction", SOSP 2023.
 *
 * <p>Leaves only: the turn of a block comes when it is the first leaf of its queue; a queue without leaves leaves it to the
 * other. Sizes count all cached blocks, not only leaves. Which queue gives is decided anew for each leaf looked at. Groups have
 * leaves of their own and share sizes and ghosts.
 *
 * <p>Not thread-safe: guarded by the lock of the cache.
 */
final class S3FifoPolicy implements EvictionPolicy {
    private static final int SMALL = 0;
    private static final int MAIN = 1;
    private static final int MOST_USES = 3; // what the paper's two bits count
    private static final int GHOSTS = 0;

    private final int smallBlocks;
    private final int mainBlocks;
    private final LeafQueue leaves = new LeafQueue(); // lists 2 * group + SMALL or MAIN, in order of entry
    private final Ghosts ghosts = new Ghosts();
    private final BlockLongs fingerprints = new BlockLongs();
    private final BlockLongs queues = new BlockLongs();
    private final BlockLongs entries = new BlockLongs();
    private final BlockLongs uses = new BlockLongs();
    private final int[] sizes = new int[2];
    private long entered;

    S3FifoPolicy(int maximumBlocks) {
        smallBlocks = Math.max(1, maximumBlocks / 10);
        mainBlocks = maximumBlocks - smallBlocks;
    }

    @Override
    public void published(int block, long fingerprint, int depth, int label, long now) {
        fingerprints.set(block, fingerprint);
        enter(block, ghosts.remove(fingerprint) == LeafQueue.NONE ? SMALL : MAIN, 0);
    }

    private void enter(int block, int queue, long usesLeft) {
        queues.set(block, queue);
        entries.set(block, entered++);
        uses.set(block, usesLeft);
        sizes[queue]++;
    }

    @Override
    public void touched(int block, int label, long now) {
        uses.set(block, Math.min(MOST_USES, uses.get(block) + 1));
    }

    @Override
    public void evictable(int block, int group, long released) {
        leaves.add(2 * group + (int) queues.get(block), block, entries.get(block));
    }

    @Override
    public void unevictable(int block) {
        leaves.remove(block);
    }

    @Override
    public int victim(int group) {
        while (true) {
            int queue = sizes[SMALL] >= smallBlocks ? SMALL : MAIN;
            if (leaves.size(2 * group + queue) == 0) {
                queue = 1 - queue;
            }
            int leaf = leaves.first(2 * group + queue);
            long used = uses.get(leaf);
            if (used <= (queue == SMALL ? 1 : 0)) {
                return leaf;
            }
            leaves.remove(leaf);
            sizes[queue]--;
            enter(leaf, MAIN, queue == SMALL ? 0 : used - 1);
            leaves.add(2 * group + MAIN, leaf, entries.get(leaf));
        }
    }

    @Override
    public void removed(int block, boolean evicted) {
        int queue = (int) queues.get(block);
        sizes[queue]--;
        if (evicted && queue == SMALL) {
            ghosts.add(GHOSTS, fingerprints.get(block));
            ghosts.trim(GHOSTS, mainBlocks);
        }
    }
}
