package io.kvcache.metrics;

import io.kvcache.CacheStats;
import io.kvcache.KvCache;
import io.kvcache.TierStats;
import io.micrometer.core.instrument.Tags;
import java.util.List;
import java.util.function.ToDoubleFunction;

/**
 * The meters of the tiers of a cache. Tiers may be added at any time: those that are new get their meters when the number of
 * tiers is read.
 *
 * <p>Thread-safe.
 */
final class TierMeters {
    private static final String PREFIX = "kvcache.tier.";

    private final Registration registration;
    private final Tags tags;
    private final Snapshots<KvCache, CacheStats> snapshots;
    private int known;

    /**
     * Makes it without meters. It does not refer to the cache.
     *
     * @param registration takes the meters
     * @param tags of all of them
     */
    TierMeters(Registration registration, Tags tags, Snapshots<KvCache, CacheStats> snapshots) {
        this.registration = registration;
        this.tags = tags;
        this.snapshots = snapshots;
    }

    /** Registers meters for tiers that have none. */
    synchronized void register(KvCache cache, List<TierStats> tiers) {
        for (; known < tiers.size(); known++) {
            int index = known;
            Tags own = tags.and("tier", tiers.get(index).name());
            register(
                    new SnapshotMeters<>(registration, PREFIX, own, cache, snapshots),
                    stats -> stats.tiers().get(index));
        }
    }

    /** A tier, by what a snapshot says of it. */
    @FunctionalInterface
    private interface Selection {
        TierStats in(CacheStats stats);

        default ToDoubleFunction<CacheStats> of(ToDoubleFunction<TierStats> value) {
            return stats -> value.applyAsDouble(in(stats));
        }
    }

    private static void register(SnapshotMeters<KvCache, CacheStats> meters, Selection tier) {
        loads(meters, tier);
        stores(meters, tier);
        meters.counter(
                "pauses",
                "pauses",
                "How often it was left alone because too many calls failed",
                tier.of(TierStats::pauses));
        meters.gauge(
                "unreached.namespaces",
                "namespaces",
                "Namespaces that were erased, and may still be there",
                tier.of(TierStats::unreachedNamespaces));
    }

    private static void loads(SnapshotMeters<KvCache, CacheStats> meters, Selection tier) {
        meters.gauge(
                "accepts.loads",
                "loads",
                "1 if it is asked for blocks now, 0 while too many calls fail",
                tier.of(stats -> stats.loads() ? 1 : 0));
        meters.counter(
                "loaded.blocks", "blocks", "Blocks that came from it into memory", tier.of(TierStats::loadedBlocks));
        meters.counter(
                "missed.blocks",
                "blocks",
                "Blocks that it seemed to have and had not",
                tier.of(TierStats::missedBlocks));
        meters.counter("failed.loads", "loads", "Look-ups and loads that failed", tier.of(TierStats::failedLoads));
        meters.counter(
                "late.loads", "loads", "Loads that took longer than the deadline", tier.of(TierStats::lateLoads));
    }

    private static void stores(SnapshotMeters<KvCache, CacheStats> meters, Selection tier) {
        meters.gauge(
                "accepts.stores",
                "stores",
                "1 if it is given blocks now, 0 while too many calls fail",
                tier.of(stats -> stats.stores() ? 1 : 0));
        meters.counter("stored.blocks", "blocks", "Blocks that it took", tier.of(TierStats::storedBlocks));
        meters.counter("declined.blocks", "blocks", "Blocks that it did not take", tier.of(TierStats::declinedBlocks));
        meters.counter("failed.stores", "stores", "Stores and erasures that failed", tier.of(TierStats::failedStores));
        meters.counter(
                "late.stores", "stores", "Stores that took longer than the deadline", tier.of(TierStats::lateStores));
        meters.gauge("queued.blocks", "blocks", "Blocks that wait to be copied", tier.of(TierStats::queuedBlocks));
        meters.counter(
                "dropped.blocks",
                "blocks",
                "Blocks not copied because too many waited, or the cache was closed",
                tier.of(TierStats::droppedBlocks));
        meters.counter(
                "lost.blocks",
                "blocks",
                "Blocks that left memory before their turn came",
                tier.of(TierStats::lostBlocks));
    }
}
