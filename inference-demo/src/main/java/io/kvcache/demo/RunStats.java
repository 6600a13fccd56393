package io.kvcache.demo;

import io.kvcache.CacheStats;
import io.kvcache.MissReason;
import io.kvcache.TierStats;
import io.kvcache.Traffic;
import java.util.List;

/**
 * What one run has done with the cache; a part of the command line's JSON.
 *
 * <p>Immutable, hence thread-safe.
 *
 * @param missReason why no more of the prompt was found
 * @param missedAt the position of the first prompt token that was not found
 * @param run what went through the cache from the start of the run to its end
 * @param total what went through the cache since it was built
 * @param tiers what went through each tier from the start of the run to its end
 * @param blocks memory at the end, after its sequence is closed
 */
public record RunStats(
        MissReason missReason, int missedAt, Traffic run, Traffic total, List<TierStats> tiers, BlockStates blocks) {
    /** Copies the list. */
    public RunStats {
        tiers = List.copyOf(tiers);
    }

    /**
     * Blocks by state.
     *
     * <p>Immutable, hence thread-safe.
     *
     * @param privateBlocks that sequences hold for themselves
     * @param sharedBlocks that sequences hold and others can share
     * @param cachedBlocks that nobody holds, kept for prompts to come
     * @param freeBlocks that have memory and hold nothing
     * @param maximumBlocks that the limit allows
     * @param blockBytes size of a block
     */
    public record BlockStates(
            int privateBlocks, int sharedBlocks, int cachedBlocks, int freeBlocks, int maximumBlocks, long blockBytes) {
        static BlockStates of(CacheStats stats) {
            return new BlockStates(
                    stats.privateBlocks(),
                    stats.sharedBlocks(),
                    stats.cachedBlocks(),
                    stats.freeBlocks(),
                    stats.maximumBlocks(),
                    stats.blockBytes());
        }
    }

    /**
     * Looks at a run that has ended.
     *
     * @param before the run
     * @param now after it
     */
    static RunStats of(DecodeResult result, CacheStats before, CacheStats now) {
        CacheStats run = now.minus(before);
        return new RunStats(
                result.missReason(), result.missedAt(), run.traffic(), now.traffic(), run.tiers(), BlockStates.of(now));
    }
}
