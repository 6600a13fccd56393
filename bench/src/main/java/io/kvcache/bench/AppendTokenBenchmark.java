package io.kvcache.bench;

import io.kvcache.BlockOrder;
import io.kvcache.KvCache;
import io.kvcache.KvLayout;
import io.kvcache.KvType;
import io.kvcache.Sequence;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
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
 * Appending one token to a sequence that is so many tokens long: its key and its value in all layers. F32, 8 K/V
 * heads of 128. Two layers only, so that the longest context takes 256 MiB: the time of every method grows with the
 * layers alike, but for what the cache does once a token.
 *
 * <pre>./kvcache jmh AppendTokenBenchmark</pre>
 *
 * <p>{@link #appendRows} and {@link #appendTiles} are the cache's two orders, 16 tokens a block: reserve, write each
 * layer, commit. They append 1,024 tokens, always other ones, then truncate to where they began, which is measured
 * too. The cache is full: every sixteenth token evicts a block, takes it, and publishes it when it is filled. Rivals
 * that have room for the whole context write the same 1,024 positions in turn, so that all of them write to 16 MiB,
 * beyond the second-level cache; rivals that copy the past write always the first position.
 *
 * <ul>
 *   <li>{@link #heapArrays}: one array for keys and one for values a layer, for the whole context from the start: no
 *       paging, no sharing. The limit for engines in Java that preallocate.
 *   <li>{@link #nativeBuffers}: the same in native memory.
 *   <li>{@link #copyHistory}: new arrays of one row more for each token, as engines do that concatenate the past;
 *       {@code Arrays.copyOf} zeroes nothing that it overwrites. It measures the garbage collector too (G1, 3 GiB of
 *       heap).
 *   <li>{@link #nd4jConcat}: {@code Nd4j.concat} of past and present for keys and for values of each layer, tokens
 *       outermost, so that each is one copy. The result is closed at once: that spares the collector, but native
 *       memory is allocated and freed each time, as where the past is closed. One thread of OpenMP, unless
 *       {@code OMP_NUM_THREADS} says more.
 *   <li>{@link #jlama}: Jlama's {@code KvBufferCache}, which pages by 8 MiB, in memory; a model without weights tells
 *       it the shape. The views of rows that it makes and keeps for each position are made at the first 1,024 calls
 *       only, which is to its advantage.
 * </ul>
 *
 * <p>Only the cache counts references, is shared and evicts. Not shown: reading; the memory that preallocated
 * contexts waste; many sequences.
 *
 * <p>Thread-safe: it has no state of its own.
 */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(
        value = 3,
        jvmArgsAppend = {"-Xmx3g", "--add-modules", "jdk.incubator.vector"})
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
public class AppendTokenBenchmark {
    private static final int LAYERS = 2;
    private static final int KV_HEADS = 8;
    private static final int HEAD_SIZE = 128;
    private static final int WIDTH = KV_HEADS * HEAD_SIZE;
    private static final int TOKENS_PER_BLOCK = 16;
    private static final int ROUND_TOKENS = 1024; // appended before it begins again
    private static final int PAGE_BYTES = 4096; // where buffers start, as the cache's do

    /** How long the sequence is, and what is appended. */
    @State(Scope.Thread)
    public abstract static class Context {
        /** So far; a multiple of 16. */
        @Param({"1024", "4096", "16384"})
        int tokens;

        final float[] key = FilledCache.randoms(new Random(1), WIDTH); // [kvHeads * headSize]
        final float[] value = FilledCache.randoms(new Random(2), WIDTH); // [kvHeads * headSize]
        private int appended;

        /** The next position of the round. */
        final int nextPosition() {
            int position = tokens + appended;
            appended = (appended + 1) % ROUND_TOKENS;
            return position;
        }

        /** Tokens that there is room for. */
        final int maximumTokens() {
            return tokens + ROUND_TOKENS;
        }
    }

    /** A sequence of the cache. */
    @State(Scope.Thread)
    public abstract static class Cached extends Context {
        private KvCache cache;
        private Sequence sequence;
        private int nextToken;

        abstract BlockOrder order();

        /** Commits the context. */
        @Setup(Level.Trial)
        public void open() {
            KvLayout layout = KvLayout.builder()
                    .layers(LAYERS)
                    .kvHeads(KV_HEADS)
                    .headSize(HEAD_SIZE)
                    .type(KvType.F32)
                    .order(order())
                    .tokensPerBlock(TOKENS_PER_BLOCK)
                    .build();
            cache = KvCache.builder(layout)
                    .maximumBytes(layout.blocksFor(maximumTokens()) * layout.blockBytes())
                    .build();
            int[] context = new Random(3).ints(tokens, 0, 128_000).toArray();
            sequence = cache.namespace("bench").open(context);
            reserve(tokens);
            sequence.commit(context);
        }

        /** Closes everything; a leak fails the benchmark. */
        @TearDown(Level.Trial)
        public void close() {
            sequence.close();
            cache.close();
        }

        private void reserve(int count) {
            if (!sequence.tryReserve(count)) {
                throw new IllegalStateException("cache is full: " + cache.stats());
            }
        }

        final int append() {
            int position = nextPosition();
            if (position == tokens) {
                sequence.truncate(tokens);
            }
            reserve(1);
            for (int layer = 0; layer < LAYERS; layer++) {
                sequence.write(layer, position, key, value);
            }
            sequence.commit(nextToken++);
            return position;
        }
    }

    /** A sequence in rows. */
    @State(Scope.Thread)
    public static class Rows extends Cached {
        @Override
        BlockOrder order() {
            return BlockOrder.ROWS;
        }
    }

    /** A sequence in tiles. */
    @State(Scope.Thread)
    public static class Tiles extends Cached {
        @Override
        BlockOrder order() {
            return BlockOrder.TILES;
        }
    }

    /** Arrays for the whole context. */
    @State(Scope.Thread)
    public static class Heap extends Context {
        private float[][] keys; // [layers][tokens * kvHeads * headSize]
        private float[][] values; // [layers][tokens * kvHeads * headSize]

        /** Allocates the arrays. */
        @Setup(Level.Trial)
        public void open() {
            keys = new float[LAYERS][maximumTokens() * WIDTH];
            values = new float[LAYERS][maximumTokens() * WIDTH];
        }
    }

    /** Native memory for the whole context. */
    @State(Scope.Thread)
    public static class Native extends Context {
        private final Arena arena = Arena.ofShared();
        private final MemorySegment[] keys = new MemorySegment[LAYERS]; // [layers][tokens * kvHeads * headSize]
        private final MemorySegment[] values = new MemorySegment[LAYERS]; // [layers][tokens * kvHeads * headSize]

        /** Allocates the memory. */
        @Setup(Level.Trial)
        public void open() {
            long bytes = (long) maximumTokens() * WIDTH * Float.BYTES;
            Arrays.setAll(keys, layer -> arena.allocate(bytes, PAGE_BYTES));
            Arrays.setAll(values, layer -> arena.allocate(bytes, PAGE_BYTES));
        }

        /** Frees the memory. */
        @TearDown(Level.Trial)
        public void close() {
            arena.close();
        }
    }

    /** Arrays that are as long as the context, before the token and after it. */
    @State(Scope.Thread)
    public static class History extends Context {
        private final float[][] presentKeys = new float[LAYERS][]; // [layers][(tokens + 1) * kvHeads * headSize]
        private final float[][] presentValues = new float[LAYERS][]; // [layers][(tokens + 1) * kvHeads * headSize]
        private float[][] keys; // [layers][tokens * kvHeads * headSize]
        private float[][] values; // [layers][tokens * kvHeads * headSize]

        /** Allocates the past. */
        @Setup(Level.Trial)
        public void open() {
            keys = new float[LAYERS][tokens * WIDTH];
            values = new float[LAYERS][tokens * WIDTH];
        }

        private static float[] concatenate(float[] past, float[] row) {
            float[] present = Arrays.copyOf(past, past.length + row.length);
            System.arraycopy(row, 0, present, past.length, row.length);
            return present;
        }
    }

    /** Arrays of ND4J that are as long as the context. */
    @State(Scope.Thread)
    public static class Nd4jPast extends Context {
        private final INDArray[] keys = new INDArray[LAYERS]; // [layers][tokens, kvHeads * headSize]
        private final INDArray[] values = new INDArray[LAYERS]; // [layers][tokens, kvHeads * headSize]
        private INDArray keyRow; // [1, kvHeads * headSize]
        private INDArray valueRow; // [1, kvHeads * headSize]

        /** Allocates the past. */
        @Setup(Level.Trial)
        public void open() {
            Arrays.setAll(keys, layer -> Nd4j.zeros(DataType.FLOAT, tokens, WIDTH));
            Arrays.setAll(values, layer -> Nd4j.zeros(DataType.FLOAT, tokens, WIDTH));
            keyRow = Nd4j.createFromArray(new float[][] {key});
            valueRow = Nd4j.createFromArray(new float[][] {value});
        }

        /** Frees the memory. */
        @TearDown(Level.Trial)
        public void close() {
            for (int layer = 0; layer < LAYERS; layer++) {
                keys[layer].close();
                values[layer].close();
            }
            keyRow.close();
            valueRow.close();
        }

        private static long concatenate(INDArray past, INDArray row) {
            try (INDArray present = Nd4j.concat(0, past, row)) {
                return present.rows();
            }
        }
    }

    /** A sequence of Jlama's. */
    @State(Scope.Thread)
    public static class Jlama extends Context {
        private JlamaCache cache;

        /** Makes the cache; it allocates the pages that it needs. */
        @Setup(Level.Trial)
        public void open() {
            cache = new JlamaCache(LAYERS, KV_HEADS, maximumTokens(), key, value);
        }

        /** Frees the memory. */
        @TearDown(Level.Trial)
        public void close() {
            cache.close();
        }
    }

    /**
     * The cache, in rows.
     *
     * @param state the sequence
     * @return the position
     */
    @Benchmark
    public int appendRows(Rows state) {
        return state.append();
    }

    /**
     * The cache, in tiles, which is its default.
     *
     * @param state the sequence
     * @return the position
     */
    @Benchmark
    public int appendTiles(Tiles state) {
        return state.append();
    }

    /**
     * Rival: copies into arrays for the whole context.
     *
     * @param state the arrays
     * @return the position
     */
    @Benchmark
    public int heapArrays(Heap state) {
        int position = state.nextPosition();
        for (int layer = 0; layer < LAYERS; layer++) {
            System.arraycopy(state.key, 0, state.keys[layer], position * WIDTH, WIDTH);
            System.arraycopy(state.value, 0, state.values[layer], position * WIDTH, WIDTH);
        }
        return position;
    }

    /**
     * Rival: copies into native memory for the whole context.
     *
     * @param state the memory
     * @return the position
     */
    @Benchmark
    public int nativeBuffers(Native state) {
        int position = state.nextPosition();
        long offset = (long) position * WIDTH * Float.BYTES;
        for (int layer = 0; layer < LAYERS; layer++) {
            MemorySegment.copy(state.key, 0, state.keys[layer], ValueLayout.JAVA_FLOAT, offset, WIDTH);
            MemorySegment.copy(state.value, 0, state.values[layer], ValueLayout.JAVA_FLOAT, offset, WIDTH);
        }
        return position;
    }

    /**
     * Rival: copies the past into new arrays.
     *
     * @param state the past
     * @return the new keys
     */
    @Benchmark
    public float[][] copyHistory(History state) {
        for (int layer = 0; layer < LAYERS; layer++) {
            state.presentKeys[layer] = History.concatenate(state.keys[layer], state.key);
            state.presentValues[layer] = History.concatenate(state.values[layer], state.value);
        }
        return state.presentKeys;
    }

    /**
     * Rival: concatenates past and present with ND4J.
     *
     * @param state the past
     * @return rows
     */
    @Benchmark
    public long nd4jConcat(Nd4jPast state) {
        long rows = 0;
        for (int layer = 0; layer < LAYERS; layer++) {
            rows += Nd4jPast.concatenate(state.keys[layer], state.keyRow);
            rows += Nd4jPast.concatenate(state.values[layer], state.valueRow);
        }
        return rows;
    }

    /**
     * Rival: Jlama's paged cache.
     *
     * @param state the sequence
     * @return the position
     */
    @Benchmark
    public int jlama(Jlama state) {
        return state.cache.append(state.nextPosition());
    }
}
