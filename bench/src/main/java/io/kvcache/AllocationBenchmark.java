package io.kvcache;

import io.netty.buffer.AdaptiveByteBufAllocator;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.buffer.PooledByteBufAllocator;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.apache.arrow.memory.ArrowBuf;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.memory.RootAllocator;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Allocating a block and releasing it, where half of all blocks are in use, every other one; and the same with
 * buffers of as many bytes from allocators of others, each with as many live buffers beside. It stands in the
 * library's package to reach the pool, which is not public.
 *
 * <pre>./kvcache jmh AllocationBenchmark</pre>
 *
 * <p>All but the pool itself and the arena are thread-safe. The pool is measured with the lock that guards it, taken
 * once for each of the two calls, without contention; a sequence takes it itself. What each does:
 *
 * <table>
 * <caption>Rivals</caption>
 * <tr><th>method</th><th>aligned to 64 bytes</th><th>counts references</th><th>zeroes</th><th>thread-safe</th></tr>
 * <tr><td>{@link #pool}</td><td>yes</td><td>yes</td><td>no</td><td>by the lock that is measured</td></tr>
 * <tr><td>{@link #sequence}</td><td>yes</td><td>yes</td><td>no</td><td>the cache is; takes its lock twice</td></tr>
 * <tr><td>{@link #sequencePrefill}</td><td>yes</td><td>yes</td><td>no</td><td>the cache is; takes its lock twice for 16
 * blocks</td></tr>
 * <tr><td>{@link #nettyPooled}</td><td>not promised</td><td>yes</td><td>no</td><td>yes: a lock for each arena</td></tr>
 * <tr><td>{@link #nettyPooledTuned}</td><td>not promised</td><td>yes</td><td>no</td><td>yes: a cache for each thread,
 * before the lock</td></tr>
 * <tr><td>{@link #nettyPooledTunedPrefill}</td><td colspan="4">the same, 16 buffers at once</td></tr>
 * <tr><td>{@link #nettyAdaptive}</td><td>not promised</td><td>yes</td><td>no</td><td>yes: a magazine for each
 * thread</td></tr>
 * <tr><td>{@link #arrow}</td><td>not promised</td><td>yes</td><td>no</td><td>yes: atomic counters</td></tr>
 * <tr><td>{@link #confinedArena}</td><td>yes</td><td>no</td><td>yes, all bytes</td><td>no: one thread</td></tr>
 * </table>
 *
 * <p>How the rivals are configured. {@code nettyPooled}: {@code new PooledByteBufAllocator(true)} and no property, as
 * a program gets it; buffers above 32 KiB bypass the caches of threads, only threads of Netty's have caches, and one
 * buffer in 128 is watched for leaks. {@code nettyPooledTuned}: buffers up to 1 MiB are cached in the thread, caches
 * are never trimmed, no watching for leaks, and JMH runs it on a thread of Netty's ({@link NettyExecutor}).
 * {@code nettyAdaptive}: caches for all threads, no watching, a thread of Netty's. {@code arrow}:
 * {@link RootAllocator} without a limit over {@code arrow-memory-unsafe}, without its debugging, which is off where
 * assertions are. {@code confinedArena}: an arena for each buffer. The properties are options of JMH's forks: with
 * {@code -f 0} rivals run without them.
 *
 * <p>Not shown: many threads at once; blocks that are released in another order than they were allocated; first use,
 * where memory comes from the system; and that Netty, Arrow and arenas serve any size, while a pool has one.
 *
 * <p>Thread-safe: it has no state of its own.
 */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(3)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
public class AllocationBenchmark {
    private static final int LAYER_KIB = 32; // 16 tokens of 8 heads of 64, F16, K and V
    private static final int TOKENS_PER_BLOCK = 16;
    private static final int PREFILL_BLOCKS = 16; // of a prompt of 256 tokens
    private static final int MINIMUM_BLOCKS = 2 * PREFILL_BLOCKS; // half of them are in use

    // Flags of rivals.
    private static final String CACHE_TO_1_MIB = "-Dio.netty.allocator.maxCachedBufferCapacity=1048576";
    private static final String NEVER_TRIM = "-Dio.netty.allocator.cacheTrimInterval=2147483647";
    private static final String NO_WATCHING = "-Dio.netty.leakDetection.level=disabled";
    private static final String OTHER_THREADS = "-Djmh.executor=CUSTOM";
    private static final String THREADS_OF_NETTY = "-Djmh.executor.class=io.kvcache.NettyExecutor";

    /** How large blocks are, and how many. */
    @State(Scope.Thread)
    public abstract static class Size {
        /** Of a block or buffer. */
        @Param({"64", "256", "1024"})
        int blockKiB;

        /** Of all blocks, half of which are in use. */
        @Param("256")
        int megabytes;

        final int bytes() {
            return blockKiB << 10;
        }

        final int blocks() {
            return Math.max(MINIMUM_BLOCKS, (megabytes << 10) / blockKiB);
        }

        final KvLayout layout() {
            KvLayout layout = KvLayout.builder()
                    .layers(blockKiB / LAYER_KIB)
                    .kvHeads(8)
                    .headSize(64)
                    .type(KvType.F16)
                    .tokensPerBlock(TOKENS_PER_BLOCK)
                    .build();
            if (layout.blockBytes() != bytes()) {
                throw new IllegalStateException("a block has another size than buffers: blockBytes="
                        + layout.blockBytes() + " bytes=" + bytes());
            }
            return layout;
        }

        /** Closes every other one and forgets it. */
        final <T extends AutoCloseable> List<T> everyOther(List<T> all) throws Exception {
            List<T> kept = new ArrayList<>();
            for (int i = 0; i < all.size(); i++) {
                if (i % 2 == 0) {
                    all.get(i).close();
                } else {
                    kept.add(all.get(i));
                }
            }
            return kept;
        }
    }

    /** The pool, with a lock of its own. */
    @State(Scope.Thread)
    public static class Pool extends Size {
        private final Object lock = new Object();
        private BlockMemory memory;
        private BlockPool pool;

        /** Allocates all blocks and frees every other one. */
        @Setup(Level.Trial)
        public void open() {
            KvLayout layout = layout();
            memory = new BlockMemory(layout.blockBytes(), blocks() * layout.blockBytes());
            memory.ensure(blocks());
            pool = new BlockPool(memory);
            for (int i = 0; i < blocks(); i++) {
                pool.allocate(BlockPool.NONE);
            }
            for (int block = 0; block < blocks(); block += 2) {
                free(block);
            }
        }

        /** Frees the memory. */
        @TearDown(Level.Trial)
        public void close() {
            memory.close();
        }

        private void free(int block) {
            pool.release(block);
            pool.free(block);
        }
    }

    /** A cache with an empty sequence, and others of one block each. */
    @State(Scope.Thread)
    public static class Sequences extends Size {
        private KvCache cache;
        private Sequence sequence;
        private List<Sequence> live;

        /** Opens sequences and closes every other one. */
        @Setup(Level.Trial)
        public void open() throws Exception {
            KvLayout layout = layout();
            cache = KvCache.builder(layout)
                    .maximumBytes(blocks() * layout.blockBytes())
                    .build();
            List<Sequence> all = new ArrayList<>();
            for (int i = 0; i < blocks(); i++) {
                Sequence holder = cache.namespace("bench").open(new int[1]);
                if (!holder.tryReserve(1)) {
                    throw new IllegalStateException("cache is full: " + cache.stats());
                }
                all.add(holder);
            }
            live = everyOther(all);
            sequence = cache.namespace("bench").open(new int[1]);
        }

        /** Closes everything; a leak fails the benchmark. */
        @TearDown(Level.Trial)
        public void close() {
            sequence.close();
            live.forEach(Sequence::close);
            cache.close();
        }
    }

    /** Buffers of one of Netty's allocators. */
    abstract static class NettyBuffers extends Size {
        private final ByteBufAllocator allocator;
        private final List<ByteBuf> live = new ArrayList<>();
        private final ByteBuf[] prefill = new ByteBuf[PREFILL_BLOCKS];

        NettyBuffers(ByteBufAllocator allocator) {
            this.allocator = allocator;
        }

        /** Allocates all buffers and releases every other one. */
        @Setup(Level.Trial)
        public void open() {
            List<ByteBuf> all = new ArrayList<>();
            for (int i = 0; i < blocks(); i++) {
                all.add(allocator.directBuffer(bytes(), bytes()));
            }
            for (int i = 0; i < all.size(); i++) {
                if (i % 2 == 0) {
                    all.get(i).release();
                } else {
                    live.add(all.get(i));
                }
            }
        }

        /** Releases all buffers. */
        @TearDown(Level.Trial)
        public void close() {
            live.forEach(ByteBuf::release);
            live.clear();
        }

        final boolean allocateAndReleasePrefill() {
            for (int i = 0; i < PREFILL_BLOCKS; i++) {
                prefill[i] = allocator.directBuffer(bytes(), bytes());
            }
            boolean released = true;
            for (int i = PREFILL_BLOCKS - 1; i >= 0; i--) {
                released &= prefill[i].release();
            }
            return released;
        }

        final boolean allocateAndRelease() {
            return allocator.directBuffer(bytes(), bytes()).release();
        }
    }

    /** The pooled allocator as a program gets it. */
    @State(Scope.Thread)
    public static class NettyPooled extends NettyBuffers {
        /** For JMH. */
        public NettyPooled() {
            super(new PooledByteBufAllocator(true));
        }
    }

    /** The pooled allocator with large buffers cached in the thread, as far as the properties of the fork allow. */
    @State(Scope.Thread)
    public static class NettyPooledTuned extends NettyBuffers {
        private static final int BUFFERS_PER_SIZE = 256; // that a thread caches

        /** For JMH. */
        public NettyPooledTuned() {
            super(new PooledByteBufAllocator(
                    true,
                    0,
                    1,
                    PooledByteBufAllocator.defaultPageSize(),
                    PooledByteBufAllocator.defaultMaxOrder(),
                    PooledByteBufAllocator.defaultSmallCacheSize(),
                    BUFFERS_PER_SIZE,
                    true));
        }
    }

    /** The adaptive allocator with caches for all threads. */
    @State(Scope.Thread)
    public static class NettyAdaptive extends NettyBuffers {
        /** For JMH. */
        public NettyAdaptive() {
            super(new AdaptiveByteBufAllocator(true, true));
        }
    }

    /** Buffers of Arrow. */
    @State(Scope.Thread)
    public static class ArrowBuffers extends Size {
        private BufferAllocator allocator;
        private List<ArrowBuf> live;

        /** Allocates all buffers and releases every other one. */
        @Setup(Level.Trial)
        public void open() throws Exception {
            allocator = new RootAllocator();
            List<ArrowBuf> all = new ArrayList<>();
            for (int i = 0; i < blocks(); i++) {
                all.add(allocator.buffer(bytes()));
            }
            live = everyOther(all);
        }

        /** Closes everything; a leak fails the benchmark. */
        @TearDown(Level.Trial)
        public void close() {
            live.forEach(ArrowBuf::close);
            allocator.close();
        }
    }

    /** Arenas of one buffer each. */
    @State(Scope.Thread)
    public static class Arenas extends Size {
        private List<ArenaBuffer> live;

        /** A buffer and what frees it. */
        private static final class ArenaBuffer implements AutoCloseable {
            private final Arena arena = Arena.ofConfined();

            ArenaBuffer(int bytes) {
                arena.allocate(bytes, 64);
            }

            @Override
            public void close() {
                arena.close();
            }
        }

        /** Allocates all buffers and frees every other one. */
        @Setup(Level.Trial)
        public void open() throws Exception {
            List<ArenaBuffer> all = new ArrayList<>();
            for (int i = 0; i < blocks(); i++) {
                all.add(new ArenaBuffer(bytes()));
            }
            live = everyOther(all);
        }

        /** Frees all buffers. */
        @TearDown(Level.Trial)
        public void close() {
            live.forEach(ArenaBuffer::close);
        }
    }

    /**
     * The pool's own work, with a lock taken once for each of the two.
     *
     * @param state the pool
     * @return the block
     */
    @Benchmark
    public int pool(Pool state) {
        int block;
        synchronized (state.lock) {
            block = state.pool.allocate(BlockPool.NONE);
        }
        synchronized (state.lock) {
            state.free(block);
        }
        return block;
    }

    /**
     * The same through a sequence, by reserve and truncate: what a caller pays.
     *
     * @param state the sequence
     * @return whether there was room
     */
    @Benchmark
    public boolean sequence(Sequences state) {
        boolean reserved = state.sequence.tryReserve(1);
        state.sequence.truncate(0);
        return reserved;
    }

    /**
     * The blocks of a prompt through a sequence, by reserve and truncate: one lock for all of them, each way. The score is for a block.
     *
     * @param state the sequence
     * @return whether there was room
     */
    @Benchmark
    @OperationsPerInvocation(PREFILL_BLOCKS)
    public boolean sequencePrefill(Sequences state) {
        boolean reserved = state.sequence.tryReserve(PREFILL_BLOCKS * TOKENS_PER_BLOCK);
        state.sequence.truncate(0);
        return reserved;
    }

    /**
     * Rival: Netty's pool as a program gets it.
     *
     * @param state the allocator
     * @return whether the buffer was released
     */
    @Benchmark
    public boolean nettyPooled(NettyPooled state) {
        return state.allocateAndRelease();
    }

    /**
     * Rival: Netty's pool with buffers of these sizes cached in the thread.
     *
     * @param state the allocator
     * @return whether the buffer was released
     */
    @Benchmark
    @Fork(
            value = 3,
            jvmArgsAppend = {CACHE_TO_1_MIB, NEVER_TRIM, NO_WATCHING, OTHER_THREADS, THREADS_OF_NETTY})
    public boolean nettyPooledTuned(NettyPooledTuned state) {
        return state.allocateAndRelease();
    }

    /**
     * Rival: the same, as many buffers as a prompt takes blocks, released in the opposite order. The score is for a buffer.
     *
     * @param state the allocator
     * @return whether the buffers were released
     */
    @Benchmark
    @OperationsPerInvocation(PREFILL_BLOCKS)
    @Fork(
            value = 3,
            jvmArgsAppend = {CACHE_TO_1_MIB, NEVER_TRIM, NO_WATCHING, OTHER_THREADS, THREADS_OF_NETTY})
    public boolean nettyPooledTunedPrefill(NettyPooledTuned state) {
        return state.allocateAndReleasePrefill();
    }

    /**
     * Rival: Netty's adaptive allocator, its default from 4.2 on.
     *
     * @param state the allocator
     * @return whether the buffer was released
     */
    @Benchmark
    @Fork(
            value = 3,
            jvmArgsAppend = {NO_WATCHING, OTHER_THREADS, THREADS_OF_NETTY})
    public boolean nettyAdaptive(NettyAdaptive state) {
        return state.allocateAndRelease();
    }

    /**
     * Rival: Arrow's allocator, which asks malloc each time.
     *
     * @param state the allocator
     * @return bytes
     */
    @Benchmark
    @Fork(value = 3, jvmArgsAppend = "--add-opens=java.base/java.nio=ALL-UNNAMED")
    public long arrow(ArrowBuffers state) {
        try (ArrowBuf buffer = state.allocator.buffer(state.bytes())) {
            return buffer.capacity();
        }
    }

    /**
     * Rival: an arena of the JDK, which asks malloc each time and zeroes what it gets.
     *
     * @param state the size
     * @return where the buffer was
     */
    @Benchmark
    public long confinedArena(Arenas state) {
        try (Arena arena = Arena.ofConfined()) {
            return arena.allocate(state.bytes(), 64).address();
        }
    }
}
