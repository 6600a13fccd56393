package io.kvcache.bench;

import io.kvcache.KvLayout;
import io.kvcache.KvType;
import io.kvcache.Sequence;
import io.kvcache.attention.PagedAttention;
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
 * A chunk of a prompt: 128 positions behind many others attend, each to all up to itself, in one layer of 32 heads of queries and 8 of
 * keys and values. Layers take turns.
 *
 * <pre>./kvcache jmh PrefillBenchmark</pre>
 *
 * <p>{@code computed} counts two multiplications and two additions for each element of a head, position and position seen; the
 * exponentials come on top. The rival is the machine: fused multiply-adds in vectors that stay in registers, measured before each
 * chunk in the same thread; {@code shareOfPeak} is the ratio of the rates. It does not show a library of matrices,
 * which loads as it computes, nor the projections of a model, which cost more than attention until prompts are long.
 *
 * <p>Not thread-safe: one thread.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(
        value = 5,
        jvmArgsAppend = {"--add-modules", "jdk.incubator.vector"})
@Warmup(iterations = 4, time = 1)
@Measurement(iterations = 5, time = 1)
public class PrefillBenchmark {
    private static final int TOKENS_PER_BLOCK = 64;
    private static final int ROWS = 128;
    private static final int QUERY_HEADS = 32;
    private static final int HEAD_SIZE = 128;

    /** Of K and V. */
    @Param({"F32", "F16"})
    KvType type;

    /** Before the chunk; a multiple of 64. */
    @Param("4096")
    int tokens;

    /**
     * Of keys and values of all layers together, at least: layers are walked in turns, and what was read of one must have left even a shared
     * cache of some hundred megabytes before its turn comes again.
     */
    @Param("2048")
    int megabytes;

    private int layers;
    private FilledCache cache;
    private Sequence sequence;
    private PagedAttention attention;
    private float[] queries; // [rows][queryHeads][headSize]
    private float[] outputs; // [rows][queryHeads][headSize]
    private double operations;
    private int layer;
    private float multiplied;
    private long multiplyNanos;
    private long multiplies;
    private long attendNanos;
    private long attends;

    /** Fills the sequence. */
    @Setup(Level.Trial)
    public void open() {
        KvLayout.Builder builder =
                KvLayout.builder().kvHeads(8).headSize(HEAD_SIZE).type(type).tokensPerBlock(TOKENS_PER_BLOCK);
        int blocks = (tokens + ROWS) / TOKENS_PER_BLOCK;
        long layerBytes = builder.layers(1).build().blockBytes() * blocks;
        layers = (int) Math.ceilDiv((long) megabytes << 20, layerBytes);
        KvLayout layout = builder.layers(layers).build();
        cache = new FilledCache(layout, blocks, true);
        sequence = cache.open();
        cache.grow(sequence, tokens + ROWS);
        attention = new PagedAttention(layout, QUERY_HEADS);
        queries = FilledCache.randoms(new Random(2), ROWS * QUERY_HEADS * HEAD_SIZE);
        outputs = new float[ROWS * QUERY_HEADS * HEAD_SIZE];
        double seen = ROWS * (double) tokens + ROWS * (ROWS + 1) / 2;
        operations = 4.0 * HEAD_SIZE * QUERY_HEADS * seen;
    }

    /** Closes everything; a leak fails the benchmark. */
    @TearDown(Level.Trial)
    public void close() {
        cache.close();
    }

    /** Forgets the times. */
    @Setup(Level.Iteration)
    public void start() {
        multiplyNanos = 0;
        multiplies = 0;
        attendNanos = 0;
        attends = 0;
    }

    /** Reports the rate and the share of the limit. */
    @TearDown(Level.Iteration)
    public void report() {
        double computed = operations * attends / attendNanos;
        double peak = PlainMultiply.operations() * multiplies / multiplyNanos;
        Figures.report("computed", computed, "GFLOP/s");
        Figures.report("shareOfPeak", computed / peak, "ratio");
    }

    /** The rival, which JMH does not count to the attention that follows. */
    @Setup(Level.Invocation)
    public void multiplyPlainly() {
        layer = (layer + 1) % layers;
        long before = System.nanoTime();
        multiplied = PlainMultiply.run(multiplied);
        multiplyNanos += System.nanoTime() - before;
        multiplies++;
    }

    /**
     * The chunk in one layer.
     *
     * @return the results
     */
    @Benchmark
    public float[] attend() {
        long before = System.nanoTime();
        attention.attend(sequence, layer, tokens, ROWS, queries, 0, outputs, 0);
        attendNanos += System.nanoTime() - before;
        attends++;
        return outputs;
    }
}
