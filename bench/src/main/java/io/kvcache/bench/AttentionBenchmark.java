package io.kvcache.bench;

import io.kvcache.BlockOrder;
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
 * A step of decoding: the last position of one long sequence attends to all of it, in one layer. Layers take turns, so that keys and
 * values come from memory and not from a cache of the processor.
 *
 * <pre>./kvcache jmh AttentionBenchmark -p type=F16 -p heads=8/8 -p threads=1</pre>
 *
 * <p>The rival is the machine: a plain read by vectors of as many bytes, in the same blocks in the same order and by as many threads,
 * before each attention. {@code shareOfRead} is time of the read / time of attention, 1 where attention is as fast as memory;
 * {@code attended} is the rate of keys and values in bytes as they are stored. The read is of the layer that is furthest from
 * the one attended to in turns: what attention finds in a cache, the read finds too.
 *
 * <p>Both are means over iterations and forks; for the median of processes take {@code rawData} of {@code -rf json}. It does not
 * show short sequences, whose keys and values stay in a cache, batches, what it costs to cut work anew after each commit, nor the rest
 * of a model, which drives keys and values out of caches and threads to sleep.
 *
 * <p>Not thread-safe: one caller; helpers are its own.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(
        value = 5,
        jvmArgsAppend = {"--add-modules", "jdk.incubator.vector"})
@Warmup(iterations = 4, time = 1)
@Measurement(iterations = 5, time = 1)
public class AttentionBenchmark {
    private static final int TOKENS_PER_BLOCK = 64;

    /** Where blocks lie. */
    public enum Placement {
        /** All over memory. */
        SHUFFLED,

        /** One behind the other. */
        ASCENDING,

        /** One huge block for each thread: the same kernels without paging, as nothing smaller than a block is shared out. */
        CONTIGUOUS
    }

    /** Of K and V. */
    @Param({"F32", "F16", "BF16", "INT8"})
    KvType type;

    /** Of queries / of K and V. */
    @Param({"8/8", "8/2", "32/8"})
    String heads;

    /** Where blocks lie. */
    @Param
    Placement placement;

    /** The caller's included. */
    @Param({"1", "2"})
    int threads;

    /** Of the elements in a block. */
    @Param("TILES")
    BlockOrder order;

    /** Of the sequence; a multiple of 64. */
    @Param("32768")
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
    private Helpers helpers;
    private PagedAttention attention;
    private PlainRead plainRead;
    private float[] query; // [queryHeads][headSize]
    private float[] output; // [queryHeads][headSize]
    private int layer;
    private long readNanos;
    private long attendNanos;
    private long attends;

    /** Fills the sequence. */
    @Setup(Level.Trial)
    public void open() {
        String[] counts = heads.split("/", -1);
        int queryHeads = Integer.parseInt(counts[0]);
        int tokensPerBlock = placement == Placement.CONTIGUOUS ? tokens / threads : TOKENS_PER_BLOCK;
        KvLayout.Builder builder = KvLayout.builder()
                .kvHeads(Integer.parseInt(counts[1]))
                .headSize(128)
                .type(type)
                .order(order)
                .tokensPerBlock(tokensPerBlock);
        int blockCount = tokens / tokensPerBlock;
        long layerBytes = builder.layers(1).build().blockBytes() * blockCount;
        layers = (int) Math.ceilDiv((long) megabytes << 20, layerBytes);
        KvLayout layout = builder.layers(layers).build();
        cache = new FilledCache(layout, blockCount, placement == Placement.SHUFFLED);
        sequence = cache.open();
        cache.grow(sequence, tokens);
        helpers = new Helpers(threads - 1);
        attention = PagedAttention.builder(layout, queryHeads)
                .threads(helpers, threads)
                .build();
        plainRead = new PlainRead(layout, sequence, helpers, threads);
        query = FilledCache.randoms(new Random(2), queryHeads * 128);
        output = new float[queryHeads * 128];
    }

    /** Closes everything; a leak fails the benchmark. */
    @TearDown(Level.Trial)
    public void close() {
        helpers.close();
        cache.close();
    }

    /** Forgets the times. */
    @Setup(Level.Iteration)
    public void start() {
        readNanos = 0;
        attendNanos = 0;
        attends = 0;
    }

    /** Reports the share of the limit. */
    @TearDown(Level.Iteration)
    public void report() {
        Figures.report("shareOfRead", (double) readNanos / attendNanos, "ratio");
        Figures.report("attended", (double) plainRead.bytes() * attends / attendNanos, "GB/s");
    }

    /** The rival, which JMH does not count to the attention that follows. */
    @Setup(Level.Invocation)
    public void readPlainly() {
        layer = (layer + 1) % layers;
        // Not what attention reads next: where a few layers fit into a cache, it would find them there.
        int other = (layer + layers / 2) % layers;
        long before = System.nanoTime();
        plainRead.read(other);
        readNanos += System.nanoTime() - before;
    }

    /**
     * One row in one layer.
     *
     * @return the result
     */
    @Benchmark
    public float[] attend() {
        long before = System.nanoTime();
        attention.attend(sequence, layer, query, output);
        attendNanos += System.nanoTime() - before;
        attends++;
        return output;
    }
}
