package io.kvcache.bench;

import io.kvcache.BlockKey;
import io.kvcache.BlockNote;
import io.kvcache.KvLayout;
import io.kvcache.KvType;
import io.kvcache.tiers.DiskOptions;
import io.kvcache.tiers.DiskStore;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
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
 * Storing and loading a block on disk, against reading, writing and copying plain files in pieces of the same size. All in the page
 * cache of the operating system, in one thread: what the store adds to the file.
 *
 * <pre>
 * ./kvcache jmh DiskBenchmark
 * ./kvcache jmh DiskBenchmark -jvmArgs -Xmx1g -jvmArgsAppend -Xss1m    # without native access: channels on threads of the store
 * </pre>
 *
 * <p>The store compares the whole key of a block and checks all its bytes (CRC32C); it is full, so that each block stored takes the place
 * of another, whose header is overwritten first. The plain rivals do nothing of that.
 *
 * <p>It does not show the disk itself, nor several threads at once, which is how a cache loads.
 *
 * <p>Thread-safe: it has no state of its own.
 */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(value = 3, jvmArgsAppend = "--enable-native-access=ALL-UNNAMED")
@Warmup(iterations = 4, time = 1)
@Measurement(iterations = 4, time = 1)
public class DiskBenchmark {
    private static final int TOKENS = 64;
    private static final long FILE_BYTES = 128L << 20;

    /** Blocks, and a directory for them. */
    @State(Scope.Thread)
    public abstract static class Blocks {
        /** Size of a block. */
        @Param({"256", "1024"})
        int blockKiB;

        private final Arena arena = Arena.ofShared();
        private Path directory = Path.of("");
        private int blocks;
        private MemorySegment block = MemorySegment.NULL;
        private int next;
        private long calls;
        private long start;

        final void open() throws IOException {
            directory = Files.createTempDirectory("kvcache-disk");
            blocks = (int) (FILE_BYTES / bytes());
            block = arena.allocate(bytes(), 4096);
            Random random = new Random(1);
            for (long at = 0; at < bytes(); at += Long.BYTES) {
                block.set(ValueLayout.JAVA_LONG, at, random.nextLong());
            }
        }

        final long bytes() {
            return blockKiB * 1024L;
        }

        /** Counts up to the number of blocks, again and again. */
        final int next() {
            calls++;
            int current = next;
            next = next + 1 == blocks ? 0 : next + 1;
            return current;
        }

        /** Forgets what was measured. */
        @Setup(Level.Iteration)
        public void begin() {
            calls = 0;
            start = System.nanoTime();
        }

        /** Reports the speed. */
        @TearDown(Level.Iteration)
        public void report() {
            Figures.report("speed", (double) calls * bytes() / (System.nanoTime() - start), "GB/s");
        }

        final void delete() throws IOException {
            try (Stream<Path> paths = Files.walk(directory)) {
                paths.sorted(Comparator.reverseOrder()).forEach(Blocks::delete);
            }
            arena.close();
        }

        private static void delete(Path path) {
            try {
                Files.delete(path);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }

    /** A store that is full. */
    @State(Scope.Thread)
    public static class Stored extends Blocks {
        private DiskStore store;
        private BlockKey[] keys; // [twice the blocks that fit]
        private int nextKey;

        /** Fills the store. */
        @Setup(Level.Trial)
        public void fill() throws IOException {
            open();
            store = DiskStore.open(super.directory, DiskOptions.of(FILE_BYTES + FILE_BYTES / 8));
            KvLayout layout = KvLayout.builder()
                    .layers(1)
                    .kvHeads(1)
                    .headSize((int) (bytes() / (2 * TOKENS * Short.BYTES)))
                    .type(KvType.F16)
                    .tokensPerBlock(TOKENS)
                    .build();
            BlockKey key = BlockKey.root("bench", layout, "bench", List.of());
            int[] tokens = new Random(2).ints(TOKENS, 0, 128_000).toArray();
            keys = new BlockKey[4 * super.blocks];
            for (int i = 0; i < keys.length; i++) {
                key = key.child(tokens, 0, TOKENS);
                keys[i] = key;
            }
            for (int i = 0; i < super.blocks; i++) {
                store.store(keys[i], BlockNote.DEFAULT, super.block);
            }
            nextKey = super.blocks;
        }

        /** Closes the store and deletes its files. */
        @TearDown(Level.Trial)
        public void close() throws IOException {
            store.close();
            delete();
        }
    }

    /** A plain file, and another one to copy to. */
    @State(Scope.Thread)
    public static class Plain extends Blocks {
        private FileChannel file;
        private FileChannel copy;
        private ByteBuffer buffer;

        /** Fills both files. */
        @Setup(Level.Trial)
        public void fill() throws IOException {
            open();
            file = create("file");
            copy = create("copy");
            buffer = super.block.asByteBuffer();
            for (int i = 0; i < super.blocks; i++) {
                file.write(buffer.clear(), i * bytes());
                copy.write(buffer.clear(), i * bytes());
            }
        }

        private FileChannel create(String name) throws IOException {
            return FileChannel.open(
                    super.directory.resolve(name),
                    StandardOpenOption.CREATE_NEW,
                    StandardOpenOption.READ,
                    StandardOpenOption.WRITE);
        }

        /** Closes and deletes the files. */
        @TearDown(Level.Trial)
        public void close() throws IOException {
            file.close();
            copy.close();
            delete();
        }
    }

    /**
     * Stores a block that is not there, in the place of the one used longest ago.
     *
     * @param state the store
     * @return whether it was taken
     */
    @Benchmark
    public boolean store(Stored state) throws IOException {
        state.next();
        BlockKey key = state.keys[state.nextKey];
        state.nextKey = state.nextKey + 1 == state.keys.length ? 0 : state.nextKey + 1;
        return state.store.store(key, BlockNote.DEFAULT, ((Blocks) state).block);
    }

    /**
     * Loads a block.
     *
     * @param state the store
     * @return what came with it
     */
    @Benchmark
    public BlockNote load(Stored state) throws IOException {
        BlockNote note = state.store.load(state.keys[state.next()], ((Blocks) state).block);
        if (note == null) {
            throw new IllegalStateException("block is not there: " + state.store.stats());
        }
        return note;
    }

    /**
     * Rival: reads a piece of a file.
     *
     * @param state the file
     * @return bytes read
     */
    @Benchmark
    public int plainRead(Plain state) throws IOException {
        return state.file.read(state.buffer.clear(), state.next() * state.bytes());
    }

    /**
     * Rival: writes a piece of a file.
     *
     * @param state the file
     * @return bytes written
     */
    @Benchmark
    public int plainWrite(Plain state) throws IOException {
        return state.file.write(state.buffer.clear(), state.next() * state.bytes());
    }

    /**
     * Rival: copies a piece of a file to another.
     *
     * @param state the files
     * @return bytes copied
     */
    @Benchmark
    public int plainCopy(Plain state) throws IOException {
        long at = state.next() * state.bytes();
        state.file.read(state.buffer.clear(), at);
        return state.copy.write(state.buffer.flip(), at);
    }
}
