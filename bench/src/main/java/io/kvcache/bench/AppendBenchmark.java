package io.kvcache.bench;

import io.kvcache.BlockOrder;
import io.kvcache.KvCache;
import io.kvcache.KvLayout;
import io.kvcache.KvType;
import io.kvcache.Sequence;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
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
 * Writing to a sequence: the key row and the value row of a token in one layer, or of 64 tokens, in each type and
 * order; and reserving and committing a token. The rival of the writes copies the same rows of floats to two
 * contiguous native buffers, one for keys and one for values, as engines without paging keep them; it converts
 * nothing, so types and orders do not matter to it.
 *
 * <pre>./kvcache jmh bench.AppendBenchmark</pre>
 *
 * <p>Rows of 16 KiB, 32 heads of 128, with {@code -p rowBytes=16384}. What a whole token costs at the end of a long
 * context is in {@link AppendTokenBenchmark}.
 *
 * <p>Thread-safe: it has no state of its own.
 */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(3)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
public class AppendBenchmark {
    /** Positions written in turn: with rows of 2 KiB, 4 MiB of K and V, beyond the second-level cache. */
    private static final int POSITIONS = 1024;

    /** All buffers start on a page, as the cache's do: otherwise copies are slower by half where addresses happen to clash. */
    private static final int PAGE_BYTES = 4096;

    private static final int PREFILL = 64;
    private static final int TOKENS_PER_BLOCK = 16;

    private static Sequence open(KvCache cache) {
        return cache.namespace("bench").open(new int[1]);
    }

    /** Rows of floats, to be written. */
    @State(Scope.Thread)
    public abstract static class Rows {
        /** 2 KiB: 8 K/V heads of 64; 4 KiB: 8 of 128. */
        @Param({"2048", "4096"})
        int rowBytes;

        final Arena arena = Arena.ofShared();
        float[] key; // [64][kvHeads * headSize]
        float[] value; // [64][kvHeads * headSize]
        MemorySegment keySegment; // [64][kvHeads * headSize]
        MemorySegment valueSegment; // [64][kvHeads * headSize]
        private int position;

        /** Makes random rows. */
        @Setup(Level.Trial)
        public void fill() {
            Random random = new Random(1);
            key = new float[PREFILL * width()];
            value = new float[PREFILL * width()];
            for (int i = 0; i < key.length; i++) {
                key[i] = (float) random.nextGaussian();
                value[i] = (float) random.nextGaussian();
            }
            keySegment = allocate(PREFILL).copyFrom(MemorySegment.ofArray(key));
            valueSegment = allocate(PREFILL).copyFrom(MemorySegment.ofArray(value));
        }

        /** Frees the memory. */
        @TearDown(Level.Trial)
        public void free() {
            arena.close();
        }

        final MemorySegment allocate(int rows) {
            return arena.allocate((long) rows * rowBytes, PAGE_BYTES);
        }

        final int width() {
            return rowBytes / Float.BYTES;
        }

        final int next() {
            position = position + 1 & POSITIONS - 1;
            return position;
        }

        final int nextPrefill() {
            position = (position + PREFILL) & (POSITIONS - PREFILL);
            return position;
        }
    }

    /** Two native buffers to write to. */
    @State(Scope.Thread)
    public static class Contiguous extends Rows {
        private MemorySegment keys; // [positions][kvHeads * headSize]
        private MemorySegment values; // [positions][kvHeads * headSize]

        /** Allocates them. */
        @Setup(Level.Trial)
        public void open() {
            keys = allocate(POSITIONS);
            values = allocate(POSITIONS);
        }
    }

    /** A sequence to write to. */
    @State(Scope.Thread)
    public static class Written extends Rows {
        /** Of K and V. */
        @Param({"F32", "F16", "BF16", "INT8"})
        KvType type;

        /** Of both. */
        @Param({"ROWS", "TILES"})
        BlockOrder order;

        private KvCache cache;
        private Sequence sequence;

