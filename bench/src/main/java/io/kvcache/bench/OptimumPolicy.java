package io.kvcache.bench;

import io.kvcache.EvictionPolicy;
import io.kvcache.LeafQueue;

/**
 * Knows the future: the leaf that the trace asks for last, or never again, goes. No policy hits more. It is for one replay
 * of one trace from its start, a request at a time.
 *
 * <p>Source: L. A. Belady, "A study of replacement algorithms for a virtual-storage computer", IBM Systems Journal 5(2), 1966.
 *
 * <p>Leaves only: whoever asks for a block asks for its parent too, so the block of all that is asked for last is always a
 * leaf, and choosing among leaves loses nothing. Two leaves are asked for by different requests, as the blocks of one request
 * continue each other; only leaves that nobody asks for again tie, and which of them goes first changes no hit.
 *
 * <p>Not thread-safe: guarded by the lock of the cache.
 */
final class OptimumPolicy implements EvictionPolicy {
    private final NextUses uses;
    private final LeafQueue leaves = new LeafQueue(); // a list for each group, in order of the next use
    private final BlockLongs depths = new BlockLongs();
    private final BlockLongs nextUses = new BlockLongs();
    private int request = -1; // the running one

    OptimumPolicy(NextUses uses) {
        this.uses = uses;
    }

    @Override
    public void opened(long now) {
        request++;
    }

    @Override
    public void published(int block, long fingerprint, int depth, int label, long now) {
        depths.set(block, depth);
        use(block);
    }

    @Override
    public void touched(int block, int label, long now) {
        use(block);
    }

    private void use(int block) {
        nextUses.set(block, uses.after(request, (int) depths.get(block)));
    }

    @Override
    public void evictable(int block, int group, long released) {
        leaves.add(group, block, nextUses.get(block));
    }

    @Override
    public void unevictable(int block) {
        leaves.remove(block);
    }

    @Override
    public int victim(int group) {
        return leaves.last(group);
    }
}
