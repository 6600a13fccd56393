package io.kvcache;

import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Allocating and releasing a block. It stands in the library's package to reach the pool, which is not public.
 *
 * <pre>./kvcache jmh BlockPool -prof gc</pre>
 *
 * <p>Not thread-safe: one thread.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(3)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
public class BlockPoolBenchmark {
    private static final int BLOCKS = 100_000;

    private final Object lock = new Object();
    private BlockMemory memory;
    private BlockPool blocks;
    private KvCache cache;
    private Sequence sequence;

    /** A pool with every other block in use, so that the free list is long and scattered; and a cache beside it. */
    @Setup(Level.Trial)
    public void open() {
        KvLayout layout = KvLayout.builder()
                .layers(1)
                .kvHeads(1)
                .headSize(1)
                .tokensPerBlock(1)
                .build();
        memory = new BlockMemory(layout.blockBytes(), BLOCKS * layout.blockBytes());
        memory.ensure(BLOCKS);
        blocks = new BlockPool(memory);
        for (int i = 0; i < BLOCKS; i++) {
            blocks.allocate(BlockPool.NONE);
        }
        for (int block = 0; block < BLOCKS; block += 2) {
            free(block);
        }
        cache = KvCache.builder(layout)
                .maximumBytes(BLOCKS * layout.blockBytes())
                .build();
        sequence = cache.namespace("bench").open(new int[1]);
    }

    /** Frees the memory. */
    @TearDown(Level.Trial)
    public void close() {
        sequence.close();
        cache.close();
        memory.close();
    }

    /**
     * The pool's own work, with a lock taken once for each of the two.
     *
     * @return the block
     */
    @Benchmark
    public int allocateAndRelease() {
        int block;
        synchronized (lock) {
            block = blocks.allocate(BlockPool.NONE);
        }
        synchronized (lock) {
            free(block);
        }
        return block;
    }

    private void free(int block) {
        blocks.release(block);
        blocks.free(block);
    }

    /**
     * The same through a sequence: what a caller pays.
     *
     * @return whether there was room
     */
    @Benchmark
    public boolean reserveAndTruncate() {
        boolean reserved = sequence.tryReserve(1);
        sequence.truncate(0);
        return reserved;
    }
}
