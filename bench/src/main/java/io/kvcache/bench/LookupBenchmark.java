package io.kvcache.bench;

import io.kvcache.KvCache;
import io.kvcache.KvLayout;
import io.kvcache.Namespace;
import io.kvcache.Sequence;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Opens and closes sequences whose prompts are cached: one long prompt, and random ones among many, beside plain random reads
 * over as many bytes as the cache keeps for its blocks.
 *
 * <p>Thread-safe: it has no state of its own.
 */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(3)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
public class LookupBenchmark {
    private static final int TOKENS_PER_BLOCK = 16;
    private static final int BLOCKS_PER_PROMPT = 64;

    private static KvCache cache(int blocks) {
        KvLayout layout = KvLayout.builder()
                .layers(1)
                .kvHeads(1)
                .headSize(1)
                .tokensPerBlock(TOKENS_PER_BLOCK)
                .build();
        return KvCache.builder(layout)
                .maximumBytes(layout.blockBytes() * blocks)
                .build();
    }

    /** A prompt of whole blocks and the one token that a hit leaves to compute. */
    private static int[] prompt(Random random, int blocks) {
        return random.ints(blocks * TOKENS_PER_BLOCK + 1, 0, 128_000).toArray();
    }

    private static void compute(Namespace namespace, int[] prompt) {
        try (Sequence sequence = namespace.open(prompt)) {
            if (!sequence.tryReserve(prompt.length - 1)) {
                throw new IllegalStateException("no room for a prompt: tokens=" + prompt.length);
            }
            sequence.commit(prompt, 0, prompt.length - 1);
        }
    }

    /** One prompt that is cached. */
    @State(Scope.Thread)
    public static class OnePrompt {
        /** Tokens of the prompt. */
        @Param({"1025", "8193", "32769"})
        public int tokens;

        private KvCache cache;
        private Namespace namespace;
        private int[] prompt;

        /** Computes the prompt once. */
        @Setup(Level.Trial)
        public void fill() {
            cache = cache(tokens / TOKENS_PER_BLOCK);
            namespace = cache.namespace("bench");
            prompt = prompt(new Random(1), tokens / TOKENS_PER_BLOCK);
            compute(namespace, prompt);
        }

        /** Frees the memory. */
        @TearDown(Level.Trial)
        public void close() {
            cache.close();
        }
    }

    /** Many prompts that are cached. */
    @State(Scope.Thread)
    public static class ManyPrompts {
        /** Cached blocks. */
        @Param({"10000", "100000", "1000000"})
        public int blocks;

        private KvCache cache;
        private Namespace namespace;
        private int[][] prompts;
        private long state = 1;

        /** Computes all prompts once. */
        @Setup(Level.Trial)
        public void fill() {
            cache = cache(blocks);
            namespace = cache.namespace("bench");
            prompts = new int[blocks / BLOCKS_PER_PROMPT][];
            Random random = new Random(1);
            for (int i = 0; i < prompts.length; i++) {
                prompts[i] = prompt(random, BLOCKS_PER_PROMPT);
                compute(namespace, prompts[i]);
            }
        }

        /** Frees the memory. */
        @TearDown(Level.Trial)
        public void close() {
            cache.close();
        }

        private int[] next() {
            state = state * 6364136223846793005L + 1442695040888963407L;
            return prompts[(int) ((state >>> 33) % prompts.length)];
        }
    }

    /** As many bytes as the cache keeps for its blocks, the tokens of prompts included. */
    @State(Scope.Thread)
    public static class Bytes {
        private static final int LONGS_PER_BLOCK =
                40; // 192 bytes of bookkeeping, and 16 tokens in the index and in a prompt

        /** Blocks of a cache of this size. */
        @Param({"10000", "100000", "1000000"})
        public int blocks;

        private long[] memory;
        private long state = 1;

        /** Fills the memory. */
        @Setup(Level.Trial)
        public void fill() {
            memory = new Random(1).longs((long) blocks * LONGS_PER_BLOCK).toArray();
        }
    }

    /**
     * Hits all of a long prompt.
     *
     * @param state the prompt
     * @return tokens found
     */
    @Benchmark
    public int longHit(OnePrompt state) {
        try (Sequence sequence = state.namespace.open(state.prompt)) {
            return sequence.cachedTokens();
        }
    }

    /**
     * Hits all 64 blocks of a random prompt.
     *
     * @param state the prompts
     * @return tokens found
     */
    @Benchmark
    public int randomHit(ManyPrompts state) {
        try (Sequence sequence = state.namespace.open(state.next())) {
            return sequence.cachedTokens();
        }
    }

    /**
     * Reads 64 words anywhere, each where the one before says.
     *
     * @param state the memory
     * @return what was read last
     */
    @Benchmark
    public long randomReads(Bytes state) {
        long word = state.state;
        for (int i = 0; i < BLOCKS_PER_PROMPT; i++) {
            word = state.memory[(int) ((word >>> 1) % state.memory.length)] + i;
        }
        state.state = word * 6364136223846793005L + 1442695040888963407L;
        return word;
    }
}
