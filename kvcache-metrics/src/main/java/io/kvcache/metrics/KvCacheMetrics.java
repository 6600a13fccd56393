package io.kvcache.metrics;

import io.kvcache.CacheStats;
import io.kvcache.KvCache;
import io.kvcache.Namespace;
import io.kvcache.NamespaceStats;
import io.kvcache.TierStats;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tags;
import io.micrometer.core.instrument.binder.MeterBinder;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.ToDoubleFunction;
import org.agrona.concurrent.SystemNanoClock;

/**
 * Binds the statistics of a cache to Micrometer. Names and units follow Prometheus: {@code kvcache_prompt_tokens_total},
 * {@code kvcache_prefix_hit_tokens_total{tier="memory"}}, {@code kvcache_prefix_missed_tokens_total{reason="evicted"}},
 * {@code kvcache_blocks{state="shared"}}, {@code kvcache_used_bytes}, {@code kvcache_wait_seconds_total}. Every meter has the tag
 * {@code cache}; there are numerators and denominators, no ratios:
 *
 * <pre>{@code
 * sum(rate(kvcache_prefix_hit_tokens_total[5m])) / sum(rate(kvcache_prompt_tokens_total[5m]))
 * }</pre>
 *
 * <p>Tiers below memory have meters {@code kvcache_tier_...} with the tag {@code tier}; one that is added later has them from the next
 * pass on, or the one after it.
 *
 * <p>Namespaces that are named here have meters of their own, {@code kvcache_namespace_...} with the tag
 * {@code namespace}: as many time series as the caller wants, however many tenants come and go.
 *
 * <p>All meters of a cache that are read in one pass, a scrape for instance, show the same moment: the lock of the cache
 * is taken once a pass, and once for each named namespace. The registry does not keep the cache alive. Neither does
 * it forget one that is closed: close the binder too, if the registry lives longer.
 *
 * <p>Thread-safe.
 */
public final class KvCacheMetrics implements MeterBinder, AutoCloseable {
    private static final String PINNED = "Blocks that are pinned, among those that somebody holds";
    private static final String SESSIONS = "Sessions stored by key";

    private final KvCache cache;
    private final String name;
    private final List<Namespace> namespaces;
    private final List<Registration> registrations = new ArrayList<>(); // guarded by itself

    /**
     * Makes a binder.
     *
     * @param cache is read; left open
     * @param name value of the tag {@code cache}, another one for each cache in a registry
     */
    public KvCacheMetrics(KvCache cache, String name) {
        this(cache, name, List.of());
    }

    /**
     * Makes a binder that looks at some namespaces in particular.
     *
     * @param cache is read; left open
     * @param name value of the tag {@code cache}, another one for each cache in a registry
     * @param namespaces of this cache, those that have meters of their own
     */
    public KvCacheMetrics(KvCache cache, String name, List<Namespace> namespaces) {
        this.cache = Objects.requireNonNull(cache, "cache");
        this.name = Objects.requireNonNull(name, "name");
        this.namespaces = List.copyOf(namespaces);
    }

    @Override
    public void bindTo(MeterRegistry registry) {
        Registration registration = new Registration(registry);
        synchronized (registrations) {
            registrations.add(registration);
        }
        Tags tags = Tags.of("cache", name);
        Snapshots<KvCache, CacheStats> snapshots = new Snapshots<>(KvCache::stats, SystemNanoClock.INSTANCE);
        bindCache(new SnapshotMeters<>(registration, "kvcache.", tags, cache, snapshots));
        bindTiers(registration, tags, snapshots);
        for (Namespace namespace : namespaces) {
            bindNamespace(new SnapshotMeters<>(
                    registration,
                    "kvcache.namespace.",
                    tags.and("namespace", namespace.name()),
                    namespace,
                    new Snapshots<>(Namespace::stats, SystemNanoClock.INSTANCE)));
        }
    }

    private void bindTiers(Registration registration, Tags tags, Snapshots<KvCache, CacheStats> snapshots) {
        TierMeters tiers = new TierMeters(registration, tags, snapshots);
        tiers.register(cache, cache.stats().tiers());
        int reader = snapshots.newReader();
        registration.add(registry -> Gauge.builder("kvcache.tiers", cache, present -> {
                    List<TierStats> now = snapshots.next(present, reader).tiers();
                    tiers.register(present, now);
                    return now.size();
                })
                .tags(tags)
                .baseUnit("tiers")
                .description("Tiers below memory")
                .register(registry));
    }

    private static void bindCache(SnapshotMeters<KvCache, CacheStats> meters) {
        TrafficMeters.register(meters, CacheStats::traffic);
        blocks(meters, "private", CacheStats::privateBlocks);
        blocks(meters, "shared", CacheStats::sharedBlocks);
        blocks(meters, "cached", CacheStats::cachedBlocks);
        blocks(meters, "free", CacheStats::freeBlocks);
        meters.gauge("pinned.blocks", "blocks", PINNED, CacheStats::pinnedBlocks);
        meters.gauge("used.bytes", "bytes", "Memory of blocks that somebody holds", CacheStats::usedBytes);
        meters.gauge(
                "cached.bytes",
                "bytes",
                "Memory of blocks that nobody holds, kept for prompts to come",
                stats -> stats.cachedBlocks() * (double) stats.blockBytes());
        meters.gauge("allocated.bytes", "bytes", "Native memory allocated so far", CacheStats::allocatedBytes);
        meters.gauge("maximum.bytes", "bytes", "Limit of native memory", CacheStats::maximumBytes);
        meters.gauge("open.sequences", "sequences", "Sequences that are open", CacheStats::openSequences);
        meters.gauge("waiting.opens", "opens", "Callers that wait to open a sequence", CacheStats::waitingOpens);
        meters.gauge("sessions", "sessions", SESSIONS, CacheStats::sessions);
        meters.counter("lost.events", "events", "Events a listener was too slow for", CacheStats::lostEvents);
        meters.counter("listener.failures", "failures", "Calls of a listener that threw", CacheStats::listenerFailures);
    }

    private static void bindNamespace(SnapshotMeters<Namespace, NamespaceStats> meters) {
        TrafficMeters.register(meters, NamespaceStats::traffic);
        blocks(meters, "private", stats -> stats.usedBlocks() - stats.sharedBlocks());
        blocks(meters, "shared", NamespaceStats::sharedBlocks);
        blocks(meters, "cached", NamespaceStats::cachedBlocks);
        meters.gauge("pinned.blocks", "blocks", PINNED, NamespaceStats::pinnedBlocks);
        meters.gauge("sessions", "sessions", SESSIONS, NamespaceStats::sessions);
    }

    private static <T, S> void blocks(SnapshotMeters<T, S> meters, String state, ToDoubleFunction<S> value) {
        meters.gauge("blocks", "blocks", "Blocks with memory, by state", value, "state", state);
    }

    /** Removes the meters from the registries to which they were bound; leaves the cache open. A second call does nothing. */
    @Override
    public void close() {
        synchronized (registrations) {
            registrations.forEach(Registration::close);
            registrations.clear();
        }
    }
}
