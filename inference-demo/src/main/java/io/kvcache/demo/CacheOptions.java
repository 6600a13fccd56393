package io.kvcache.demo;

import io.kvcache.KvCache;
import io.kvcache.KvLayout;
import picocli.CommandLine.Option;

/**
 * The options of every command that keeps a cache from one prompt to the next.
 *
 * <p>Not thread-safe.
 */
final class CacheOptions {
    @Option(
            names = "--cache-bytes",
            paramLabel = "SIZE",
            defaultValue = "256MiB",
            converter = ByteSize.class,
            description = "Limit of the cache's memory (default: ${DEFAULT-VALUE}).")
    private long cacheBytes;

    /** Builds the cache. */
    KvCache build(KvLayout layout) {
        return KvCache.builder(layout).maximumBytes(cacheBytes).build();
    }
}
