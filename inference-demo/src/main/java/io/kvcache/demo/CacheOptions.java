package io.kvcache.demo;

import io.kvcache.KvCache;
import io.kvcache.KvLayout;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ArgGroup;
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

    @ArgGroup(exclusive = false)
    private @Nullable DiskTierOptions disk;

    /**
     * Builds the cache.
     *
     * @param file of the model
     * @throws IllegalArgumentException if the disk cannot be used, or the cache holds no block
     */
    KvCache build(KvLayout layout, GgufFile file) {
        KvCache.Builder builder = KvCache.builder(layout).maximumBytes(cacheBytes);
        return disk == null ? builder.build() : disk.build(builder, file);
    }
}
