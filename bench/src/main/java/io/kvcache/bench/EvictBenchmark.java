package io.kvcache.bench;

import static io.kvcache.bench.TinyBlocks.TOKENS_PER_BLOCK;

import io.kvcache.KvCache;
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
 * published and released. The score is the time for one block, by the size of the cache and by policy.
 *
 * <pre>./kvcache jmh Evict</pre>
 *
 * <p>The rival, {@code caffeine}, looks up the same prompts in a {@link CaffeineIndex} that is bounded to as many blocks, finds
 * nothing, and adds their 64 keys; its own policy (W-TinyLFU) evicts as many, in the same thread. It keeps no tokens, evicts
 * in no order of leaves, and has no memory to give out and no references to count; nor does it remember what has left.
 *
 * <p>Not shown: how well a policy decides ({@code ./kvcache replay} does), and a cache that hits meanwhile. Each block is seen once:
 * that is the cheapest stream for policies that keep what is seen again.
 *
 * <p>Not thread-safe.
 */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(value = 3, jvmArgsAppend = "-Xmx10g") // one million blocks are content with -Xmx4g
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
public class EvictBenchmark {
    private static final int BLOCKS_PER_PROMPT = 64;
    private static final int MOST_BEYOND_FULL = 1_000_000;

    private static void checkNew(int found) {
        if (found != 0) {
            throw new IllegalStateException("prompt must be new: found=" + found);
        }
    }

    /** Prompts that nobody has seen before. */
    @State(Scope.Benchmark) // one object: of other scopes JMH makes one for each parameter
    public static class NewPrompts {
        /** Blocks that a cache holds. */
        @Param({"10000", "100000", "1000000", "10000000"})
        public int blocks;

        private final int[] prompt = new int[BLOCKS_PER_PROMPT * TOKENS_PER_BLOCK];
        private int nextToken;

        private int[] next() {
            for (int i = 0; i < prompt.length; i++) {
                prompt[i] = nextToken++;
            }
            return prompt;
        }

        /** So many prompts fill a cache, and let it evict for a while. */
        private int enough() {
            return (blocks + Math.min(blocks, MOST_BEYOND_FULL)) / BLOCKS_PER_PROMPT;
        }
    }

    /** A cache that is full. */
    @State(Scope.Thread)
    public static class FullCache {
        /** What decides; any of {@link ReplayPolicy}. */
        @Param({"LRU", "HDE", "ARC", "S3FIFO"})
        public ReplayPolicy policy;

        private KvCache cache;
        private Namespace namespace;

        /**
         * Fills the cache.
         *
         * @param prompts what with
         */
        @Setup(Level.Trial)
        public void fill(NewPrompts prompts) {
            cache = TinyBlocks.cache(prompts.blocks)
                    .evictionPolicy(policy.factory())
                    .build();
            namespace = cache.namespace("bench");
            for (int i = prompts.enough(); i > 0; i--) {
                compute(prompts.next());
            }
        }

        /** Frees the memory. */
        @TearDown(Level.Trial)
        public void close() {
            cache.close();
        }

        private int compute(int[] prompt) {
            try (Sequence sequence = namespace.open(prompt)) {
                checkNew(sequence.cachedTokens());
                TinyBlocks.extend(sequence, prompt);
                return sequence.length();
            }
        }
    }

    /** A rival that is full. */
    @State(Scope.Thread)
    public static class FullIndex {
        private CaffeineIndex index;
        private final int[] table = new int[BLOCKS_PER_PROMPT];

        /**
         * Fills the rival.
         *
         * @param prompts what with
         */
        @Setup(Level.Trial)
        public void fill(NewPrompts prompts) {
            index = CaffeineIndex.bounded(prompts.blocks);
            for (int i = prompts.enough(); i > 0; i--) {
                add(prompts.next());
            }
        }

        private int add(int[] prompt) {
            checkNew(index.find(prompt, table));
            index.add(prompt);
            return prompt.length;
        }
    }

    /**
     * Computes a new prompt.
     *
     * @param full the cache
     * @param prompts the prompts
     * @return tokens
     */
    @Benchmark
    @OperationsPerInvocation(BLOCKS_PER_PROMPT)
    public int evictAndPublish(FullCache full, NewPrompts prompts) {
        return full.compute(prompts.next());
    }

    /**
     * The rival: adds a new prompt.
     *
     * @param full the rival
     * @param prompts the prompts
     * @return tokens
     */
    @Benchmark
    @OperationsPerInvocation(BLOCKS_PER_PROMPT)
    public int caffeine(FullIndex full, NewPrompts prompts) {
        return full.add(prompts.next());
    }
}
