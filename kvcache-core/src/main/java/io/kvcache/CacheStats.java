package io.kvcache;

import java.util.ArrayList;
import java.util.List;

/**
 * What a cache holds at one moment, and what has gone through it since it was built.
 *
 * <p>Thread-safe: immutable.
 *
 * @param openSequences sequences that are open
 * @param waitingOpens callers that wait to open one
 * @param sessions sessions stored by key
 * @param usedBlocks blocks that sequences, sessions or pins hold
 * @param sharedBlocks how many of these are published: other sequences can share them; the others are private
 * @param cachedBlocks blocks that nobody holds, kept for prompts that begin with the same tokens
 * @param pinnedBlocks blocks that namespaces pin, among the used ones
 * @param allocatedBlocks blocks that have native memory: used, cached or free
 * @param maximumBlocks blocks that {@code maximumBytes} allows
 * @param blockBytes size of a block
 * @param maximumBytes the limit that the cache was built with
 * @param lostEvents events that a listener was too slow for
 * @param listenerFailures calls of the listener that threw
 * @param traffic what has gone through all namespaces
 * @param tiers what has gone through each tier, in their order
 */
public record CacheStats(
        int openSequences,
        int waitingOpens,
        int sessions,
        int usedBlocks,
        int sharedBlocks,
        int cachedBlocks,
        int pinnedBlocks,
        int allocatedBlocks,
        int maximumBlocks,
        long blockBytes,
        long maximumBytes,
        long lostEvents,
        long listenerFailures,
        Traffic traffic,
        List<TierStats> tiers) {
    /**
     * Makes a snapshot.
     *
     * @param tiers is copied
     */
    public CacheStats {
        tiers = List.copyOf(tiers);
    }

    /**
     * Returns the blocks that hold tokens of sequences or sessions and are not published: not full yet, or kept to themselves.
     *
     * @return blocks
     */
    public int privateBlocks() {
        return usedBlocks - sharedBlocks;
    }

    /**
     * Returns the blocks that have native memory and hold nothing.
     *
     * @return blocks
     */
    public int freeBlocks() {
        return allocatedBlocks - usedBlocks - cachedBlocks;
    }

    /**
     * Returns the memory of the blocks in use.
     *
     * @return bytes
     */
    public long usedBytes() {
        return usedBlocks * blockBytes;
    }

    /**
     * Returns the native memory allocated so far. It grows with the blocks in use, in chunks of 2 MiB or a block.
     *
     * @return bytes
     */
    public long allocatedBytes() {
        return allocatedBlocks * blockBytes;
    }

    /**
     * Returns what the cache holds now and what went through it since an earlier snapshot.
     *
     * @param earlier a snapshot of the same cache
     * @return this with the differences of what is counted
     */
    public CacheStats minus(CacheStats earlier) {
        return new CacheStats(
                openSequences,
                waitingOpens,
                sessions,
                usedBlocks,
                sharedBlocks,
                cachedBlocks,
                pinnedBlocks,
                allocatedBlocks,
                maximumBlocks,
                blockBytes,
                maximumBytes,
                lostEvents - earlier.lostEvents,
                listenerFailures - earlier.listenerFailures,
                traffic.minus(earlier.traffic),
                minus(tiers, earlier.tiers));
    }

    private static List<TierStats> minus(List<TierStats> tiers, List<TierStats> earlier) {
        List<TierStats> differences = new ArrayList<>();
        for (int i = 0; i < tiers.size(); i++) {
            TierStats tier = tiers.get(i);
            differences.add(i < earlier.size() ? tier.minus(earlier.get(i)) : tier); // tiers are added, never removed
        }
        return differences;
    }
}
