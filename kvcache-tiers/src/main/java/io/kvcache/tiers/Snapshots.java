package io.kvcache.tiers;

import io.kvcache.KvCache;
import io.kvcache.Namespace;
import io.kvcache.StoreMoment;
import io.kvcache.StoreRule;
import io.kvcache.TierOptions;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Collection;
import org.agrona.concurrent.SystemEpochClock;

/**
 * Writes what a cache has into a file, keys and values included, and lets another cache find it there, so that a process that was
 * restarted is warm.
 *
 * <p>A snapshot belongs to a model and a layout: the text given to {@link KvCache.Builder#model}, and
 * {@link io.kvcache.KvLayout#toString()}. Full blocks only are in it; sessions are not.
 *
 * <p>Thread-safe: without state.
 */
public final class Snapshots {
    private Snapshots() {}

    /**
     * Writes every block that can be found in some namespaces now. Sequences go on meanwhile; what they publish from now on may be
     * missing. The file is there as a whole or not at all, even after a loss of power: it is written under another name, of
     * its own and with the suffix {@code .tmp}, and takes the place of an older one when it is complete. Of calls at once for
     * one file, the last one to be complete stays. A process that dies meanwhile leaves a {@code .tmp} file, which nobody needs.
     *
     * @param cache built with a model
     * @param namespaces of the cache
     * @param file replaced if it is there
     * @return blocks written
     * @throws IOException if the file cannot be written; one that was there is as it was, unless the last step failed, to
     *     sync the directory: then the new one is there, but after a loss of power the old one may be back
     * @throws IllegalStateException if the cache was built without a model, or is closed
     */
    public static int write(KvCache cache, Collection<Namespace> namespaces, Path file) throws IOException {
        String model = model(cache);
        try (SnapshotWriter writer = SnapshotWriter.create(
                file,
                model,
                cache.layout().toString(),
                cache.layout().blockBytes(),
                cache.layout().tokensPerBlock(),
                cache.stats().maximumBlocks())) {
            int blocks = cache.copyTo(writer, namespaces);
            writer.finish();
            return blocks;
        }
    }

    /**
     * Adds a snapshot to a cache, as a tier that is only read, below those that it has. Its blocks come into memory when prompts need
     * them. What is erased in the cache is overwritten in the file.
     *
     * @param cache of the same model and layout; closes the file when it is closed
     * @param file written by {@link #write}; not to be changed by others meanwhile
     * @param tier the name of the tier, unique in the cache
     * @throws IOException if the file cannot be read, is damaged, or is of another version, model or layout, saying what it has
     *     and what was wanted
     * @throws IllegalArgumentException if the cache has a tier with this name
     * @throws IllegalStateException if the cache was built without a model, or is closed
     */
    public static void restore(KvCache cache, Path file, String tier) throws IOException {
        SnapshotReader reader =
                SnapshotReader.open(file, model(cache), cache.layout().toString(), SystemEpochClock.INSTANCE);
        boolean added = false;
        try {
            cache.addTier(TierOptions.of(tier, reader)
                    .withRule(StoreRule.NONE, StoreMoment.COMMIT)
                    .withMisses(null));
            added = true;
        } finally {
            if (!added) {
                reader.close();
            }
        }
    }

    private static String model(KvCache cache) {
        String model = cache.model();
        if (model == null) {
            throw new IllegalStateException("a cache with a snapshot must know its model, say Builder.model");
        }
        return model;
    }
}
