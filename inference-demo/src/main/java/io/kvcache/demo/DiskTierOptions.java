package io.kvcache.demo;

import io.kvcache.BlockStore;
import io.kvcache.TierOptions;
import io.kvcache.tiers.DiskOptions;
import io.kvcache.tiers.DiskStore;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
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
     * Returns the tier.
     *
     * @param opened receives the store, which must be closed if the cache is not built
     * @throws IllegalArgumentException if the directory cannot be used
     */
    TierOptions tier(List<BlockStore> opened) {
        try {
            DiskStore store = DiskStore.open(directory, DiskOptions.of(bytes));
            opened.add(store);
            return TierOptions.of(NAME, store).withMisses(null); // it knows at once what it has not got
        } catch (IOException e) {
            throw new IllegalArgumentException("disk cannot be used: disk=" + directory + " cause=" + e, e);
        }
    }
}
