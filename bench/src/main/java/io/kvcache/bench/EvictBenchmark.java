package io.kvcache.bench;

import io.kvcache.KvCache;
import io.kvcache.KvLayout;
import io.kvcache.Namespace;
import io.kvcache.Sequence;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Computes prompts that nobody has seen before in a full cache, 64 blocks each: for every block one is evicted, allocated,
 * published and released. The score is the time for one block.
 *
 * <p>Not thread-safe.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(3)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
public class EvictBenchmark {
    private static final int TOKENS_PER_BLOCK = 16;
    private static final int BLOCKS_PER_PROMPT = 64;

    /** Blocks that the cache holds. */
    @Param({"10000", "100000", "1000000"})
    public int blocks;

    /** What decides. */
    @Param({"LRU", "HDE"})
    public ReplayPolicy policy;

    private final int[] prompt = new int[BLOCKS_PER_PROMPT * TOKENS_PER_BLOCK];
    private KvCache cache;
    private Namespace namespace;
    private int nextToken;

    /** Fills the cache. */
    @Setup(Level.Trial)
    public void fill() {
        KvLayout layout = KvLayout.builder()
                .layers(1)
                .kvHeads(1)
                .headSize(1)
                .tokensPerBlock(TOKENS_PER_BLOCK)
                .build();
        cache = KvCache.builder(layout)
                .maximumBytes(layout.blockBytes() * blocks)
                .evictionPolicy(policy.factory())
                .build();
        namespace = cache.namespace("bench");
        for (int filled = 0; filled < 2 * blocks; filled += BLOCKS_PER_PROMPT) {
            evictAndPublish();
        }
    }

    /** Frees the memory. */
    @TearDown(Level.Trial)
    public void close() {
        cache.close();
    }

    /**
     * Computes a new prompt.
     *
     * @return tokens
     */
    @Benchmark
    @OperationsPerInvocation(BLOCKS_PER_PROMPT)
    public int evictAndPublish() {
        for (int i = 0; i < prompt.length; i++) {
            prompt[i] = nextToken++;
        }
        try (Sequence sequence = namespace.open(prompt)) {
            if (!sequence.tryReserve(prompt.length)) {
                throw new IllegalStateException("no room for a prompt: tokens=" + prompt.length);
            }
            sequence.commit(prompt);
            return sequence.length();
        }
    }
}
