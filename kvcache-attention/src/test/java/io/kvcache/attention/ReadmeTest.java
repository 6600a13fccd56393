package io.kvcache.attention;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.kvcache.KvCache;
import io.kvcache.KvLayout;
import io.kvcache.KvType;
import io.kvcache.Namespace;
import io.kvcache.Sequence;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The code that README.md opens with compiles, runs, and is the code between the markers below. */
final class ReadmeTest {
    private static final String BEGIN = "// README begins";
    private static final String END = "// README ends";

    /** Stands for the embedder's model: rows that tell the position, and a branch of one more token. */
    private final class Model {
        void project(int layer, int position, float[] key, float[] value) {
            Arrays.fill(key, 0);
            Arrays.fill(value, position + layer);
        }

        void generate(Sequence branch) {
            if (branch.tryReserve(1)) {
                branch.commit(99);
            }
            branchLength = branch.length();
        }
    }

    /** Stands for the embedder's scheduler; memory is never full here. */
    private final class Scheduler {
        void preemptOne() {
            preempted++;
        }
    }

    private int branchLength;
    private int preempted;

    @Test
    void shouldRunTheCodeThatReadmeShows() {
        Model model = new Model();
        Scheduler scheduler = new Scheduler();
        int[] prompt = {11, 12, 13};
        float[] query = new float[32 * 128];
        float[] key = new float[8 * 128];
        float[] value = new float[8 * 128];
        float[] output = new float[32 * 128];

        // README begins
        KvLayout layout = KvLayout.builder()
                .layers(32)
                .kvHeads(8)
                .headSize(128)
                .type(KvType.F16)
                .tokensPerBlock(32)
                .build();
        PagedAttention attention = new PagedAttention(layout, 32); // query heads

        try (KvCache cache = KvCache.builder(layout).maximumBytes(4L << 30).build()) {
            Namespace tenant = cache.namespace("tenant-a"); // prefixes are shared within a namespace only
            try (Sequence sequence = tenant.open(prompt)) { // starts with the longest cached prefix
                for (int position = sequence.length(); position < prompt.length; position++) {
                    while (!sequence.tryReserve(1)) { // false: memory is full
                        scheduler.preemptOne();
                    }
                    for (int layer = 0; layer < layout.layers(); layer++) {
                        model.project(layer, position, key, value);
                        sequence.write(layer, position, key, value);
                        attention.attend(sequence, layer, query, output); // or your own, over segment()
                    }
                    sequence.commit(prompt[position]); // a block that this fills becomes shareable
                }
                try (Sequence branch = sequence.fork()) { // shares every block, copies on write
                    model.generate(branch);
                }
            } // blocks stay cached until memory is needed
        } // close() finds leaks
        // README ends

        assertEquals(0, preempted);
        assertEquals(4, branchLength);
        assertEquals(31 + (0 + 1 + 2) / 3f, output[0]); // equal scores: the mean of the values in the last layer
    }

    @Test
    void shouldShowTheCodeThatThisTestRuns() throws IOException {
        Path module = Path.of("").toAbsolutePath();
        List<String> source = Files.readAllLines(module.resolve("src/test/java/io/kvcache/attention/ReadmeTest.java"));
        List<String> readme = Files.readAllLines(module.resolveSibling("README.md"));
        String code = between(source, "        " + BEGIN, "        " + END).stripIndent();
        assertEquals(code.strip(), between(readme, "```java", "```").strip());
    }

    private static String between(List<String> lines, String begin, String end) {
        int from = lines.indexOf(begin) + 1;
        int to = from + lines.subList(from, lines.size()).indexOf(end);
        return String.join("\n", lines.subList(from, to));
    }
}
