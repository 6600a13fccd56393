package io.kvcache.bench;

import static io.kvcache.bench.TinyBlocks.TOKENS_PER_BLOCK;

import io.kvcache.KvCache;
import io.kvcache.Namespace;
import io.kvcache.Sequence;
import java.util.Arrays;
import java.util.SplittableRandom;
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
 * Finding prompts: a sequence is opened and closed. One long prompt; or a random one among many of 64 blocks each, of which all
 * is cached, nothing, or half. It shows what a look-up costs as the prompt grows ({@code tokens}) and as the cache grows
 * ({@code blocks}).
 *
 * <pre>./kvcache jmh Lookup</pre>
 *
 * <p>Rivals, which look up the same prompts:
 *
 * <ul>
 *   <li>{@code caffeine...}: {@link CaffeineIndex}, one {@code getIfPresent} a block, bounded to as many blocks (all of them are
 *       there, nothing is evicted) and built for that size. It is inexact, and lacks what is said there; opening takes references
 *       and compares all tokens besides. It pays for what a bounded cache needs, the record of what was used when.
 *   <li>{@code randomReads}: the limit of the machine. 64 reads, each of which waits for the one before, over as many bytes as
 *       the cache keeps for its blocks and prompts. How much {@code randomHit} grows from one size to another is to be compared
 *       with how much this grows.
 * </ul>
 *
 * <p>Not shown: threads (see {@link CrowdBenchmark}), prompts with a common prefix, hits in a cache that evicts meanwhile. A miss
 * is the cheapest there is: none of its blocks was ever cached.
 *
 * <p>Ten million blocks take up to 10 GB of heap, and the cache 1.3 GB of native memory besides; to fill it takes some ten seconds.
 *
 * <p>Thread-safe: it has no state of its own.
 */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(value = 3, jvmArgsAppend = "-Xmx10g") // one million blocks are content with -Xmx4g
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
public class LookupBenchmark {
    private static final int BLOCKS_PER_PROMPT = 64;
    private static final int HALF_A_PROMPT = BLOCKS_PER_PROMPT / 2 * TOKENS_PER_BLOCK;
    private static final int HALF_A_BLOCK = TOKENS_PER_BLOCK / 2;

    /** A bit that no token of a prompt has: what it is added to is found nowhere. */
    private static final int UNSEEN = 1 << 20;

    private static int openAndClose(Namespace namespace, int[] prompt) {
        try (Sequence sequence = namespace.open(prompt)) {
            return sequence.cachedTokens();
        }
    }

    private static void checkFound(int found, int tokens) {
        if (found != tokens) {
            throw new IllegalStateException("another hit than expected: tokens=" + tokens + " found=" + found);
        }
    }

    /** One prompt, known to the cache and to its rival. */
    @State(Scope.Thread)
    public static class OnePrompt {
        /** Cached tokens of the prompt, rounded down to blocks. */
        @Param({"16", "1024", "32768", "1000000"})
        public int tokens;

        private KvCache cache;
        private Namespace namespace;
        private CaffeineIndex index;
        private int[] table; // [blocks]
        private int[] prompt; // [blocks * TOKENS_PER_BLOCK + 1]

        /** Computes the prompt once. */
        @Setup(Level.Trial)
        public void fill() {
            int blocks = tokens / TOKENS_PER_BLOCK;
            prompt = TinyBlocks.prompt(new SplittableRandom(1), blocks);
            cache = TinyBlocks.cache(blocks).build();
            namespace = cache.namespace("bench");
            TinyBlocks.compute(namespace, prompt);
            index = CaffeineIndex.bounded(blocks);
            index.add(prompt);
            table = new int[blocks];
            checkFound(openAndClose(namespace, prompt), prompt.length - 1);
            checkFound(index.find(prompt, table), prompt.length - 1);
        }

        /** Frees the memory. */
        @TearDown(Level.Trial)
        public void close() {
            cache.close();
        }
    }

    /** Many prompts of 64 blocks, in random order. */
    @State(Scope.Benchmark) // one object: of other scopes JMH makes one for each parameter
    public static class Prompts {
        /** Blocks of all prompts together, and those that are cached. */
        @Param({"10000", "100000", "1000000", "10000000"})
        public int blocks;

        private int[][] prompts; // [prompts][BLOCKS_PER_PROMPT * TOKENS_PER_BLOCK + 1]
        private long state = 1;

        /** Makes them up. */
        @Setup(Level.Trial)
        public void fill() {
            SplittableRandom random = new SplittableRandom(1);
            prompts = new int[blocks / BLOCKS_PER_PROMPT][];
            Arrays.setAll(prompts, i -> TinyBlocks.prompt(random, BLOCKS_PER_PROMPT));
        }

        private int[] next() {
            state = state * 6364136223846793005L + 1442695040888963407L;
            return prompts[(int) ((state >>> 33) % prompts.length)];
        }
    }

    /** A cache that holds all prompts. */
    @State(Scope.Thread)
    public static class CachedPrompts {
        private KvCache cache;
        private Namespace namespace;

