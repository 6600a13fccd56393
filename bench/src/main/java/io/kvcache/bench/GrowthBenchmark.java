package io.kvcache.bench;

import static io.kvcache.bench.TinyBlocks.TOKENS_PER_BLOCK;

import io.kvcache.KvCache;
import io.kvcache.Sequence;
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
 * What operations on one sequence cost as it grows: appending a token should cost the same at any length, a fork the same for each
 * block. Opening a prompt as it grows, and all that depends on the number of cached blocks, is in {@link LookupBenchmark} and
 * {@link EvictBenchmark}.
 *
 * <pre>./kvcache jmh 'Growth|Lookup.*longHit'</pre>
 *
 * <p>The rival of an append is the same at another length. The rival of a fork is {@code plainFork}, the least that any fork by
 * reference has to do: it copies the numbers of the blocks and counts one reference more for each, then one less. It has no lock, checks
 * nothing, and would not notice a block whose last reference is gone.
 *
 * <p>Not shown: writing keys and values, attention, forks of forks.
 *
 * <p>Not thread-safe: one thread.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(3)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
public class GrowthBenchmark {
    private static final int NEXT_TOKEN = 1;

    /** Of the sequence, rounded down to blocks. */
    @Param({"16", "1024", "32768", "1000000"})
    public int tokens;

    private KvCache cache;
    private Sequence sequence;
    private int length;
    private int[] table; // [blocks]
    private int[] forkedTable; // [blocks]
    private int[] references; // [blocks]

    /** Computes the sequence. */
    @Setup(Level.Trial)
    public void open() {
        int blocks = tokens / TOKENS_PER_BLOCK;
        int[] prompt = TinyBlocks.prompt(new SplittableRandom(1), blocks);
        cache = TinyBlocks.cache(blocks + 1).build();
        sequence = cache.namespace("bench").open(prompt);
        TinyBlocks.extend(sequence, prompt);
        length = sequence.length();
        table = sequence.blockTable();
        forkedTable = new int[blocks];
        references = new int[blocks];
    }

    /** Closes everything; a leak fails the benchmark. */
    @TearDown(Level.Trial)
    public void close() {
        sequence.close();
        cache.close();
    }

    /**
     * Reserves and commits one token, and takes it back. All blocks are full: it always needs one more, which at other lengths
     * happens to one token in 16.
     *
     * @return whether there was room
     */
    @Benchmark
    public boolean appendAndTruncate() {
        boolean reserved = sequence.tryReserve(1);
        sequence.commit(NEXT_TOKEN);
        sequence.truncate(length);
        return reserved;
    }

    /**
     * Forks the sequence, and closes the fork.
     *
     * @return its tokens
     */
    @Benchmark
    public int forkAndClose() {
        try (Sequence fork = sequence.fork()) {
            return fork.length();
        }
    }

    /**
     * The rival: copies a table and counts references.
     *
     * @return the copy
     */
    @Benchmark
    public int[] plainFork() {
        System.arraycopy(table, 0, forkedTable, 0, table.length);
        for (int block : forkedTable) {
            references[block]++;
        }
        for (int block : forkedTable) {
            references[block]--;
        }
        return forkedTable;
    }
}
