package io.kvcache.metrics;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.CacheStats;
import io.kvcache.MissReason;
import io.kvcache.NamespaceStats;
import io.kvcache.OpenOptions;
import io.kvcache.Sequence;
import io.kvcache.TierStats;
import io.kvcache.Traffic;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.lang.ref.WeakReference;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

final class KvCacheMetricsTest {
    private static final List<MissReason> REASONS = List.of(
            MissReason.NEVER_SEEN,
            MissReason.DIVERGED,
            MissReason.EVICTED,
            MissReason.EXPIRED,
            MissReason.ERASED,
            MissReason.IN_FLIGHT,
            MissReason.DISABLED);

    private final BusyCache busy = new BusyCache(event -> {
        if (event.number() == 2) {
            throw new IllegalStateException("a listener that fails");
        }
    });

    /** Name and labels of what a scrape shows, and the value. */
    private static Map<String, Double> scrape(PrometheusMeterRegistry registry) {
        return registry.scrape()
                .lines()
                .filter(line -> !line.startsWith("#"))
                .collect(Collectors.toMap(
                        line -> line.substring(0, line.lastIndexOf(' ')),
                        line -> Double.valueOf(line.substring(line.lastIndexOf(' '))),
                        (one, two) -> {
                            throw new IllegalStateException("twice the same series");
                        },
                        TreeMap::new));
    }

    /** What a scrape is to show, with labels in the order of the alphabet as the exposition has them. */
    private static final class Expected {
        private final Map<String, Double> values = new TreeMap<>();
        private final String prefix;
        private final String namespace;

        private Expected(String prefix, String namespace) {
            this.prefix = prefix;
            this.namespace = namespace;
        }

        void put(String name, Number value) {
            values.put(prefix + name + "{cache=\"main\"" + namespace + "}", value.doubleValue());
        }

        void put(String name, String key, String label, Number value) {
            String own = "," + key + "=\"" + label + "\"";
            String labels = key.compareTo("namespace") < 0 ? own + namespace : namespace + own;
            values.put(prefix + name + "{cache=\"main\"" + labels + "}", value.doubleValue());
        }

        void putTraffic(Traffic traffic) {
            put("opens_total", traffic.opened());
            put("prompt_tokens_total", traffic.promptTokens());
            put("prefix_hit_tokens_total", "tier", "memory", traffic.hitTokens());
            put("prefix_missed_tokens_total", "reason", "never_seen", traffic.missedTokens(MissReason.NEVER_SEEN));
            put("prefix_missed_tokens_total", "reason", "diverged", traffic.missedTokens(MissReason.DIVERGED));
            put("prefix_missed_tokens_total", "reason", "evicted", traffic.missedTokens(MissReason.EVICTED));
            put("prefix_missed_tokens_total", "reason", "expired", traffic.missedTokens(MissReason.EXPIRED));
            put("prefix_missed_tokens_total", "reason", "erased", traffic.missedTokens(MissReason.ERASED));
            put("prefix_missed_tokens_total", "reason", "in_flight", traffic.missedTokens(MissReason.IN_FLIGHT));
            put("prefix_missed_tokens_total", "reason", "no_room", traffic.missedTokens(MissReason.NO_ROOM));
            put("prefix_missed_tokens_total", "reason", "disabled", traffic.missedTokens(MissReason.DISABLED));
            put("adopted_tokens_total", traffic.adoptedTokens());
            put("loaded_tokens_total", traffic.loadedTokens());
            put("published_blocks_total", traffic.publishedBlocks());
            put("loaded_blocks_total", traffic.loadedBlocks());
            put("removed_blocks_total", "cause", "capacity", traffic.evictedBlocks());
            put("removed_blocks_total", "cause", "expired", traffic.expiredBlocks());
            put("removed_blocks_total", "cause", "explicit", traffic.erasedBlocks());
            put("recomputed_blocks_total", traffic.recomputedBlocks());
            put("recomputed_after_seconds_total", traffic.recomputedAfterNanos() / 1e9);
            put("refused_reserves_total", traffic.refusals());
            put("waits_total", traffic.waits());
            put("wait_seconds_total", traffic.waitedNanos() / 1e9);
            put("wait_timeouts_total", traffic.timeouts());
            put("session_lookups_total", "result", "hit", traffic.sessionHits());
            put("session_lookups_total", "result", "miss", traffic.sessionMisses());
            put("dropped_sessions_total", traffic.droppedSessions());
        }

