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
 * Appending to a sequence: writing the key row and the value row of a token in one layer, or of 64 tokens, in each type and order, and
 * reserving and committing a token. The rival of the writes copies the same rows of floats, in the same order, to two
 * contiguous native buffers, one for keys and one for values, as engines without paging keep them; it converts nothing.
 *
 * <pre>./kvcache jmh Append -prof gc</pre>
 *
 * <p>Not thread-safe: one thread.
 */
@State(Scope.Thread)
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

    /** Rows of floats. 2 KiB: 8 K/V heads of 64; 4 KiB: 8 of 128; 16 KiB: 32 of 128. */
    @Param({"2048", "4096", "16384"})
    int rowBytes;

    /** Of K and V. */
    @Param({"F32", "F16", "BF16", "INT8"})
    KvType type;

    /** Of both. */
    @Param({"ROWS", "TILES"})
    BlockOrder order;

    private final Arena arena = Arena.ofShared();
    private KvCache cache;
    private Sequence sequence;
    private Sequence growing;
    private float[] key;
    private float[] value;
    private MemorySegment keySegment;
    private MemorySegment valueSegment;
    private MemorySegment contiguousKeys; // [positions][row]
    private MemorySegment contiguousValues; // [positions][row]
    private int position;

    /** Reserves all positions, so that only the writes are measured. */
    @Setup(Level.Trial)
    public void open() {
        int width = rowBytes / Float.BYTES;
        KvLayout layout = KvLayout.builder()
                .layers(1)
                .kvHeads(rowBytes == 16_384 ? 32 : 8)
                .headSize(rowBytes == 2048 ? 64 : 128)
                .type(type)
                .order(order)
                .tokensPerBlock(16)
                .build();
        cache = KvCache.builder(layout)
                .maximumBytes(4L * POSITIONS / 16 * layout.blockBytes())
                .build();
        sequence = cache.namespace("bench").open(new int[1]);
        growing = cache.namespace("bench").open(new int[1]);
        if (!sequence.tryReserve(POSITIONS)) {
            throw new IllegalStateException("cache is full: " + cache.stats());
        }
        Random random = new Random(1);
        key = new float[PREFILL * width];
        value = new float[PREFILL * width];
        for (int i = 0; i < PREFILL * width; i++) {
            key[i] = (float) random.nextGaussian();
            value[i] = (float) random.nextGaussian();
        }
        keySegment = arena.allocate((long) PREFILL * rowBytes, PAGE_BYTES);
        valueSegment = arena.allocate((long) PREFILL * rowBytes, PAGE_BYTES);
        keySegment.copyFrom(MemorySegment.ofArray(key));
        valueSegment.copyFrom(MemorySegment.ofArray(value));
        contiguousKeys = arena.allocate((long) POSITIONS * rowBytes, PAGE_BYTES);
        contiguousValues = arena.allocate((long) POSITIONS * rowBytes, PAGE_BYTES);
    }

    /** Closes everything; a leak fails the benchmark. */
    @TearDown(Level.Trial)
    public void close() {
        sequence.close();
        growing.close();
        cache.close();
        arena.close();
    }

    private int next() {
        position = position + 1 & POSITIONS - 1;
        return position;
    }

    /** The rival: two plain copies from arrays. */
    @Benchmark
    public void plainCopyOfArrays() {
        long offset = (long) next() * rowBytes;
        int width = rowBytes / Float.BYTES;
        MemorySegment.copy(key, 0, contiguousKeys, ValueLayout.JAVA_FLOAT, offset, width);
        MemorySegment.copy(value, 0, contiguousValues, ValueLayout.JAVA_FLOAT, offset, width);
    }

    /** The rows of one token from arrays. */
    @Benchmark
    public void writeArrays() {
        sequence.write(0, next(), 1, key, 0, value, 0);
    }

    /** The rival: two plain copies from native memory. */
    @Benchmark
    public void plainCopyOfSegments() {
        long offset = (long) next() * rowBytes;
        MemorySegment.copy(keySegment, 0, contiguousKeys, offset, rowBytes);
        MemorySegment.copy(valueSegment, 0, contiguousValues, offset, rowBytes);
    }

    /** The rows of one token from native memory. */
    @Benchmark
    public void writeSegments() {
        sequence.write(0, next(), 1, keySegment, 0, valueSegment, 0);
    }

    private int nextPrefill() {
        position = (position + PREFILL) & (POSITIONS - PREFILL);
        return position;
    }

    /** The rival: two plain copies of 64 tokens from arrays. */
    @Benchmark
    public void plainCopyOfPrefill() {
        long offset = (long) nextPrefill() * rowBytes;
        MemorySegment.copy(key, 0, contiguousKeys, ValueLayout.JAVA_FLOAT, offset, key.length);
        MemorySegment.copy(value, 0, contiguousValues, ValueLayout.JAVA_FLOAT, offset, value.length);
    }

    /** The rows of 64 tokens from arrays. */
    @Benchmark
    public void writePrefill() {
        sequence.write(0, nextPrefill(), PREFILL, key, 0, value, 0);
    }

    /** The rows of 64 tokens from native memory. */
    @Benchmark
    public void writePrefillSegments() {
        sequence.write(0, nextPrefill(), PREFILL, keySegment, 0, valueSegment, 0);
    }

    /**
     * One token's slot and its commit; the blocks of every 1,024 tokens go back at once, which is part of the figure.
     *
     * @return whether there was room
     */
    @Benchmark
    public boolean reserveAndCommit() {
        if (growing.length() == POSITIONS) {
            growing.truncate(0);
        }
        boolean reserved = growing.tryReserve(1);
        growing.commit(position);
        return reserved;
    }
}
