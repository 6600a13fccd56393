package io.kvcache;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What the cache knows of one namespace: its share of the blocks, its options in blocks, its roots and its counts.
 *
 * <p>Not thread-safe: guarded by the lock of the {@link SequencePool}.
 */
final class Partition {
    final String name;
    final NamespaceOptions options;
    final int floorBlocks;
    final int ceilingBlocks;
    final int pinnableBlocks;
    final LeafGroups leaves;
    final Map<List<Identity>, PrefixRoot> roots = new LinkedHashMap<>();

    // Every block that is not free belongs to one partition: those that somebody holds, and those only cached.
    int blocks;
    int unreferencedBlocks;
    int pinnedBlocks;

    long opened;
    long promptTokens;
    long hitTokens;
    long evictedBlocks;
    long expiredBlocks;
    long erasedBlocks;

    /**
     * Makes a partition without blocks.
     *
     * @param leaves groups of its own if it has a floor or a ceiling; otherwise those of all such partitions
     */
    Partition(String name, NamespaceOptions options, long blockBytes, LeafGroups leaves) {
        this.name = name;
        this.options = options;
        this.floorBlocks = saturated(Math.ceilDiv(options.floorBytes(), blockBytes));
        this.ceilingBlocks = saturated(options.ceilingBytes() / blockBytes);
        this.pinnableBlocks = saturated(options.pinnedBytes() / blockBytes);
        this.leaves = leaves;
    }

    /** Whether a partition with these options competes for memory by rules of its own. */
    static boolean hasQuota(NamespaceOptions options) {
        return options.floorBytes() > 0 || options.ceilingBytes() < Long.MAX_VALUE;
    }

    private static int saturated(long blocks) {
        return (int) Math.min(blocks, Integer.MAX_VALUE);
    }

    /** What it has beyond its floor, which others may reclaim. */
    boolean hasBorrowed() {
        return blocks > floorBlocks;
    }

    /** Blocks that others may not take: its unmet floor, and what is cached of its floor. */
    int withheldBlocks() {
        int unmet = Math.max(0, floorBlocks - blocks);
        int borrowed = Math.max(0, blocks - floorBlocks);
        return unmet + Math.max(0, unreferencedBlocks - borrowed);
    }

    /** How many more blocks its ceiling allows it to hold if it evicts what it has cached. */
    long belowCeiling() {
        return (long) ceilingBlocks - blocks + unreferencedBlocks;
    }

    NamespaceStats stats() {
        return new NamespaceStats(
                blocks - unreferencedBlocks,
                unreferencedBlocks,
                pinnedBlocks,
                opened,
                promptTokens,
                hitTokens,
                evictedBlocks,
                expiredBlocks,
                erasedBlocks);
    }
}