        static Map<String, Double> of(CacheStats stats) {
            Expected expected = new Expected("kvcache_", "");
            expected.putTraffic(stats.traffic());
            expected.put("blocks", "state", "private", stats.privateBlocks());
            expected.put("blocks", "state", "shared", stats.sharedBlocks());
            expected.put("blocks", "state", "cached", stats.cachedBlocks());
            expected.put("blocks", "state", "free", stats.freeBlocks());
            expected.put("pinned_blocks", stats.pinnedBlocks());
            expected.put("used_bytes", stats.usedBytes());
            expected.put("cached_bytes", (double) stats.cachedBlocks() * stats.blockBytes());
            expected.put("allocated_bytes", stats.allocatedBytes());
            expected.put("maximum_bytes", stats.maximumBytes());
            expected.put("open_sequences", stats.openSequences());
            expected.put("waiting_opens", stats.waitingOpens());
            expected.put("sessions", stats.sessions());
            expected.put("lost_events_total", stats.lostEvents());
            expected.put("listener_failures_total", stats.listenerFailures());
            expected.put("tiers", stats.tiers().size());
            stats.tiers().forEach(expected::putTier);
            return expected.values;
        }

        void putTier(TierStats tier) {
            putTier(tier, "accepts_loads", tier.loads() ? 1 : 0);
            putTier(tier, "loaded_blocks_total", tier.loadedBlocks());
            putTier(tier, "missed_blocks_total", tier.missedBlocks());
            putTier(tier, "failed_loads_total", tier.failedLoads());
            putTier(tier, "late_loads_total", tier.lateLoads());
            putTier(tier, "accepts_stores", tier.stores() ? 1 : 0);
            putTier(tier, "stored_blocks_total", tier.storedBlocks());
            putTier(tier, "declined_blocks_total", tier.declinedBlocks());
            putTier(tier, "failed_stores_total", tier.failedStores());
            putTier(tier, "late_stores_total", tier.lateStores());
            putTier(tier, "queued_blocks", tier.queuedBlocks());
            putTier(tier, "dropped_blocks_total", tier.droppedBlocks());
            putTier(tier, "lost_blocks_total", tier.lostBlocks());
            putTier(tier, "pauses_total", tier.pauses());
            putTier(tier, "unreached_namespaces", tier.unreachedNamespaces());
        }

        private void putTier(TierStats tier, String name, Number value) {
            put("tier_" + name, "tier", tier.name(), value);
        }

        static Map<String, Double> of(String name, NamespaceStats stats) {
            Expected expected = new Expected("kvcache_namespace_", ",namespace=\"" + name + "\"");
            expected.putTraffic(stats.traffic());
            expected.put("blocks", "state", "private", stats.usedBlocks() - stats.sharedBlocks());
            expected.put("blocks", "state", "shared", stats.sharedBlocks());
            expected.put("blocks", "state", "cached", stats.cachedBlocks());
            expected.put("pinned_blocks", stats.pinnedBlocks());
            expected.put("sessions", stats.sessions());
            return expected.values;
        }
    }

    private void assertEverythingHasHappened() {
        Traffic traffic = busy.cache.stats().traffic();
        for (MissReason reason : REASONS) {
            assertTrue(traffic.missedTokens(reason) > 0, reason + " " + traffic);
        }
        for (long count : new long[] {
            traffic.hitTokens(), traffic.adoptedTokens(), traffic.evictedBlocks(), traffic.expiredBlocks(),
            traffic.erasedBlocks(), traffic.recomputedBlocks(), traffic.recomputedAfterNanos(), traffic.waits(),
            traffic.waitedNanos(), traffic.timeouts(), traffic.refusals(), traffic.sessionHits(),
            traffic.sessionMisses(), traffic.droppedSessions(),
                    busy.cache.stats().listenerFailures()
        }) {
            assertTrue(count > 0, () -> busy.cache.stats().toString());
        }
    }

    @Test
    void shouldShowAllStatisticsUnderPrometheusNames() throws InterruptedException {
        PrometheusMeterRegistry registry = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
        try (busy;
                KvCacheMetrics metrics = new KvCacheMetrics(busy.cache, "main")) {
            metrics.bindTo(registry);
            assertEquals(Expected.of(busy.cache.stats()), scrape(registry));
            busy.beBusy();
            assertEverythingHasHappened();
            assertEquals(Expected.of(busy.cache.stats()), scrape(registry));
            try (Sequence sequence = BusyCache.compute(busy.chat, OpenOptions.DEFAULT, BusyCache.prompt(30, 6))) {
                assertEquals(6, sequence.length());
                Map<String, Double> scraped = scrape(registry);
                assertEquals(Expected.of(busy.cache.stats()), scraped);
                // A full block and one that is not, of this sequence and of the session that is left.
                assertEquals(2, scraped.get("kvcache_blocks{cache=\"main\",state=\"shared\"}"));
                assertEquals(2, scraped.get("kvcache_blocks{cache=\"main\",state=\"private\"}"));
                assertEquals(1.5, scraped.get("kvcache_wait_seconds_total{cache=\"main\"}"));
            }
        }
    }

