package io.kvcache.demo;

import io.kvcache.KvCache;
import io.kvcache.TierOptions;
import io.kvcache.tiers.DiskOptions;
import io.kvcache.tiers.DiskStore;
import java.io.IOException;
import java.nio.file.Path;
import picocli.CommandLine.Option;

/**
 * The options of a cache that goes on below memory, in files on a disk.
 *
 * <p>Not thread-safe.
 */
final class DiskTierOptions {
    private static final String NAME = "disk";

    @Option(
            names = "--disk",
            paramLabel = "DIR",
            required = true,
            description = "Keep what was computed in this directory too, for calls to come; made if it is not there.")
    private Path directory = Path.of("");

    @Option(
            names = "--disk-bytes",
            paramLabel = "SIZE",
            defaultValue = "10GiB",
            converter = ByteSize.class,
            description = "Limit of the files in it (default: ${DEFAULT-VALUE}).")
    private long bytes;

    /**
     * Builds a cache with the tier, which belongs to the model.
     *
     * @throws IllegalArgumentException if the directory cannot be used
     */
    KvCache build(KvCache.Builder builder, GgufFile file) {
        builder.model(ModelFingerprint.of(file.path()));
        DiskStore store = open();
        try {
            // It knows at once what it has not got.
            return builder.tier(TierOptions.of(NAME, store).withMisses(null)).build();
        } catch (RuntimeException | Error failure) {
            close(store, failure);
            throw failure;
        }
    }

    private DiskStore open() {
        try {
            return DiskStore.open(directory, DiskOptions.of(bytes));
        } catch (IOException e) {
            throw new IllegalArgumentException("disk cannot be used: disk=" + directory + " cause=" + e, e);
        }
    }

    private static void close(DiskStore store, Throwable failure) {
        try {
            store.close();
        } catch (IOException e) {
            failure.addSuppressed(e);
        }
    }
}
