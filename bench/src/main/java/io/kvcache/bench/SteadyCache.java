package io.kvcache.bench;

import io.kvcache.CacheStats;
import io.kvcache.KvCache;
import io.kvcache.KvLayout;
import io.kvcache.KvType;
import io.kvcache.Namespace;
import io.kvcache.NamespaceOptions;
import io.kvcache.Retention;
import java.time.Duration;
import org.agrona.concurrent.NanoClock;

/**
 * A cache with four tenants: one with a floor, one with a ceiling, one that may pin, and one whose blocks live for a short time and
 * which is erased now and then.
 *
 * <p>Thread-safe.
 */
final class SteadyCache implements AutoCloseable {
    /** A token: 4 layers x 2 K/V heads x 64 elements x 2 bytes, for K and for V: 2 KiB. */
    static final KvLayout LAYOUT = KvLayout.builder()
            .layers(4)
            .kvHeads(2)
            .headSize(64)
            .type(KvType.F16)
            .tokensPerBlock(16)
            .build();

    private static final Retention SHORT =
            Retention.DEFAULT.withTtl(Duration.ofMillis(100)).withJitter(0.2);

    private final KvCache cache;
    private final Namespace[] namespaces; // [tenants]; the one that is erased is last

    SteadyCache(long bytes, NanoClock clock, long seed) {
        cache = KvCache.builder(LAYOUT)
                .maximumBytes(bytes)
                .clock(clock)
                .seed(seed)
                .build();
        NamespaceOptions plain = NamespaceOptions.DEFAULT;
        namespaces = new Namespace[] {
            cache.namespace("floor", plain.withFloorBytes(bytes / 8)),
            cache.namespace("ceiling", plain.withCeilingBytes(bytes / 4)),
            cache.namespace("pins", plain.withPinnedBytes(bytes / 32)),
            cache.namespace("short-lived", plain.withRetention(SHORT))
        };
    }

    int tenants() {
        return namespaces.length;
    }

    Namespace namespace(int tenant) {
        return namespaces[tenant];
    }

    Namespace erasable() {
        return namespaces[namespaces.length - 1];
    }

    void maintain() {
        cache.maintain(64);
    }

    /** Whether it has taken all memory that it may take, which it does when it needs it. */
    boolean isFull() {
        CacheStats stats = cache.stats();
        return stats.allocatedBlocks() == stats.maximumBlocks();
    }

    CacheStats stats() {
        return cache.stats();
    }

    /** Checks all bookkeeping and frees the memory; a sequence that is open is a leak. */
    @Override
    public void close() {
        cache.verify();
        cache.close();
    }
}
