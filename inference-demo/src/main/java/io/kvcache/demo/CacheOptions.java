package io.kvcache.demo;

import io.kvcache.BlockStore;
import io.kvcache.KvCache;
import io.kvcache.KvLayout;
import java.io.IOException;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
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

    @ArgGroup(exclusive = false)
    private @Nullable RemoteTierOptions remote;

    /**
     * Builds the cache, with the tiers that were asked for, which belong to the model: the disk is asked before the servers.
     *
     * @param file of the model
     * @param err receives a warning if servers do not answer
     * @throws IllegalArgumentException if the disk cannot be used, or the cache holds no block
     */
    KvCache build(KvLayout layout, GgufFile file, PrintWriter err) {
        KvCache.Builder builder = KvCache.builder(layout).maximumBytes(cacheBytes);
        if (disk != null || remote != null) {
            builder.model(ModelFingerprint.of(file.path()));
        }
        List<BlockStore> opened = new ArrayList<>();
        try {
            if (disk != null) {
                builder.tier(disk.tier(opened));
            }
            if (remote != null) {
                builder.tier(remote.tier(opened, err));
            }
            return builder.build();
        } catch (RuntimeException | Error failure) {
            opened.forEach(store -> close(store, failure));
            throw failure;
        }
    }

    private static void close(BlockStore store, Throwable failure) {
        try {
            store.close();
        } catch (IOException e) {
            failure.addSuppressed(e);
        }
    }
}