        /** Reserves all positions, so that only the writes are measured. */
        @Setup(Level.Trial)
        public void open() {
            int headSize = rowBytes == 2048 ? 64 : 128;
            KvLayout layout = KvLayout.builder()
                    .layers(1)
                    .kvHeads(width() / headSize)
                    .headSize(headSize)
                    .type(type)
                    .order(order)
                    .tokensPerBlock(TOKENS_PER_BLOCK)
                    .build();
            cache = KvCache.builder(layout)
                    .maximumBytes(layout.blocksFor(POSITIONS) * layout.blockBytes())
                    .build();
            sequence = AppendBenchmark.open(cache);
            if (!sequence.tryReserve(POSITIONS)) {
                throw new IllegalStateException("cache is full: " + cache.stats());
            }
        }

        /** Closes the cache; a leak fails the benchmark. */
        @TearDown(Level.Trial)
        public void close() {
            sequence.close();
            cache.close();
        }
    }

    /** A sequence that grows and holds next to nothing. */
    @State(Scope.Thread)
    public static class Growing {
        private KvCache cache;
        private Sequence sequence;

        /** Opens it. */
        @Setup(Level.Trial)
        public void open() {
            KvLayout layout = KvLayout.builder()
                    .layers(1)
                    .kvHeads(1)
                    .headSize(64)
                    .tokensPerBlock(TOKENS_PER_BLOCK)
                    .build();
            cache = KvCache.builder(layout)
                    .maximumBytes(3L * layout.blocksFor(POSITIONS) * layout.blockBytes())
                    .build();
            sequence = AppendBenchmark.open(cache);
        }

        /** Closes the cache; a leak fails the benchmark. */
        @TearDown(Level.Trial)
        public void close() {
            sequence.close();
            cache.close();
        }
    }

    /**
     * The rival: two plain copies from arrays.
     *
     * @param state the buffers
     */
    @Benchmark
    public void plainCopyOfArrays(Contiguous state) {
        long offset = (long) state.next() * state.rowBytes;
        MemorySegment.copy(state.key, 0, state.keys, ValueLayout.JAVA_FLOAT, offset, state.width());
        MemorySegment.copy(state.value, 0, state.values, ValueLayout.JAVA_FLOAT, offset, state.width());
    }

    /**
     * The rows of one token from arrays.
     *
     * @param state the sequence
     */
    @Benchmark
    public void writeArrays(Written state) {
        state.sequence.write(0, state.next(), 1, state.key, 0, state.value, 0);
    }

    /**
     * The rival: two plain copies from native memory.
     *
     * @param state the buffers
     */
    @Benchmark
    public void plainCopyOfSegments(Contiguous state) {
        long offset = (long) state.next() * state.rowBytes;
        MemorySegment.copy(state.keySegment, 0, state.keys, offset, state.rowBytes);
        MemorySegment.copy(state.valueSegment, 0, state.values, offset, state.rowBytes);
    }

    /**
     * The rows of one token from native memory.
     *
     * @param state the sequence
     */
    @Benchmark
    public void writeSegments(Written state) {
        state.sequence.write(0, state.next(), 1, state.keySegment, 0, state.valueSegment, 0);
    }

    /**
     * The rival: two plain copies of 64 tokens from arrays.
     *
     * @param state the buffers
     */
    @Benchmark
    public void plainCopyOfPrefill(Contiguous state) {
        long offset = (long) state.nextPrefill() * state.rowBytes;
        MemorySegment.copy(state.key, 0, state.keys, ValueLayout.JAVA_FLOAT, offset, state.key.length);
        MemorySegment.copy(state.value, 0, state.values, ValueLayout.JAVA_FLOAT, offset, state.value.length);
    }

    /**
     * The rows of 64 tokens from arrays.
     *
     * @param state the sequence
     */
    @Benchmark
    public void writePrefill(Written state) {
        state.sequence.write(0, state.nextPrefill(), PREFILL, state.key, 0, state.value, 0);
    }

    /**
     * The rows of 64 tokens from native memory.
     *
     * @param state the sequence
     */
    @Benchmark
    public void writePrefillSegments(Written state) {
        state.sequence.write(0, state.nextPrefill(), PREFILL, state.keySegment, 0, state.valueSegment, 0);
    }

    /**
     * One token's slot and its commit; the blocks of every 1,024 tokens go back at once, which is part of the figure.
     *
     * @param state the sequence
     * @return whether there was room
     */
    @Benchmark
    public boolean reserveAndCommit(Growing state) {
        if (state.sequence.length() == POSITIONS) {
            state.sequence.truncate(0);
        }
        boolean reserved = state.sequence.tryReserve(1);
        state.sequence.commit(1);
        return reserved;
    }
}
