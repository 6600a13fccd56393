package io.kvcache.bench;

import io.kvcache.KvLayout;
import io.kvcache.KvType;
import io.kvcache.Sequence;
import io.kvcache.attention.PagedAttention;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
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
 * A step of decoding as Java engines do it: the last position of one long sequence attends to all of it, in one layer, in one thread.
 * Layers take turns, so that keys and values come from memory and not from a cache of the processor.
 *
 * <pre>./kvcache jmh AttentionRivals -p tokens=8192 -p heads=8/8</pre>
 *
 * <p>{@code kvcacheF32} and {@code kvcacheF16} read blocks of 64 tokens where they lie, shuffled all over memory. The rivals keep F32:
 *
 * <ul>
 *   <li>{@code nd4jGather}: the same blocks as arrays of ND4J, copied together in each step; then {@link Nd4jAttention}.
 *   <li>{@code nd4jConcat}: one array of all past tokens for each layer, copied together with the new token in each step; then the
 *       same.
 *   <li>{@code heapLoops}: an array of the Java heap for each layer, as long as the context, and {@link HeapAttention}. It shares nothing,
 *       and takes the memory of the whole context from the start.
 * </ul>
 *
 * <p>ND4J has one thread too: {@code ./kvcache} sets {@code OMP_NUM_THREADS}. The limits are elsewhere: {@link AttentionBenchmark} has
 * the same kernels without paging ({@code -p placement=CONTIGUOUS}), and the plain read of as many bytes ({@code shareOfRead}).
 *
 * <p>It does not show ND4J with many threads, batches of sequences, or what else these engines do in a step.
 *
 * <p>Not thread-safe: one thread.
 */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(
        value = 3,
        jvmArgsAppend = {
            "-Xmx4g", // for the arrays of heapLoops
            "--add-modules",
            "jdk.incubator.vector",
            "--enable-native-access=ALL-UNNAMED",
            "--sun-misc-unsafe-memory-access=allow",
            "-Dorg.bytedeco.javacpp.maxBytes=0",
            "-Dorg.bytedeco.javacpp.maxPhysicalBytes=0"
        })
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
public class AttentionRivalsBenchmark {
    private static final int TOKENS_PER_BLOCK = 64;
    private static final int HEAD_SIZE = 128;

    /** For JMH. */
    public AttentionRivalsBenchmark() {}

    /** What all of them attend with, and how much they attend to. */
    @State(Scope.Thread)
    public static class Step {
        /** Of the sequence; a multiple of 64. */
        @Param({"1024", "8192", "32768"})
        int tokens;

        /** Of queries / of K and V. */
        @Param({"8/8", "32/8"})
        String heads;

        /** Of keys and values of all layers together, at least: far beyond all caches, which hold some hundred megabytes at most. */
        @Param("2048")
        int megabytes;

        private int queryHeads;
        private int kvHeads;
        private float[] query; // [queryHeads][headSize]
        private float[] output; // [queryHeads][headSize]

        /** Draws the query. */
        @Setup(Level.Trial)
        public void draw() {
            String[] counts = heads.split("/", -1);
            queryHeads = Integer.parseInt(counts[0]);
            kvHeads = Integer.parseInt(counts[1]);
            query = FilledCache.randoms(new Random(2), queryHeads * HEAD_SIZE);
            output = new float[queryHeads * HEAD_SIZE];
        }

        int layers(long layerBytes) {
            return (int) Math.ceilDiv((long) megabytes << 20, layerBytes);
        }

        int layersOfFloats() {
            return layers(2L * tokens * kvHeads * HEAD_SIZE * Float.BYTES);
        }
    }

    /** A sequence of a cache. */
    @State(Scope.Thread)
    public abstract static class Cached {
        private int layers;
        private FilledCache cache;
        private Sequence sequence;
        private PagedAttention attention;
        private int layer;

        abstract KvType type();

        /** Fills the sequence. */
        @Setup(Level.Trial)
        public void open(Step step) {
            KvLayout.Builder builder = KvLayout.builder()
                    .kvHeads(step.kvHeads)
                    .headSize(HEAD_SIZE)
                    .type(type())
                    .tokensPerBlock(TOKENS_PER_BLOCK);
            int blocks = step.tokens / TOKENS_PER_BLOCK;
            layers = step.layers(builder.layers(1).build().blockBytes() * blocks);
            KvLayout layout = builder.layers(layers).build();
            cache = new FilledCache(layout, blocks, true);
            sequence = cache.open();
            cache.grow(sequence, step.tokens);
            attention = new PagedAttention(layout, step.queryHeads);
        }

        float[] attend(Step step) {
            layer = (layer + 1) % layers;
            attention.attend(sequence, layer, step.query, step.output);
            return step.output;
        }

        /** Closes everything; a leak fails the benchmark. */
        @TearDown(Level.Trial)
        public void close() {
            cache.close();
        }
    }

    /** With elements of 4 bytes. */
    @State(Scope.Thread)
    public static class CachedF32 extends Cached {
        /** For JMH. */
        public CachedF32() {}

        @Override
        KvType type() {
            return KvType.F32;
        }
    }

    /** With elements of 2 bytes. */
    @State(Scope.Thread)
    public static class CachedF16 extends Cached {
        /** For JMH. */
        public CachedF16() {}

        @Override
        KvType type() {
            return KvType.F16;
        }
    }

