package io.kvcache;

import java.util.Arrays;

/**
 * Which leaf goes next: sorts evictable leaves into groups and lets the policy choose within a group.
 *
 * <p>Not thread-safe: guarded by the lock of the {@link SequencePool}.
 */
final class EvictionOrder {
    private final EvictionPolicy policy;
    private boolean[] evictable = new boolean[64]; // [blocks]
    private int groups;

    EvictionOrder(EvictionPolicy policy) {
        this.policy = policy;
    }

    EvictionPolicy policy() {
        return policy;
    }

    boolean contains(int block) {
        return block >= 0 && block < evictable.length && evictable[block];
    }

    void add(int block, LeafGroups leaves, int band, long released) {
        if (leaves.group(band) == BlockPool.NONE) {
            leaves.name(band, groups++);
        }
        leaves.add(band);
        if (block >= evictable.length) {
            int capacity = (int) Math.min(Math.max(block + 1L, evictable.length * 3L / 2), Integer.MAX_VALUE - 8);
            evictable = Arrays.copyOf(evictable, capacity);
        }
        evictable[block] = true;
        policy.evictable(block, leaves.group(band), released);
    }

    void remove(int block, LeafGroups leaves, int band) {
        leaves.remove(band);
        evictable[block] = false;
        policy.unevictable(block);
    }

    /** The policy's choice in the lowest band of some leaves; there must be one. */
    int victim(LeafGroups leaves) {
        int group = leaves.group(leaves.lowestBand());
        int victim = policy.victim(group);
        if (!contains(victim)) {
            throw new IllegalStateException("the policy must choose an evictable leaf: block=" + victim + " group="
                    + group + " policy=" + policy.getClass().getName());
        }
        return victim;
    }
}
