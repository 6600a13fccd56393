package io.kvcache.examples;

import io.kvcache.CacheStats;
import io.kvcache.KvCache;
import io.kvcache.MissReason;
import io.kvcache.Namespace;
import io.kvcache.Sequence;
import io.kvcache.metrics.KvCacheMetrics;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.util.List;

/** What went through a cache between two moments, and the same facts for Prometheus. */
final class StatsAndMetrics {
    private StatsAndMetrics() {}

    public static void main(String[] arguments) {
        PrometheusMeterRegistry registry = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
        try (KvCache cache = TinyModel.cacheOf(32).build()) {
            Namespace chat = cache.namespace("chat");
            try (KvCacheMetrics metrics = new KvCacheMetrics(cache, "main", List.of(chat))) {
                metrics.bindTo(registry);
                ask(chat, "Tell me a story about a fox and a hen");
                CacheStats before = cache.stats();
                ask(chat, "Tell me a story about a dog and a cat");
                CacheStats since = cache.stats().minus(before);
                System.out.println("of " + since.traffic().promptTokens() + " tokens "
                        + since.traffic().hitTokens() + " hit, "
                        + since.traffic().missedTokens(MissReason.DIVERGED) + " missed where the two diverge");
                System.out.println("blocks: " + since.cachedBlocks() + " cached, " + since.freeBlocks() + " free");
                registry.scrape()
                        .lines()
                        .filter(line -> line.matches("kvcache_(namespace_)?(prompt_tokens|prefix_hit).*"))
                        .forEach(System.out::println);
            }
        }
    }

    private static void ask(Namespace namespace, String text) {
        int[] prompt = TinyModel.tokens(text);
        try (Sequence sequence = namespace.open(prompt)) {
            TinyModel.prefill(sequence, prompt);
        }
    }
}
