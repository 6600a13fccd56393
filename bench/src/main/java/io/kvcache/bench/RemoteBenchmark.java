package io.kvcache.bench;

import io.kvcache.BlockKey;
import io.kvcache.BlockNote;
import io.kvcache.KvLayout;
import io.kvcache.KvType;
import io.kvcache.localredis.LocalRedis;
import io.kvcache.remote.RemoteOptions;
import io.kvcache.remote.RemoteStore;
import io.lettuce.core.ClientOptions;
import io.lettuce.core.RedisClient;
import io.lettuce.core.RedisFuture;
import io.lettuce.core.api.async.RedisAsyncCommands;
import io.lettuce.core.codec.ByteArrayCodec;
import io.lettuce.core.codec.RedisCodec;
import io.lettuce.core.codec.ToByteBufEncoder;
import io.lettuce.core.output.CommandOutput;
import io.lettuce.core.output.StatusOutput;
import io.lettuce.core.protocol.CommandArgs;
import io.lettuce.core.protocol.CommandType;
import io.netty.buffer.ByteBuf;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
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
import redis.clients.jedis.Jedis;

/**
 * Loading and storing a block by a remote store, against what clients of Redis take to get and to set a value of the size of the
 * block, from a server on the loopback interface: arrays of bytes, as a client has them, and memory outside of the heap, where a
 * cache needs them.
 *
 * <pre>
 * ./kvcache jmh RemoteBenchmark -prof gc
 * ./kvcache jmh RemoteBenchmark -t 2
 * </pre>
 *
 * <p>Each thread has a connection. Times are of one block or value. The store compares the whole key of a block and checks all its
 * bytes (CRC32C); the clients do nothing of that.
 *
 * <p>It does not show a network, nor a server that others use.
 *
 * <p>Thread-safe: it has no state of its own.
 */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(3)
@Warmup(iterations = 4, time = 1)
@Measurement(iterations = 4, time = 1)
public class RemoteBenchmark {
    private static final int BLOCKS = 16;
    private static final int ALIGNMENT = 64;
    private static final Duration PATIENCE = Duration.ofMinutes(1);

    /** A server that holds values. */
    @State(Scope.Benchmark)
    public static class Server {
        /** Size of a value. */
        @Param({"256", "1024"})
        int blockKiB;

        private final byte[][] keys = new byte[BLOCKS][];
        private LocalRedis redis;
        private byte[] value = {};

        /** Starts it, and sets the values. */
        @Setup(Level.Trial)
        public void fill() {
            redis = LocalRedis.start();
            value = new byte[blockKiB << 10];
            new Random(1).nextBytes(value);
            try (Jedis jedis = new Jedis("127.0.0.1", redis.port())) {
                for (int i = 0; i < keys.length; i++) {
                    keys[i] = ("block:" + i).getBytes(StandardCharsets.US_ASCII);
                    jedis.set(keys[i], value);
                }
            }
        }

        /** Ends it. */
        @TearDown(Level.Trial)
        public void close() {
            redis.close();
        }
    }

    /** Blocks on the server. */
    @State(Scope.Thread)
    public static class Stored {
        private static final int TOKENS = 64;

        private final Arena arena = Arena.ofShared();
        private final BlockKey[] keys = new BlockKey[BLOCKS];
        private MemorySegment block = MemorySegment.NULL;
        private RemoteStore store;
        private int next;

        /** Stores them. */
        @Setup(Level.Trial)
        public void fill(Server server) throws IOException {
            block = arena.allocate(server.value.length, ALIGNMENT);
            block.copyFrom(MemorySegment.ofArray(server.value));
            store = RemoteStore.connect(RemoteOptions.of(server.redis.uri()).withDeadlines(PATIENCE, PATIENCE));
            KvLayout layout = KvLayout.builder()
                    .layers(1)
                    .kvHeads(1)
                    .headSize(server.value.length / (2 * TOKENS * Short.BYTES))
                    .type(KvType.F16)
                    .tokensPerBlock(TOKENS)
                    .build();
            BlockKey key = BlockKey.root("bench", layout, "bench", List.of());
            int[] tokens = new Random(2).ints(TOKENS, 0, 128_000).toArray();
            for (int i = 0; i < keys.length; i++) {
                key = key.child(tokens, 0, TOKENS);
                keys[i] = key;
                store.store(key, BlockNote.DEFAULT, block);
            }
        }

