package io.kvcache.bench;

import io.kvcache.KvLayout;
import io.kvcache.KvType;
import io.kvcache.Sequence;
import io.kvcache.attention.AttentionBatch;
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
 * A step of decoding in one layer, for one sequence, for 32 that share a long prefix, and for 32 that have copies of their own of as
 * many tokens; all of them have a short tail besides. Layers take turns, so that keys and values come from memory.
 *
 * <pre>./kvcache jmh SharedPrefix</pre>
 *
 * <p>The rivals are each other: {@code shared32} would be as fast as {@code one} if only reading took time, and {@code private32}, which is
 * what an attention without sharing does, is 32 times the work. It does not show what sharing saves in memory and in
 * prefill, nor branches of many lengths.
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
public class SharedPrefixBenchmark {
    private static final int TOKENS_PER_BLOCK = 64;
    private static final int TAIL = 32;
    private static final int HEADS = 8;
    private static final int HEAD_SIZE = 128;

    /** Who attends. */
    @Param({"one", "shared32", "private32"})
    String sequences;

    /** Of the prefix; a multiple of 64. */
    @Param("8192")
    int tokens;

    /** The caller's included. */
    @Param("1")
    int threads;

    /**
     * Of keys and values of all layers together, at least: layers are walked in turns, and what was read of one must have left even a shared
     * cache of some hundred megabytes before its turn comes again.
     */
    @Param("2048")
    int megabytes;

    private int layers;
    private FilledCache cache;
    private Helpers helpers;
    private PagedAttention attention;
    private AttentionBatch batch;
    private float[] queries; // [sequences][heads][headSize]
    private float[] outputs; // [sequences][heads][headSize]
    private int layer;

    /** Fills the sequences. */
    @Setup(Level.Trial)
    public void open() {
        int count = sequences.equals("one") ? 1 : 32;
        int prefixes = sequences.equals("private32") ? count : 1;
        KvLayout.Builder builder = KvLayout.builder()
                .kvHeads(HEADS)
                .headSize(HEAD_SIZE)
                .type(KvType.F16)
                .tokensPerBlock(TOKENS_PER_BLOCK);
        int blocks = prefixes * (tokens / TOKENS_PER_BLOCK) + count;
        long layerBytes = builder.layers(1).build().blockBytes() * blocks;
        layers = (int) Math.ceilDiv((long) megabytes << 20, layerBytes);
        KvLayout layout = builder.layers(layers).build();
        cache = new FilledCache(layout, blocks, true);
        batch = new AttentionBatch();
        Sequence prefix = cache.open();
        cache.grow(prefix, tokens);
        for (int i = 0; i < count; i++) {
            Sequence sequence = prefix;
            if (i > 0 && prefixes > 1) {
                sequence = cache.open();
                cache.grow(sequence, tokens);
            } else if (prefixes == 1) {
                sequence = cache.fork(prefix);
            }
            cache.grow(sequence, TAIL);
            batch.add(sequence);
        }
        helpers = new Helpers(threads - 1);
        attention =
                PagedAttention.builder(layout, HEADS).threads(helpers, threads).build();
        queries = FilledCache.randoms(new Random(2), count * HEADS * HEAD_SIZE);
        outputs = new float[count * HEADS * HEAD_SIZE];
    }

    /** Closes everything; a leak fails the benchmark. */
    @TearDown(Level.Trial)
    public void close() {
        helpers.close();
        cache.close();
    }

    /**
     * One row of each sequence in one layer.
     *
     * @return the results
     */
    @Benchmark
    public float[] attend() {
        layer = (layer + 1) % layers;
        attention.attend(batch, layer, queries, 0, outputs, 0);
        return outputs;
    }
}
