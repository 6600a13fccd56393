package io.kvcache.bench;

import io.kvcache.KvCache;
import io.kvcache.KvLayout;
import io.kvcache.Namespace;
import io.kvcache.OpenOptions;
import io.kvcache.Retention;
import io.kvcache.Sequence;
import java.time.Duration;
import java.util.Objects;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Threads;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Opens and closes sequences whose prompt of 1,024 tokens is cached, from one, two and four threads; opens that could wait; and
 * stores and continues sessions. All threads share one cache, and one lock.
 *
 * <pre>./kvcache jmh Crowd -prof gc</pre>
 *
 * <p>Thread-safe: what threads share is the cache.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(3)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
public class CrowdBenchmark {
    private static final int TOKENS = 1024;
    private static final int TOKENS_PER_BLOCK = 16;

    private KvCache cache;
    private Namespace namespace;
    private int[] prompt;
    private Sequence sequence;

    /** Computes a prompt, and stores it as a session. */
    @Setup(Level.Trial)
    public void fill() {
        KvLayout layout = KvLayout.builder()
                .layers(1)
                .kvHeads(1)
                .headSize(1)
                .tokensPerBlock(TOKENS_PER_BLOCK)
                .build();
        cache = KvCache.builder(layout)
                .maximumBytes(100_000 * layout.blockBytes())
                .maximumSequences(64)
                .build();
        namespace = cache.namespace("bench");
        prompt = new Random(1).ints(TOKENS + 1, 0, 128_000).toArray();
        sequence = namespace.open(prompt);
        if (!sequence.tryReserve(TOKENS)) {
            throw new IllegalStateException("no room for a prompt: tokens=" + TOKENS);
        }
        sequence.commit(prompt, 0, TOKENS);
        namespace.put("session", sequence, Retention.DEFAULT);
    }

    /** Frees the memory. */
    @TearDown(Level.Trial)
    public void close() {
        sequence.close();
        cache.close();
    }

    private int openAndClose() {
        try (Sequence opened = namespace.open(prompt)) {
            return opened.cachedTokens();
        }
    }

    /**
     * From one thread.
     *
     * @return tokens found
     */
    @Benchmark
    @Threads(1)
    public int openAndClose1() {
        return openAndClose();
    }

    /**
     * From two threads.
     *
     * @return tokens found
     */
    @Benchmark
    @Threads(2)
    public int openAndClose2() {
        return openAndClose();
    }

    /**
     * From four threads.
     *
     * @return tokens found
     */
    @Benchmark
    @Threads(4)
    public int openAndClose4() {
        return openAndClose();
    }

    /**
     * With a deadline and room for the rest of the prompt, which is one token.
     *
     * @return tokens found
     * @throws InterruptedException never
     */
    @Benchmark
    public int openInTimeAndClose() throws InterruptedException {
        try (Sequence opened = namespace.open(prompt, OpenOptions.DEFAULT, Duration.ZERO)) {
            return Objects.requireNonNull(opened).cachedTokens();
        }
    }

    /**
     * Stores a sequence under a key that is there.
     *
     * @return whether it was stored
     */
    @Benchmark
    public boolean putSession() {
        return namespace.put("session", sequence, Retention.DEFAULT);
    }

    /**
     * Continues a session, and closes that sequence again.
     *
     * @return its tokens
     */
    @Benchmark
    public int getSession() {
        try (Sequence opened = namespace.get("session")) {
            return Objects.requireNonNull(opened).length();
        }
    }
}