        final BlockKey next() {
            next = (next + 1) % BLOCKS;
            return keys[next];
        }

        /** Disconnects. */
        @TearDown(Level.Trial)
        public void close() {
            store.close();
            arena.close();
        }
    }

    /** Takes the keys in turn. */
    @State(Scope.Thread)
    public abstract static class Client {
        private int next;

        final byte[] next(Server server) {
            next = (next + 1) % BLOCKS;
            return server.keys[next];
        }
    }

    /** Lettuce with arrays of bytes. */
    @State(Scope.Thread)
    public static class LettuceBytes extends Client {
        private RedisClient client;
        private RedisAsyncCommands<byte[], byte[]> commands;

        /** Connects. */
        @Setup(Level.Trial)
        public void connect(Server server) {
            client = RedisClient.create(server.redis.uri());
            client.setOptions(ClientOptions.builder().autoReconnect(false).build()); // the server may end first
            commands = client.connect(ByteArrayCodec.INSTANCE).async();
        }

        /** Disconnects. */
        @TearDown(Level.Trial)
        public void close() {
            client.shutdown();
        }
    }

    /** Lettuce that copies between its buffers and memory outside of the heap. */
    @State(Scope.Thread)
    public static class LettuceMemory extends Client {
        private final SegmentCodec codec = new SegmentCodec();
        private MemorySegment block = MemorySegment.NULL;
        private final Arena arena = Arena.ofShared();
        private RedisClient client;
        private RedisAsyncCommands<byte[], MemorySegment> commands;

        /** Connects. */
        @Setup(Level.Trial)
        public void connect(Server server) {
            block = arena.allocate(server.value.length, ALIGNMENT);
            client = RedisClient.create(server.redis.uri());
            client.setOptions(ClientOptions.builder().autoReconnect(false).build()); // the server may end first
            commands = client.connect(codec).async();
        }

        final RedisFuture<Boolean> get(byte[] key, MemorySegment target) {
            return commands.dispatch(
                    CommandType.GET, new SegmentOutput(codec, target), new CommandArgs<>(codec).addKey(key));
        }

        final RedisFuture<String> set(byte[] key, MemorySegment value) {
            return commands.dispatch(
                    CommandType.SET,
                    new StatusOutput<>(codec),
                    new CommandArgs<>(codec).addKey(key).addValue(value));
        }

        /** Disconnects. */
        @TearDown(Level.Trial)
        public void close() {
            client.shutdown();
            arena.close();
        }
    }

    /** Jedis, with memory to copy to. */
    @State(Scope.Thread)
    public static class JedisBytes extends Client {
        private final Arena arena = Arena.ofShared();
        private MemorySegment block = MemorySegment.NULL;
        private Jedis jedis;

        /** Connects. */
        @Setup(Level.Trial)
        public void connect(Server server) {
            block = arena.allocate(server.value.length, ALIGNMENT);
            jedis = new Jedis("127.0.0.1", server.redis.port());
        }

        final MemorySegment copy(byte[] value) {
            MemorySegment.copy(MemorySegment.ofArray(value), 0, block, 0, value.length);
            return block;
        }

        /** Disconnects. */
        @TearDown(Level.Trial)
        public void close() {
            jedis.close();
            arena.close();
        }
    }

