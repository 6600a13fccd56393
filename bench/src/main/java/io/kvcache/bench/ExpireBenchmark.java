package io.kvcache.bench;

import com.github.benmanes.caffeine.cache.Caffeine;
import com.github.benmanes.caffeine.cache.Expiry;
import io.kvcache.KvCache;
import io.kvcache.Namespace;
import io.kvcache.NamespaceOptions;
import io.kvcache.Retention;
import java.time.Duration;
import java.util.PriorityQueue;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.agrona.concurrent.CachedNanoClock;
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
 * Sweeping blocks whose time to live is over: deadlines lie anywhere in a minute, the clock is set behind it, and all blocks
 * leave. The score is the time for all of them; {@code perBlock} is that divided by their number, and {@code longestStep} the
 * longest time without a pause, during which nobody else gets the lock.
 *
 * <pre>./kvcache jmh Expire</pre>
 *
 * <p>The cache sweeps in steps of 256 as its agent does. A step looks at so many blocks, and each takes along those that continue it:
 * {@code path} is the number of blocks in a prompt, which have one deadline. What leaves is unpublished, remembered as expired, and free.
 *
 * <p>Rivals, with as many blocks in prompts of 64, as for {@code path} 64:
 *
 * <ul>
 *   <li>{@code priorityQueue}: {@link PriorityQueue}, drained in order. That is the order alone: it finds no block, takes none out of an
 *       index, and has no way to take back a deadline other than to search for it.
 *   <li>{@code caffeine}: {@link CaffeineIndex}, bounded to as many blocks, with an expiry for each; one {@code cleanUp}, which is
 *       one step under its lock. What leaves is out of its index and its policy. It lacks what is said there.
 * </ul>
 *
 * <p>Not shown: deadlines that are moved or cancelled before they are due, a clock that goes on in small steps, callers who want
 * the lock meanwhile, sessions. Nor does the figure for garbage show what a sweep allocates: it counts the filling too.
 *
 * <p>Not thread-safe: one thread.
 */
