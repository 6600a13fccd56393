package io.kvcache.bench;

import io.kvcache.KvCache;
import io.kvcache.KvLayout;
import io.kvcache.KvType;
import io.kvcache.Sequence;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
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
 * Branching a sequence, as for several samples of a prompt or for a beam, and closing the branch; without writing,
 * and with room for its next token, which copies the last, half filled block.
 *
 * <pre>./kvcache jmh ForkBenchmark</pre>
 *
 * <p>F16, 8 K/V heads of 128, 16 tokens a block, and 2 layers, to bound memory: 8 KiB a token. A model of 32 layers
 * has 16 times the bytes: that multiplies what {@link #copyKeysAndValues} and the copied block of
 * {@link #forkAndWrite} take, and leaves {@link #fork} as it is.
 *
 * <p>Rivals: {@code copyKeysAndValues} copies the keys and values of all tokens, which engines do that cannot share;
 * it is one copy from one native buffer to another that is there already, and the time to allocate and free that is
 * not counted. {@code copyBlockTable} is the floor of any fork that has a table of its own: an array of block numbers
 * is cloned. It counts no references, so nothing would keep the blocks alive.
 *
 * <p>Not shown: what shared blocks save in memory, and forks from many threads, which take turns at the lock of the
 * cache.
 *
 * <p>Thread-safe: it has no state of its own.
 */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(3)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
public class ForkBenchmark {
    private static final int TOKENS_PER_BLOCK = 16;
    private static final KvLayout LAYOUT = KvLayout.builder()
            .layers(2)
            .kvHeads(8)
            .headSize(128)
            .type(KvType.F16)
            .tokensPerBlock(TOKENS_PER_BLOCK)
            .build();

    /** How long the sequence is. */
    @State(Scope.Thread)
    public abstract static class Length {
        /** A multiple of 16; the last block is filled by half, so there are 8 tokens less. */
        @Param({"1024", "8192", "32768"})
        int tokens;

        final int committed() {
            return tokens - TOKENS_PER_BLOCK / 2;
        }

        final int blocks() {
            return LAYOUT.blocksFor(tokens);
        }
    }

    /** A sequence in the cache, and room for the copy of a block. */
    @State(Scope.Thread)
    public static class Shared extends Length {
        private KvCache cache;
        private Sequence sequence;

        /** Commits all tokens. */
        @Setup(Level.Trial)
        public void open() {
            cache = KvCache.builder(LAYOUT)
                    .maximumBytes((blocks() + 1) * LAYOUT.blockBytes())
                    .build();
            int[] ids = new Random(1).ints(committed(), 0, 128_000).toArray();
            sequence = cache.namespace("bench").open(ids);
            if (!sequence.tryReserve(ids.length)) {
                throw new IllegalStateException("cache is full: " + cache.stats());
            }
            sequence.commit(ids);
        }

        /** Closes everything; a leak fails the benchmark. */
        @TearDown(Level.Trial)
        public void close() {
            sequence.close();
            cache.close();
        }
    }

    /** Two native buffers for all keys and values. */
    @State(Scope.Thread)
    public static class Contiguous extends Length {
        private final Arena arena = Arena.ofShared();
        private MemorySegment from; // [layers][K, V][tokens][kvHeads * headSize], F16
        private MemorySegment to; // likewise

        /** Allocates both and touches their pages. */
        @Setup(Level.Trial)
        public void open() {
            long bytes = committed() * (LAYOUT.blockBytes() / TOKENS_PER_BLOCK);
            from = arena.allocate(bytes, 4096).fill((byte) 1);
            to = arena.allocate(bytes, 4096).fill((byte) 2);
        }

        /** Frees the memory. */
        @TearDown(Level.Trial)
        public void close() {
            arena.close();
        }
    }

    /** Numbers of blocks. */
    @State(Scope.Thread)
    public static class Table extends Length {
        private int[] numbers; // [blocks]

        /** Makes a table. */
        @Setup(Level.Trial)
        public void open() {
            numbers = new Random(1).ints(blocks(), 0, blocks()).toArray();
        }
    }

    /**
     * Forks and closes the branch.
     *
     * @param state the sequence
     * @return tokens of the branch
     */
    @Benchmark
    public int fork(Shared state) {
        try (Sequence branch = state.sequence.fork()) {
            return branch.length();
        }
    }

    /**
     * Forks, makes room for a token, which copies the last block, and closes the branch.
     *
     * @param state the sequence
     * @return whether there was room
     */
    @Benchmark
    public boolean forkAndWrite(Shared state) {
        try (Sequence branch = state.sequence.fork()) {
            return branch.tryReserve(1);
        }
    }

    /**
     * Rival: copies all keys and values.
     *
     * @param state the buffers
     * @return the copy
     */
    @Benchmark
    public MemorySegment copyKeysAndValues(Contiguous state) {
        return state.to.copyFrom(state.from);
    }

    /**
     * The floor: copies the block table only.
     *
     * @param state the table
     * @return the copy
     */
    @Benchmark
    public int[] copyBlockTable(Table state) {
        return state.numbers.clone();
    }
}
