package io.kvcache.remote;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.kvcache.KvCache;
import io.kvcache.KvLayout;
import io.kvcache.Sequence;
import io.kvcache.localredis.LocalRedis;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The code that README.md shows for many machines compiles, runs on two, and is the code between the markers below. */
final class ReadmeTest {
    private static final String BEGIN = "// README begins";
    private static final String END = "// README ends";
    private static final String HEADLINE = "## A store for many machines";
    private static final int ATTEMPTS = 10; // on a machine that has much to do, a load may be late

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
        try (LocalRedis server = LocalRedis.start()) {
            assertEquals(0, run(server.uri()));
            int loaded = 0;
            for (int attempt = 0; loaded < 48 && attempt < ATTEMPTS; attempt++) {
                loaded = run(server.uri());
            }
            assertEquals(48, loaded);
        }
    }

    private int run(String address) throws IOException, InterruptedException {
        KvLayout layout = Engine.LAYOUT;
        int[] prompt = Engine.prompt(1, 3);
        String weightsHash = "abc";
        int answer;
        // README begins
        RemoteOptions servers = RemoteOptions.of(address); // redis://10.0.0.1:6379,10.0.0.2:6379; rediss:// for TLS
        try (KvCache cache = KvCache.builder(layout)
                .maximumBytes(4L << 30)
                .model(weightsHash)
                .tier(RemoteStore.tier("remote", servers)) // behind a disk, if there is one: tiers are asked in order
                .build()) {
            try (Sequence sequence = cache.namespace("tenant-a").open(prompt)) {
                sequence.await(Duration.ofSeconds(1)); // takes what other machines have computed
                int fromOthers = sequence.cachedTokens("remote");
                engine.computeFrom(sequence, sequence.length(), prompt);
                answer = fromOthers;
            }
        } // what was published is on the servers: every machine finds it
        // README ends
        return answer;
    }

    @Test
    void shouldShowTheCodeThatThisTestRuns() throws IOException {
        Path module = Path.of("").toAbsolutePath();
        List<String> source = Files.readAllLines(module.resolve("src/test/java/io/kvcache/remote/ReadmeTest.java"));
        List<String> readme = Files.readAllLines(module.resolveSibling("README.md"));
        String code = between(source, "        " + BEGIN, "        " + END).stripIndent();
        List<String> section = readme.subList(readme.indexOf(HEADLINE), readme.size());
        assertEquals(
                code.replaceAll("\n *answer = fromOthers;", "").strip(),
                between(section, "```java", "```").strip());
    }

    private static String between(List<String> lines, String begin, String end) {
        int from = lines.indexOf(begin) + 1;
        int to = from + lines.subList(from, lines.size()).indexOf(end);
        return String.join("\n", lines.subList(from, to));
    }
}