@BenchmarkMode(Mode.SingleShotTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(value = 3, jvmArgsAppend = "-Xmx4g")
@Warmup(iterations = 5)
@Measurement(iterations = 5)
public class ExpireBenchmark {
    private static final int STEP = 256;
    private static final int RIVAL_PATH = 64;
    private static final long MINUTE_NANOS = TimeUnit.MINUTES.toNanos(1);

    /** How many blocks, what time it is, and what a sweep took. */
    @State(Scope.Benchmark) // one object: of other scopes JMH makes one for each parameter
    public static class Sweep {
        /** That expire. */
        @Param({"10000", "100000", "1000000"})
        public int blocks;

        private final CachedNanoClock clock = new CachedNanoClock();
        private final SplittableRandom random = new SplittableRandom(1);
        private long started;
        private long longestNanos;
        private long nanos;

        /** A time to live that chance has shortened, as jitter does. */
        private long life() {
            return random.nextLong(MINUTE_NANOS);
        }

        /** Lets all deadlines pass, those at the end of a tick too. */
        private void endMinute() {
            clock.update(clock.nanoTime() + MINUTE_NANOS + TimeUnit.SECONDS.toNanos(2));
            longestNanos = 0;
            nanos = 0;
        }

        private void start() {
            started = System.nanoTime();
        }

        private void stop() {
            long step = System.nanoTime() - started;
            nanos += step;
            longestNanos = Math.max(longestNanos, step);
        }

        private void report(int expired) {
            Figures.report("perBlock", (double) nanos / expired, "ns");
            Figures.report("longestStep", longestNanos / 1e3, "us");
        }
    }

    private static void checkNothingLeft(long blocks) {
        if (blocks != 0) {
            throw new IllegalStateException("must have expired: blocks=" + blocks);
        }
    }

    /** A cache whose blocks expire. */
    @State(Scope.Thread)
    public static class ExpiringCache {
        /** Blocks of a prompt. */
        @Param({"1", "64"})
        public int path;

        private KvCache cache;
        private Namespace namespace;
        private int filled;

        /**
         * Makes an empty cache.
         *
         * @param sweep whose clock it goes by
         */
        @Setup(Level.Trial)
        public void open(Sweep sweep) {
            Retention retention =
                    Retention.DEFAULT.withTtl(Duration.ofNanos(MINUTE_NANOS)).withJitter(1);
            cache = TinyBlocks.cache(sweep.blocks).clock(sweep.clock).build();
            namespace = cache.namespace("bench", NamespaceOptions.DEFAULT.withRetention(retention));
        }

        /**
         * Computes prompts, and lets their time pass.
         *
         * @param sweep what passes
         */
        @Setup(Level.Invocation)
        public void fill(Sweep sweep) {
            int prompts = sweep.blocks / path;
            for (int i = 0; i < prompts; i++) {
                TinyBlocks.compute(namespace, TinyBlocks.prompt(sweep.random, path));
            }
            filled = cache.stats().cachedBlocks();
            sweep.endMinute();
        }

        /**
         * Tells what the sweep took.
         *
         * @param sweep which
         */
        @TearDown(Level.Invocation)
        public void report(Sweep sweep) {
            checkNothingLeft(cache.stats().cachedBlocks());
            sweep.report(filled);
        }

        /** Frees the memory. */
        @TearDown(Level.Trial)
        public void close() {
            cache.close();
        }
    }

    /** A queue of deadlines. */
    @State(Scope.Thread)
    public static class Queue {
        private record Deadline(long nanos, int block) implements Comparable<Deadline> {
            @Override
            public int compareTo(Deadline other) {
                return Long.compare(nanos, other.nanos);
            }
        }

        private PriorityQueue<Deadline> deadlines;
        private int[] free; // [blocks]
        private int freeBlocks;

        /**
         * Queues deadlines, and lets their time pass.
         *
         * @param sweep what passes
         */
        @Setup(Level.Invocation)
        public void fill(Sweep sweep) {
            deadlines = new PriorityQueue<>(sweep.blocks);
            free = new int[sweep.blocks];
            freeBlocks = 0;
            long deadline = 0;
            for (int block = 0; block < sweep.blocks; block++) {
                if (block % RIVAL_PATH == 0) {
                    deadline = sweep.clock.nanoTime() + sweep.life();
                }
                deadlines.add(new Deadline(deadline, block));
            }
            sweep.endMinute();
        }

        /**
         * Tells what the sweep took.
         *
         * @param sweep which
         */
        @TearDown(Level.Invocation)
        public void report(Sweep sweep) {
            checkNothingLeft(deadlines.size());
            sweep.report(sweep.blocks);
        }

        private boolean isDue(long now) {
            Deadline first = deadlines.peek();
            return first != null && first.nanos <= now;
        }

        private void expire(long now) {
            for (int i = 0; i < STEP && isDue(now); i++) {
                free[freeBlocks++] = deadlines.remove().block;
            }
        }
    }

    /** A rival whose blocks expire. */
    @State(Scope.Thread)
    public static class ExpiringIndex {
        private CaffeineIndex index;
        private long life;
        private int filled;

        /**
         * Makes an empty index.
         *
         * @param sweep whose clock it goes by
         */
        @Setup(Level.Trial)
        public void open(Sweep sweep) {
            Expiry<CaffeineIndex.Key, CaffeineIndex.Block> expiry =
                    Expiry.creating((key, block) -> Duration.ofNanos(life));
            index = new CaffeineIndex(Caffeine.newBuilder()
                    .maximumSize(sweep.blocks)
                    .initialCapacity(sweep.blocks)
                    .ticker(sweep.clock::nanoTime)
                    .expireAfter(expiry));
        }

        /**
         * Adds prompts, and lets their time pass.
         *
         * @param sweep what passes
         */
        @Setup(Level.Invocation)
        public void fill(Sweep sweep) {
            int prompts = sweep.blocks / RIVAL_PATH;
            for (int i = 0; i < prompts; i++) {
                life = sweep.life();
                index.add(TinyBlocks.prompt(sweep.random, RIVAL_PATH));
            }
            filled = Math.toIntExact(index.size());
            sweep.endMinute();
        }

        /**
         * Tells what the sweep took.
         *
         * @param sweep which
         */
        @TearDown(Level.Invocation)
        public void report(Sweep sweep) {
            checkNothingLeft(index.size());
            sweep.report(filled);
        }
    }

    /**
     * Sweeps the cache.
     *
     * @param state the cache
     * @param sweep measures steps
     */
    @Benchmark
    public void maintain(ExpiringCache state, Sweep sweep) {
        int looked;
        do {
            sweep.start();
            looked = state.cache.maintain(STEP);
            sweep.stop();
        } while (looked == STEP);
    }

    /**
     * The rival: drains the queue, in steps of as many.
     *
     * @param queue the queue
     * @param sweep measures steps
     */
    @Benchmark
    public void priorityQueue(Queue queue, Sweep sweep) {
        long now = sweep.clock.nanoTime();
        while (queue.isDue(now)) {
            sweep.start();
            queue.expire(now);
            sweep.stop();
        }
    }

    /**
     * The rival: sweeps the index, in one step.
     *
     * @param state the index
     * @param sweep measures steps
     */
    @Benchmark
    public void caffeine(ExpiringIndex state, Sweep sweep) {
        sweep.start();
        state.index.cleanUp();
        sweep.stop();
    }
}
