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
    final int index; // partitions are numbered from 0
    final NamespaceOptions options;
    final int floorBlocks;
    final int ceilingBlocks;
    final int pinnableBlocks;
    final LeafGroups leaves;
    final Map<List<Identity>, PrefixRoot> roots = new LinkedHashMap<>();

    // Every block that is not free belongs to one partition: those that somebody holds (yielding ones are held by
    // sessions only, which give them up), and those only cached.
    int blocks;
    int unreferencedBlocks;
    int pinnedBlocks;
    int publishedBlocks;
    int yieldingBlocks;
    int overwrittenBlocks; // nobody holds them any more; free once they are overwritten
    int sessions;

    final TrafficCounters traffic = new TrafficCounters();

    /**
     * Makes a partition without blocks.
     *
     * @param leaves groups of its own if it has a floor or a ceiling; otherwise those of all such partitions
     */
    Partition(String name, int index, NamespaceOptions options, long blockBytes, LeafGroups leaves) {
        this.name = name;
        this.index = index;
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

    /** Blocks that others may not take: its unmet floor, and what it could do without of its floor. */
    int withheldBlocks() {
        int unmet = Math.max(0, floorBlocks - blocks);
        int borrowed = Math.max(0, blocks - floorBlocks);
        return unmet + Math.max(0, reclaimableBlocks() - borrowed);
    }

    /** Blocks that it has and can do without: cached, or held by sessions only. */
    int reclaimableBlocks() {
        return unreferencedBlocks + yieldingBlocks;
    }

    /** How many more blocks its ceiling allows it to hold if it gives up what it can. */
    long belowCeiling() {
        return (long) ceilingBlocks - blocks + reclaimableBlocks();
    }

    /** By how many blocks it would exceed its ceiling with {@code more}. */
    int aboveCeiling(int more) {
        return (int) Math.max(0, (long) blocks + more - ceilingBlocks);
    }

    NamespaceStats stats() {
        return new NamespaceStats(
                blocks - unreferencedBlocks - overwrittenBlocks,
                publishedBlocks - unreferencedBlocks,
                unreferencedBlocks,
                pinnedBlocks,
                sessions,
                traffic.snapshot());
    }
}