        /**
         * Computes all prompts once.
         *
         * @param prompts all of them
         */
        @Setup(Level.Trial)
        public void fill(Prompts prompts) {
            cache = TinyBlocks.cache(prompts.blocks).build();
            namespace = cache.namespace("bench");
            for (int[] prompt : prompts.prompts) {
                TinyBlocks.compute(namespace, prompt);
            }
            int[] any = prompts.next();
            checkFound(openAndClose(namespace, any), BLOCKS_PER_PROMPT * TOKENS_PER_BLOCK);
            checkFound(openChangedAt(0, any), 0);
            checkFound(openChangedAt(HALF_A_PROMPT + HALF_A_BLOCK, any), HALF_A_PROMPT + HALF_A_BLOCK);
        }

        /** Frees the memory. */
        @TearDown(Level.Trial)
        public void close() {
            cache.close();
        }

        /** Looks up a prompt of which one token is another one. */
        private int openChangedAt(int position, int[] prompt) {
            prompt[position] ^= UNSEEN;
            int found = openAndClose(namespace, prompt);
            prompt[position] ^= UNSEEN;
            return found;
        }
    }

    /** A rival that holds all prompts. */
    @State(Scope.Thread)
    public static class IndexedPrompts {
        private CaffeineIndex index;
        private final int[] table = new int[BLOCKS_PER_PROMPT];

        /**
         * Adds all prompts.
         *
         * @param prompts all of them
         */
        @Setup(Level.Trial)
        public void fill(Prompts prompts) {
            index = CaffeineIndex.bounded(prompts.blocks);
            for (int[] prompt : prompts.prompts) {
                index.add(prompt);
            }
            int[] any = prompts.next();
            checkFound(index.find(any, table), BLOCKS_PER_PROMPT * TOKENS_PER_BLOCK);
            checkFound(findChangedAt(0, any), 0);
            checkFound(findChangedAt(HALF_A_PROMPT + HALF_A_BLOCK, any), HALF_A_PROMPT);
        }

        /** Looks up a prompt of which one token is another one. */
        private int findChangedAt(int position, int[] prompt) {
            prompt[position] ^= UNSEEN;
            int found = index.find(prompt, table);
            prompt[position] ^= UNSEEN;
            return found;
        }
    }

    /** As many bytes as the cache keeps for its blocks, the tokens of prompts included. */
    @State(Scope.Thread)
    public static class Bytes {
        private static final int LONGS_PER_BLOCK =
                40; // 192 bytes of bookkeeping, and 16 tokens in the index and in a prompt

        /** Blocks of a cache of this size. */
        @Param({"10000", "100000", "1000000", "10000000"})
        public int blocks;

        private long[] memory;
        private long state = 1;

        /** Fills the memory. */
        @Setup(Level.Trial)
        public void fill() {
            SplittableRandom random = new SplittableRandom(1);
            memory = new long[Math.multiplyExact(blocks, LONGS_PER_BLOCK)];
            Arrays.setAll(memory, i -> random.nextLong());
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
        return openAndClose(state.namespace, state.prompt);
    }

    /**
     * The rival: hits all of a long prompt.
     *
     * @param state the prompt
     * @return tokens found
     */
    @Benchmark
    public int caffeineLongHit(OnePrompt state) {
        return state.index.find(state.prompt, state.table);
    }

    /**
     * Hits all 64 blocks of a random prompt.
     *
     * @param cached the cache
     * @param prompts the prompts
     * @return tokens found
     */
    @Benchmark
    public int randomHit(CachedPrompts cached, Prompts prompts) {
        return openAndClose(cached.namespace, prompts.next());
    }

    /**
     * The rival: hits all 64 blocks of a random prompt.
     *
     * @param indexed the rival
     * @param prompts the prompts
     * @return tokens found
     */
    @Benchmark
    public int caffeineRandomHit(IndexedPrompts indexed, Prompts prompts) {
        return indexed.index.find(prompts.next(), indexed.table);
    }

    /**
     * Finds nothing of a random prompt: its first token is new.
     *
     * @param cached the cache
     * @param prompts the prompts
     * @return tokens found
     */
    @Benchmark
    public int miss(CachedPrompts cached, Prompts prompts) {
        return cached.openChangedAt(0, prompts.next());
    }

    /**
     * The rival: finds nothing of a random prompt.
     *
     * @param indexed the rival
     * @param prompts the prompts
     * @return tokens found
     */
    @Benchmark
    public int caffeineMiss(IndexedPrompts indexed, Prompts prompts) {
        return indexed.findChangedAt(0, prompts.next());
    }

    /**
     * Hits 32 blocks of a random prompt, and the first eight tokens of the next.
     *
     * @param cached the cache
     * @param prompts the prompts
     * @return tokens found
     */
    @Benchmark
    public int partialHit(CachedPrompts cached, Prompts prompts) {
        return cached.openChangedAt(HALF_A_PROMPT + HALF_A_BLOCK, prompts.next());
    }

    /**
     * The rival: hits 32 blocks of a random prompt, and misses one. The eight tokens it cannot find.
     *
     * @param indexed the rival
     * @param prompts the prompts
     * @return tokens found
     */
    @Benchmark
    public int caffeinePartialHit(IndexedPrompts indexed, Prompts prompts) {
        return indexed.findChangedAt(HALF_A_PROMPT + HALF_A_BLOCK, prompts.next());
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
