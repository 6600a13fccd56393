package io.kvcache.tiers;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.kvcache.KvCache;
import io.kvcache.KvLayout;
import io.kvcache.Sequence;
import io.kvcache.TierOptions;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The code that README.md shows for a disk compiles, runs twice, and is the code between the markers below. */
final class ReadmeTest {
    private static final String BEGIN = "// README begins";
    private static final String END = "// README ends";
    private static final String HEADLINE = "## A disk below memory";

    @TempDir
    Path directory;

    private final PlainEngine engine = new PlainEngine();

    /** Stands for the embedder's engine: rows of zeros. */
    private static final class PlainEngine {
        void computeFrom(Sequence sequence, int from, int[] prompt) {
            int missing = prompt.length - from;
            if (!sequence.tryReserve(missing)) {
                throw new IllegalStateException("full: missing=" + missing);
            }
            for (int layer = 0; layer < sequence.layout().layers(); layer++) {
                float[] rows = new float[missing * sequence.layout().keyWidth(layer)];
                sequence.write(layer, from, missing, rows, 0, rows, 0);
            }
            sequence.commit(prompt, from, missing);
        }
    }

    @Test
    void shouldRunTheCodeThatReadmeShows() throws IOException, InterruptedException {
        assertEquals(0, run());
        assertEquals(48, run());
    }

    private int run() throws IOException, InterruptedException {
        KvLayout layout = Engine.LAYOUT;
        int[] prompt = Engine.prompt(1, 3);
        String weightsHash = "abc";
        int answer;
        // README begins
        DiskStore disk = DiskStore.open(directory, DiskOptions.of(50L << 30)); // at most 50 GiB
        try (KvCache cache = KvCache.builder(layout)
                .maximumBytes(4L << 30)
                .model(weightsHash) // blocks of other weights are never found
                .tier(TierOptions.of("disk", disk))
                .build()) {
            try (Sequence sequence = cache.namespace("tenant-a").open(prompt)) { // starts with what is in memory
                sequence.await(Duration.ofSeconds(1)); // takes what comes from disk; adopt() does not wait
                int fromDisk = sequence.cachedTokens("disk");
                engine.computeFrom(sequence, sequence.length(), prompt);
                answer = fromDisk;
            }
        } // what was published is on disk: the next process starts warm
        // README ends
        return answer;
    }

    @Test
    void shouldShowTheCodeThatThisTestRuns() throws IOException {
        Path module = Path.of("").toAbsolutePath();
        List<String> source = Files.readAllLines(module.resolve("src/test/java/io/kvcache/tiers/ReadmeTest.java"));
        List<String> readme = Files.readAllLines(module.resolveSibling("README.md"));
        String code = between(source, "        " + BEGIN, "        " + END).stripIndent();
        List<String> section = readme.subList(readme.indexOf(HEADLINE), readme.size());
        assertEquals(
                code.replaceAll("\n *answer = fromDisk;", "").strip(),
                between(section, "```java", "```").strip());
    }

    private static String between(List<String> lines, String begin, String end) {
        int from = lines.indexOf(begin) + 1;
        int to = from + lines.subList(from, lines.size()).indexOf(end);
        return String.join("\n", lines.subList(from, to));
    }
}