    /** Arrays of ND4J. */
    @State(Scope.Thread)
    public abstract static class Nd4jParts {
        // [layers][parts] of [kvHeads][tokens of the part][headSize]
        private final List<INDArray[]> keys = new ArrayList<>();
        private final List<INDArray[]> values = new ArrayList<>();
        private Nd4jAttention attention;
        private int layer;

        /** Returns how many tokens each part has. */
        abstract int[] parts(int tokens);

        /** Makes the arrays, at addresses without an order. */
        @Setup(Level.Trial)
        public void make(Step step) {
            attention = new Nd4jAttention(step.queryHeads, step.kvHeads, HEAD_SIZE, step.tokens);
            int[] tokens = parts(step.tokens);
            List<INDArray[]> unfilled = new ArrayList<>();
            List<Integer> order = new ArrayList<>(); // of all parts of all arrays
            for (int i = 0; i < 2 * step.layersOfFloats(); i++) {
                unfilled.add(new INDArray[tokens.length]);
                for (int part = 0; part < tokens.length; part++) {
                    order.add(i * tokens.length + part);
                }
            }
            Random random = new Random(1);
            Collections.shuffle(order, random);
            float[] numbers = FilledCache.randoms(random, step.tokens * step.kvHeads * HEAD_SIZE);
            for (int place : order) {
                int part = place % tokens.length;
                long[] shape = {step.kvHeads, tokens[part], HEAD_SIZE};
                unfilled.get(place / tokens.length)[part] = filled(numbers, shape);
            }
            keys.addAll(unfilled.subList(0, unfilled.size() / 2));
            values.addAll(unfilled.subList(unfilled.size() / 2, unfilled.size()));
        }

        private static INDArray filled(float[] numbers, long[] shape) {
            int length = Math.toIntExact(shape[0] * shape[1] * shape[2]);
            return Nd4j.create(Arrays.copyOf(numbers, length), shape, 'c');
        }

        float[] attend(Step step) {
            layer = (layer + 1) % keys.size();
            attention.concatenate(keys.get(layer), values.get(layer));
            attention.attend(step.query, step.output);
            return step.output;
        }

        /** Frees the memory. */
        @TearDown(Level.Trial)
        public void close() {
            keys.forEach(Nd4jParts::free);
            values.forEach(Nd4jParts::free);
            keys.clear();
            values.clear();
            attention.close();
        }

        private static void free(INDArray[] parts) {
            for (INDArray part : parts) {
                part.close();
            }
        }
    }

    /** Of one block each. */
    @State(Scope.Thread)
    public static class Nd4jBlocks extends Nd4jParts {
        /** For JMH. */
        public Nd4jBlocks() {}

        @Override
        int[] parts(int tokens) {
            int[] parts = new int[tokens / TOKENS_PER_BLOCK];
            Arrays.fill(parts, TOKENS_PER_BLOCK);
            return parts;
        }
    }

    /** Of the past, and of the new token. */
    @State(Scope.Thread)
    public static class Nd4jPast extends Nd4jParts {
        /** For JMH. */
        public Nd4jPast() {}

        @Override
        int[] parts(int tokens) {
            return new int[] {tokens - 1, 1};
        }
    }

    /** Arrays of the Java heap. */
    @State(Scope.Thread)
    public static class Heap {
        private final List<float[]> keys = new ArrayList<>(); // [layers] of [tokens][kvHeads * headSize]
        private final List<float[]> values = new ArrayList<>(); // likewise
        private HeapAttention attention;
        private int layer;

        /** For JMH. */
        public Heap() {}

        /** Fills them. */
        @Setup(Level.Trial)
        public void fill(Step step) {
            attention = new HeapAttention(step.queryHeads, step.kvHeads, HEAD_SIZE, step.tokens);
            float[] numbers = FilledCache.randoms(new Random(1), step.tokens * step.kvHeads * HEAD_SIZE);
            for (int i = 0; i < step.layersOfFloats(); i++) {
                keys.add(numbers.clone());
                values.add(numbers.clone());
            }
        }

        float[] attend(Step step) {
            layer = (layer + 1) % keys.size();
            attention.attend(keys.get(layer), values.get(layer), step.query, step.output);
            return step.output;
        }
    }

    /**
     * The cache, with elements as its rivals have them.
     *
     * @param step what to do
     * @param cached keys and values
     * @return the result
     */
    @Benchmark
    public float[] kvcacheF32(Step step, CachedF32 cached) {
        return cached.attend(step);
    }

    /**
     * The cache, with the elements that it stores by default.
     *
     * @param step what to do
     * @param cached keys and values
     * @return the result
     */
    @Benchmark
    public float[] kvcacheF16(Step step, CachedF16 cached) {
        return cached.attend(step);
    }

    /**
     * Blocks gathered, then products.
     *
     * @param step what to do
     * @param blocks keys and values
     * @return the result
     */
    @Benchmark
    public float[] nd4jGather(Step step, Nd4jBlocks blocks) {
        return blocks.attend(step);
    }

    /**
     * The past extended, then products.
     *
     * @param step what to do
     * @param past keys and values
     * @return the result
     */
    @Benchmark
    public float[] nd4jConcat(Step step, Nd4jPast past) {
        return past.attend(step);
    }

    /**
     * Plain loops.
     *
     * @param step what to do
     * @param heap keys and values
     * @return the result
     */
    @Benchmark
    public float[] heapLoops(Step step, Heap heap) {
        return heap.attend(step);
    }
}
