package io.kvcache.tiers;

import io.kvcache.BlockKey;
import io.kvcache.BlockNote;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * Measures how fast blocks come out of a {@link DiskStore} whose files are in the page cache, beside plain reads of
 * as many bytes from the same place, one after the other, without any check.
 *
 * <p>Run with {@code --enable-native-access=ALL-UNNAMED} and a directory that does not exist; prints the median of
 * rounds in which both take turns.
 */
final class LoadSpeed {
    private static final long TOTAL_BYTES = 1L << 30;
    private static final int ROUNDS = 9;

    private LoadSpeed() {}

    /** Runs. */
    public static void main(String[] arguments) throws Exception {
        Path directory = Path.of(arguments[0]);
        for (boolean systemCalls : new boolean[] {true, false}) {
            for (long blockBytes : new long[] {1 << 20, 256 << 10}) {
                FileAccess files = systemCalls ? new NativeFileAccess() : new ChannelFileAccess();
                DiskOptions options = DiskOptions.of(4 * TOTAL_BYTES);
                try (DiskStore store = DiskStore.open(directory, options, files)) {
                    measure(store, directory, blockBytes, systemCalls ? "system calls" : "channels");
                    store.erase("a");
                }
                try (var paths = Files.list(directory)) {
                    for (Path path : paths.toList()) {
                        Files.delete(path);
                    }
                }
            }
        }
    }

    private static void measure(DiskStore store, Path directory, long blockBytes, String how) throws Exception {
        int count = (int) (TOTAL_BYTES / blockBytes);
        BlockKey[] keys = new BlockKey[count];
        MemorySegment block = Blocks.block(Blocks.key("a", 0), blockBytes);
        for (int i = 0; i < count; i++) {
            keys[i] = Blocks.key("a", i);
            if (!store.store(keys[i], BlockNote.DEFAULT, block)) {
                throw new IllegalStateException("not stored");
            }
        }
        for (int threads = 1; threads <= 2; threads++) {
            double[] loads = new double[ROUNDS];
            double[] reads = new double[ROUNDS];
            double[] nativeReads = new double[ROUNDS];
            for (int round = 0; round < ROUNDS; round++) {
                loads[round] = inThreads(threads, thread -> load(store, keys, thread));
                reads[round] = inThreads(threads, thread -> read(directory, blockBytes));
                nativeReads[round] = inThreads(threads, thread -> readNatively(directory, blockBytes));
            }
            double load = median(loads);
            double read = median(reads);
            double readNatively = median(nativeReads);
            System.out.printf(
                    "%s block=%dKiB threads=%d load=%.2fGB/s channel=%.2fGB/s ratio=%.2f pread=%.2fGB/s ratio=%.2f%n",
                    how, blockBytes >> 10, threads, load, read, load / read, readNatively, load / readNatively);
        }
    }

    private interface Job {
        long run(int thread) throws IOException;
    }

    private static double inThreads(int threads, Job job) throws Exception {
        List<Callable<Long>> jobs = new ArrayList<>();
        for (int i = 0; i < threads; i++) {
            int thread = i;
            jobs.add(() -> job.run(thread));
        }
        long bytes = 0;
        try (ExecutorService executor = Executors.newFixedThreadPool(threads)) {
            long start = System.nanoTime();
            for (Future<Long> future : executor.invokeAll(jobs)) {
                bytes += future.get();
            }
            return bytes / (double) (System.nanoTime() - start);
        }
    }

    private static long load(DiskStore store, BlockKey[] keys, int thread) throws IOException {
        try (Arena arena = Arena.ofShared()) {
            MemorySegment target = arena.allocate(blockBytes(keys), 4096);
            for (BlockKey key : keys) {
                if (store.load(key, target) == null) {
                    throw new IllegalStateException("not found: thread=" + thread);
                }
            }
        }
        return TOTAL_BYTES;
    }

    private static long blockBytes(BlockKey[] keys) {
        return TOTAL_BYTES / keys.length;
    }

    private static long read(Path directory, long blockBytes) throws IOException {
        long done = 0;
        try (Arena arena = Arena.ofShared()) {
            MemorySegment target = arena.allocate(blockBytes, 4096);
            for (Path path : segments(directory)) {
                try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
                    for (long at = 0; at + blockBytes <= channel.size() && done < TOTAL_BYTES; at += blockBytes) {
                        done += channel.read(target.asByteBuffer(), at);
                    }
                }
            }
        }
        return done;
    }

    private static long readNatively(Path directory, long blockBytes) throws IOException {
        long done = 0;
        try (Arena arena = Arena.ofShared()) {
            MemorySegment target = arena.allocate(blockBytes, 4096);
            for (Path path : segments(directory)) {
                BlockFile file = new NativeFileAccess().open(path, FileAccess.Opening.READ);
                try {
                    for (long at = 0; at + blockBytes <= Files.size(path) && done < TOTAL_BYTES; at += blockBytes) {
                        done += file.read(target, at);
                    }
                } finally {
                    file.close();
                }
            }
        }
        return done;
    }

    private static List<Path> segments(Path directory) throws IOException {
        try (var paths = Files.list(directory)) {
            return paths.filter(SegmentNames::isOurs).sorted().toList();
        }
    }

    private static double median(double[] values) {
        Arrays.sort(values);
        return values[values.length / 2];
    }
}
