package io.kvcache.demo;

import io.kvcache.CacheStats;
import io.kvcache.MissReason;
import io.kvcache.TierStats;
import io.kvcache.Traffic;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.TimeUnit;

/**
 * What a run took, for people to read.
 *
 * <p>Thread-safe: stateless.
 */
final class RunReport {
    private static final double NANOS_PER_SECOND = TimeUnit.SECONDS.toNanos(1);

    private RunReport() {}

    /** One line. */
    static String summary(Generation generation) {
        KvUsage kv = generation.kv();
        return String.format(
                "[%d prompt tokens, %d cached%s; first token after %.1f ms; %d tokens at %.1f tokens/s; KV %s in %d"
                        + " blocks, %.1f%% waste]",
                generation.promptTokens(),
                generation.cachedTokens(),
                generation.cachedTokensByTier().split(),
                generation.ttftMillis(),
                generation.tokens().size(),
                generation.decodeTokensPerSecond(),
                ByteSize.text(kv.bytesUsed()),
                kv.blocksUsed(),
                100 * kv.wasteRatio());
    }

    /** A few lines about the cache. */
    static String stats(RunStats stats) {
        List<String> lines = new ArrayList<>();
        lines.add("[prompt: " + prompt(stats) + "]");
        lines.add("[blocks: " + events(stats.run()) + "]");
        lines.add(memory(stats.blocks()));
        lines.add(String.format(
                "[waits: %s; refused reserves: %d]",
                waits(stats.run()), stats.run().refusals()));
        stats.tiers().forEach(tier -> lines.add(tier(tier)));
        lines.add(total(stats.total()));
        return String.join(System.lineSeparator(), lines);
    }

    /** A few lines about what a cache holds and has done since it was built. */
    static String cache(CacheStats stats) {
        List<String> lines = new ArrayList<>();
        lines.add(memory(RunStats.BlockStates.of(stats)));
        stats.tiers().forEach(tier -> lines.add(tier(tier)));
        lines.add(total(stats.traffic()));
        return String.join(System.lineSeparator(), lines);
    }

    /** One line about what a loop has done since it was made. */
    static String loop(LoopStats stats) {
        return String.format(
                "[loop: %d requests completed, %d failed; %d tokens generated and %d computed in %d steps; %d"
                    + " preemptions, %d tokens computed again; %d context shifts; %.1f%% of the slots unused, %.1f%%"
                    + " of the time bookkeeping]",
                stats.completed(),
                stats.failed(),
                stats.generatedTokens(),
                stats.computedTokens(),
                stats.steps(),
                stats.preemptions(),
                stats.recomputedTokens(),
                stats.shifts(),
                100 * stats.wasteRatio(),
                100 * stats.bookkeepingRatio());
    }

    private static String memory(RunStats.BlockStates blocks) {
        return String.format(
                "[memory: %d private, %d shared, %d cached, %d free blocks of %s; room for %d]",
                blocks.privateBlocks(),
                blocks.sharedBlocks(),
                blocks.cachedBlocks(),
                blocks.freeBlocks(),
                ByteSize.text(blocks.blockBytes()),
                blocks.maximumBlocks());
    }

    private static String tier(TierStats tier) {
        return String.format(
                "[%s: %d blocks loaded, %d missed, %d stored, %d declined, %d waiting, %d dropped, %d lost; calls"
                        + " failed: %d to load, %d to store; late: %d, %d; left alone %d times%s]",
                tier.name(),
                tier.loadedBlocks(),
                tier.missedBlocks(),
                tier.storedBlocks(),
                tier.declinedBlocks(),
                tier.queuedBlocks(),
                tier.droppedBlocks(),
                tier.lostBlocks(),
                tier.failedLoads(),
                tier.failedStores(),
                tier.lateLoads(),
                tier.lateStores(),
                tier.pauses(),
                tier.lastFailure() == null ? "" : "; last failure: " + tier.lastFailure());
    }

    private static String total(Traffic total) {
        return String.format(
                "[all runs: %d of %d prompt tokens hit (%.1f%%)%s; %s]",
                total.hitTokens(),
                total.promptTokens(),
                100 * total.hitRatio(),
                total.loadedTokens() == 0 ? "" : ", " + total.loadedTokens() + " loaded from tiers",
                events(total));
    }

    /** Every token of the prompt was hit, missed, or is the last one. */
    private static String prompt(RunStats stats) {
        Traffic run = stats.run();
        String text = run.promptTokens() + " tokens = " + run.hitTokens() + " hit in memory";
        for (MissReason reason : MissReason.values()) {
            long missed = run.missedTokens(reason);
            if (missed > 0) {
                text += " + " + missed + " missed (" + words(reason) + ", from token " + stats.missedAt() + " on)";
            }
        }
        return text + " + 1 always computed"
                + (run.loadedTokens() == 0 ? "" : "; " + run.loadedTokens() + " of the missed loaded from tiers");
    }

    private static String words(MissReason reason) {
        return reason.name().toLowerCase(Locale.ROOT).replace('_', ' ');
    }

    private static String events(Traffic traffic) {
        return String.format(
                "%d published; removed: %d for room, %d expired, %d erased; %d computed again after %.1f s in all",
                traffic.publishedBlocks(),
                traffic.evictedBlocks(),
                traffic.expiredBlocks(),
                traffic.erasedBlocks(),
                traffic.recomputedBlocks(),
                traffic.recomputedAfterNanos() / NANOS_PER_SECOND);
    }

    private static String waits(Traffic traffic) {
        return String.format(
                "%d for %.1f s in all, %d to the deadline",
                traffic.waits(), traffic.waitedNanos() / NANOS_PER_SECOND, traffic.timeouts());
    }
}