    @Test
    void shouldExplainEveryPromptTokenInOneScrape() throws InterruptedException {
        PrometheusMeterRegistry registry = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
        try (busy;
                KvCacheMetrics metrics = new KvCacheMetrics(busy.cache, "main")) {
            metrics.bindTo(registry);
            busy.beBusy();
            Map<String, Double> scraped = scrape(registry);
            double explained = 0;
            for (Map.Entry<String, Double> series : scraped.entrySet()) {
                if (series.getKey().matches("kvcache_(prefix_(hit|missed)_tokens|opens)_total.*")) {
                    explained += series.getValue();
                }
            }
            assertEquals(scraped.get("kvcache_prompt_tokens_total{cache=\"main\"}"), explained);
        }
    }

    @Test
    void shouldShowNamespacesThatAreNamedAndNoOthers() throws InterruptedException {
        PrometheusMeterRegistry registry = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
        try (busy;
                KvCacheMetrics metrics = new KvCacheMetrics(busy.cache, "main", List.of(busy.tools))) {
            metrics.bindTo(registry);
            busy.beBusy();
            Map<String, Double> expected = new TreeMap<>(Expected.of(busy.cache.stats()));
            expected.putAll(Expected.of("tools", busy.tools.stats()));
            assertEquals(expected, scrape(registry));
        }
    }

    // ---- tiers ----

    private static void assertEverythingHasHappened(TierStats tier) {
        for (long count : new long[] {
            tier.loadedBlocks(), tier.missedBlocks(), tier.failedLoads(), tier.lateLoads(), tier.storedBlocks(),
            tier.declinedBlocks(), tier.failedStores(), tier.lateStores(), tier.droppedBlocks(), tier.lostBlocks(),
            tier.pauses(), tier.unreachedNamespaces()
        }) {
            assertTrue(count > 0, tier::toString);
        }
    }

    @Test
    void shouldShowWhatGoesThroughTiers() {
        PrometheusMeterRegistry registry = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
        try (TieredCache tiered = new TieredCache(event -> {});
                KvCacheMetrics metrics = new KvCacheMetrics(tiered.cache, "main", List.of(tiered.chat))) {
            metrics.bindTo(registry);
            assertEquals(1, scrape(registry).get("kvcache_tier_accepts_loads{cache=\"main\",tier=\"disk\"}"));
            tiered.beBusy();
            CacheStats stats = tiered.cache.stats();
            assertEverythingHasHappened(stats.tiers().getFirst());
            assertEquals(8, stats.traffic().loadedTokens());
            Map<String, Double> expected = new TreeMap<>(Expected.of(stats));
            expected.putAll(Expected.of("chat", tiered.chat.stats()));
            Map<String, Double> scraped = scrape(registry);
            assertEquals(expected, scraped);
            assertEquals(0, scraped.get("kvcache_tier_accepts_loads{cache=\"main\",tier=\"disk\"}"));
            BusyCache.computeAndClose(tiered.cache.namespace("tools"), BusyCache.prompt(20, 9));
            assertEquals(2, scrape(registry).get("kvcache_tier_queued_blocks{cache=\"main\",tier=\"disk\"}"));
        }
    }

    @Test
    void shouldShowATierThatComesLater() {
        PrometheusMeterRegistry registry = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
        SimpleMeterRegistry other = new SimpleMeterRegistry();
        try (TieredCache tiered = new TieredCache(event -> {})) {
            KvCacheMetrics metrics = new KvCacheMetrics(tiered.cache, "main");
            metrics.bindTo(registry);
            metrics.bindTo(other);
            assertEquals(Expected.of(tiered.cache.stats()), scrape(registry));
            tiered.cache.addTier(tiered.tier("remote", new TieredCache.FickleStore()));
            tiered.cache.addTier(tiered.tier("archive", new TieredCache.FickleStore()));
            assertEquals(3, scrape(registry).get("kvcache_tiers{cache=\"main\"}"));
            tiered.beBusy();
            assertEquals(Expected.of(tiered.cache.stats()), scrape(registry));
            assertEquals(3, other.get("kvcache.tiers").gauge().value());
            assertEquals(
                    1,
                    other.get("kvcache.tier.accepts.stores")
                            .tag("tier", "archive")
                            .gauge()
                            .value());
            metrics.close();
            assertEquals(Map.of(), scrape(registry));
            assertEquals(List.of(), other.getMeters());
        }
    }

