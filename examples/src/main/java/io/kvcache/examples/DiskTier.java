package io.kvcache.examples;

import io.kvcache.KvCache;
import io.kvcache.Sequence;
import io.kvcache.TierOptions;
import io.kvcache.tiers.DiskOptions;
import io.kvcache.tiers.DiskStore;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/** What one cache has computed is found by the next one, in another process for instance, on the disk. */
final class DiskTier {
    private static final int[] PROMPT = TinyModel.tokens("a system prompt that outlives the process");
    private static final Duration PATIENCE = Duration.ofSeconds(10);

    private DiskTier() {}

    public static void main(String[] arguments) throws IOException, InterruptedException {
        Path directory = Files.createTempDirectory("kvcache-example-");
        try {
            try (KvCache first = cacheOver(directory, "tiny model 1")) {
                ask("first", first);
                ask("again", first); // it is in memory
            } // what waits to be copied is given two seconds
            try (KvCache second = cacheOver(directory, "tiny model 1")) {
                ask("second", second);
            }
            try (KvCache other = cacheOver(directory, "tiny model 2")) {
                ask("other model", other);
            }
        } finally {
            delete(directory);
        }
    }

    private static KvCache cacheOver(Path directory, String model) throws IOException {
        DiskStore store = DiskStore.open(directory, DiskOptions.of(1 << 20));
        return TinyModel.cacheOf(32)
                .model(model) // a hash of the file with the weights, for instance
                .tier(TierOptions.of("disk", store) // closed by the cache
                        .withMisses(null) // it knows at once what it has not got
                        .withDeadline(PATIENCE))
                .build();
    }

    private static void ask(String name, KvCache cache) throws InterruptedException {
        try (Sequence sequence = cache.namespace("chat").open(PROMPT)) {
            // A loop with other things to do asks isFollowing(), then adopts, in each of its steps.
            sequence.await(PATIENCE);
            System.out.println(name + ": " + sequence.cachedTokens() + " of " + PROMPT.length + " tokens cached, "
                    + sequence.cachedTokens("disk") + " of them came from the disk");
            TinyModel.prefill(sequence, PROMPT);
        }
    }

    private static void delete(Path directory) throws IOException {
        List<Path> paths;
        try (Stream<Path> all = Files.walk(directory)) {
            paths = all.sorted(Comparator.reverseOrder()).toList();
        }
        for (Path path : paths) {
            Files.delete(path);
        }
    }
}