    /** Values are memory; only written, as replies go to a {@link SegmentOutput}. */
    private static final class SegmentCodec
            implements RedisCodec<byte[], MemorySegment>, ToByteBufEncoder<byte[], MemorySegment> {
        @Override
        public byte[] decodeKey(ByteBuffer bytes) {
            return ByteArrayCodec.INSTANCE.decodeKey(bytes);
        }

        @Override
        public MemorySegment decodeValue(ByteBuffer bytes) {
            throw new UnsupportedOperationException("a reply goes to memory that is given");
        }

        @Override
        public ByteBuffer encodeKey(byte[] key) {
            return ByteBuffer.wrap(key);
        }

        @Override
        public ByteBuffer encodeValue(MemorySegment value) {
            return value.asByteBuffer();
        }

        @Override
        public void encodeKey(byte[] key, ByteBuf target) {
            target.writeBytes(key);
        }

        @Override
        public void encodeValue(MemorySegment value, ByteBuf target) {
            target.writeBytes(value.asByteBuffer());
        }

        @Override
        public int estimateSize(Object keyOrValue) {
            return keyOrValue instanceof MemorySegment value ? (int) value.byteSize() : ((byte[]) keyOrValue).length;
        }

        @Override
        public boolean isEstimateExact() {
            return true;
        }
    }

    /** Copies a reply of the right size to memory; false if there is no value. */
    private static final class SegmentOutput extends CommandOutput<byte[], MemorySegment, Boolean> {
        private final MemorySegment target;

        SegmentOutput(SegmentCodec codec, MemorySegment target) {
            super(codec, false);
            this.target = target;
        }

        @Override
        public void set(@Nullable ByteBuffer bytes) {
            if (bytes != null) {
                target.copyFrom(MemorySegment.ofBuffer(bytes));
                output = true;
            }
        }
    }

    /**
     * Loads a block.
     *
     * @param state the blocks
     * @return what came with it
     */
    @Benchmark
    public BlockNote load(Stored state) throws IOException {
        BlockNote note = state.store.load(state.next(), state.block);
        if (note == null) {
            throw new IllegalStateException("block is not there: " + state.store.stats());
        }
        return note;
    }

    /**
     * Stores a block.
     *
     * @param state the blocks
     * @return whether it was taken
     */
    @Benchmark
    public boolean store(Stored state) throws IOException {
        return state.store.store(state.next(), BlockNote.DEFAULT, state.block);
    }

    /**
     * Rival: gets a value.
     *
     * @param server the server
     * @param client the connection
     * @return the value
     */
    @Benchmark
    public byte[] lettuceGet(Server server, LettuceBytes client) throws Exception {
        return client.commands.get(client.next(server)).get();
    }

    /**
     * Rival: sets a value.
     *
     * @param server the server
     * @param client the connection
     * @return the reply
     */
    @Benchmark
    public String lettuceSet(Server server, LettuceBytes client) throws Exception {
        return client.commands.set(client.next(server), server.value).get();
    }

    /**
     * Rival: gets a value into memory.
     *
     * @param server the server
     * @param client the connection
     * @return whether it is there
     */
    @Benchmark
    public boolean lettuceMemoryGet(Server server, LettuceMemory client) throws Exception {
        return client.get(client.next(server), client.block).get();
    }

    /**
     * Rival: sets a value from memory.
     *
     * @param server the server
     * @param client the connection
     * @return the reply
     */
    @Benchmark
    public String lettuceMemorySet(Server server, LettuceMemory client) throws Exception {
        return client.set(client.next(server), client.block).get();
    }

    /**
     * Rival: gets a value, and copies it to memory.
     *
     * @param server the server
     * @param client the connection
     * @return the memory
     */
    @Benchmark
    public MemorySegment jedisMemoryGet(Server server, JedisBytes client) {
        return client.copy(client.jedis.get(client.next(server)));
    }

    /**
     * Rival: copies a value from memory, and sets it.
     *
     * @param server the server
     * @param client the connection
     * @return the reply
     */
    @Benchmark
    public String jedisMemorySet(Server server, JedisBytes client) {
        return client.jedis.set(client.next(server), client.block.toArray(ValueLayout.JAVA_BYTE));
    }
}