    // ---- registries ----

    @Test
    void shouldTellCachesOfOneRegistryApart() throws InterruptedException {
        PrometheusMeterRegistry registry = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
        try (busy;
                BusyCache idle = new BusyCache(event -> {});
                KvCacheMetrics metrics = new KvCacheMetrics(busy.cache, "main")) {
            KvCacheMetrics others = new KvCacheMetrics(idle.cache, "idle");
            metrics.bindTo(registry);
            others.bindTo(registry);
            busy.beBusy();
            Map<String, Double> scraped = scrape(registry);
            assertEquals(
                    (double) busy.cache.stats().traffic().opened(), scraped.get("kvcache_opens_total{cache=\"main\"}"));
            assertEquals(0, scraped.get("kvcache_opens_total{cache=\"idle\"}"));
            others.close();
            assertEquals(Expected.of(busy.cache.stats()), scrape(registry));
        }
    }

    @Test
    void shouldDescribeMetersWithTheirUnits() {
        PrometheusMeterRegistry registry = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
        try (busy;
                TieredCache tiered = new TieredCache(event -> {});
                KvCacheMetrics metrics = new KvCacheMetrics(busy.cache, "main");
                KvCacheMetrics others = new KvCacheMetrics(tiered.cache, "tiered")) {
            metrics.bindTo(registry);
            others.bindTo(registry);
            String text = registry.scrape();
            assertTrue(text.contains("# HELP kvcache_prompt_tokens_total Tokens of their prompts\n"), text);
            assertTrue(text.contains("# TYPE kvcache_prompt_tokens_total counter\n"), text);
            assertTrue(text.contains("# TYPE kvcache_blocks gauge\n"), text);
            registry.getMeters().forEach(meter -> {
                String unit = present(meter.getId().getBaseUnit());
                assertTrue(meter.getId().getName().endsWith(unit), meter.getId().toString());
                assertNotNull(meter.getId().getDescription());
            });
        }
    }

    private static String present(@Nullable String text) {
        assertNotNull(text);
        return text;
    }

    @Test
    void shouldRemoveItsMetersFromEveryRegistryWhenItCloses() {
        SimpleMeterRegistry first = new SimpleMeterRegistry();
        SimpleMeterRegistry second = new SimpleMeterRegistry();
        first.counter("of.others").increment();
        try (busy) {
            KvCacheMetrics metrics = new KvCacheMetrics(busy.cache, "main", List.of(busy.chat));
            metrics.bindTo(first);
            metrics.bindTo(second);
            assertTrue(
                    second.getMeters().size() > 60,
                    () -> "" + second.getMeters().size());
            metrics.close();
            metrics.close();
            assertEquals(
                    List.of("of.others"),
                    first.getMeters().stream()
                            .map(meter -> meter.getId().getName())
                            .toList());
            assertEquals(List.of(), second.getMeters());
        }
    }

    @Test
    void shouldNotKeepACacheAlive() {
        SimpleMeterRegistry registry = new SimpleMeterRegistry();
        WeakReference<Object> cache = new WeakReference<>(bindAndClose(registry));
        for (int i = 0; i < 20 && cache.get() != null; i++) {
            System.gc();
        }
        assertEquals(null, cache.get());
        assertEquals(Double.NaN, registry.get("kvcache.used.bytes").gauge().value());
        assertEquals(0, registry.get("kvcache.opens").functionCounter().count());
    }

    private static Object bindAndClose(MeterRegistry registry) {
        try (TieredCache gone = new TieredCache(event -> {})) {
            new KvCacheMetrics(gone.cache, "main", List.of(gone.chat)).bindTo(registry);
            return gone.cache;
        }
    }

    @Test
    void shouldStillBeReadableWhenTheCacheIsClosed() throws InterruptedException {
        PrometheusMeterRegistry registry = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
        busy.beBusy();
        new KvCacheMetrics(busy.cache, "main").bindTo(registry);
        double opened = busy.cache.stats().traffic().opened();
        busy.close();
        assertEquals(opened, scrape(registry).get("kvcache_opens_total{cache=\"main\"}"));
    }
}
