package io.kvcache.bench;

import io.kvcache.KvCache;
import io.kvcache.Namespace;
import io.kvcache.OpenOptions;
import io.kvcache.Retention;
import io.kvcache.Sequence;
import java.time.Duration;
import java.util.Objects;
import java.util.SplittableRandom;
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
 * <pre>./kvcache jmh Crowd</pre>
 *
 * <p>The rival, {@code caffeine1} to {@code caffeine4}, looks up the same 64 blocks in a {@link CaffeineIndex} that all threads share,
 * which takes its lock now and then to note what was read, in the caller's thread: an executor of its own could do that. It is inexact, and takes no references: what it finds could be evicted while it is in use.
 *
 * <p>Not shown: work between two opens. Threads that do nothing else wait for the lock as much as can be; and with more threads
 * than cores, who waits also waits for a core. All threads look up the same prompt, which stays in the processor's caches.
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
    private static final int BLOCKS = 64;

    private KvCache cache;
    private Namespace namespace;
    private int[] prompt;
    private Sequence sequence;
    private CaffeineIndex index;

    /** What a thread has found. */
    @State(Scope.Thread)
    public static class Found {
        private final int[] table = new int[BLOCKS];
    }

    /** Computes a prompt, and stores it as a session. */
    @Setup(Level.Trial)
    public void fill() {
        cache = TinyBlocks.cache(100_000).maximumSequences(64).build();
        namespace = cache.namespace("bench");
        prompt = TinyBlocks.prompt(new SplittableRandom(1), BLOCKS);
        sequence = namespace.open(prompt);
        TinyBlocks.extend(sequence, prompt);
        index = CaffeineIndex.bounded(100_000);
        index.add(prompt);
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
     * The rival, from one thread.
     *
     * @param found what this thread finds
     * @return tokens found
     */
    @Benchmark
    @Threads(1)
    public int caffeine1(Found found) {
        return index.find(prompt, found.table);
    }

    /**
     * The rival, from two threads.
     *
     * @param found what this thread finds
     * @return tokens found
     */
    @Benchmark
    @Threads(2)
    public int caffeine2(Found found) {
        return index.find(prompt, found.table);
    }

    /**
     * The rival, from four threads.
     *
     * @param found what this thread finds
     * @return tokens found
     */
    @Benchmark
    @Threads(4)
    public int caffeine4(Found found) {
        return index.find(prompt, found.table);
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
