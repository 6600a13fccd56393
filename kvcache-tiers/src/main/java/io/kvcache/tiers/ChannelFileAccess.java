package io.kvcache.tiers;

import java.io.File;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/**
 * Files through channels, in threads of its own. An interrupt closes the channel that the interrupted thread is in,
 * for everybody: so no thread that others could interrupt gets into one.
 *
 * <p>Thread-safe.
 */
final class ChannelFileAccess implements FileAccess {
    private static final int FEWEST_THREADS = 2;
    private static final int MOST_THREADS = 8;
    private static final long IDLE_SECONDS = 10;
    private static final boolean WINDOWS = File.separatorChar == '\\';

    private static final FileAttribute<Set<PosixFilePermission>> OWNER_ONLY = PosixFilePermissions.asFileAttribute(
            Set.of(PosixFilePermission.OWNER_READ, PosixFilePermission.OWNER_WRITE));

    private final ThreadPoolExecutor threads;

    ChannelFileAccess() {
        int count = Math.clamp(Runtime.getRuntime().availableProcessors(), FEWEST_THREADS, MOST_THREADS);
        threads = new ThreadPoolExecutor(
                count,
                count,
                IDLE_SECONDS,
                TimeUnit.SECONDS,
                new LinkedBlockingQueue<>(),
                ChannelFileAccess::newThread);
        threads.allowCoreThreadTimeOut(true);
    }

    private static Thread newThread(Runnable work) {
        return Thread.ofPlatform().daemon().name("kvcache-files").unstarted(work);
    }

    @Override
    public <T> T call(Work<T> work) throws IOException {
        Future<T> future = threads.submit(work::run);
        boolean interrupted = false;
        try {
            while (true) {
                try {
                    return future.get();
                } catch (InterruptedException e) {
                    interrupted = true;
                }
            }
        } catch (ExecutionException e) {
            throw rethrown(Objects.requireNonNullElse(e.getCause(), e));
        } finally {
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }

    private static IOException rethrown(Throwable cause) {
        return switch (cause) {
            case IOException e -> e;
            case RuntimeException e -> throw e;
            case Error e -> throw e;
            default -> throw new IllegalStateException("file access threw", cause);
        };
    }

    @Override
    public BlockFile open(Path path, Opening opening) throws IOException {
        Set<StandardOpenOption> options = switch (opening) {
            case READ -> Set.of(StandardOpenOption.READ);
            case WRITE -> Set.of(StandardOpenOption.READ, StandardOpenOption.WRITE);
            case CREATE -> Set.of(StandardOpenOption.READ, StandardOpenOption.WRITE, StandardOpenOption.CREATE_NEW);
        };
        boolean restricted = opening == Opening.CREATE
                && path.getFileSystem().supportedFileAttributeViews().contains("posix");
        return new ChannelFile(
                restricted ? FileChannel.open(path, options, OWNER_ONLY) : FileChannel.open(path, options));
    }

    @Override
    public void syncDirectory(Path directory) throws IOException {
        if (WINDOWS) {
            return; // directories cannot be opened there
        }
        try (FileChannel channel = FileChannel.open(directory, StandardOpenOption.READ)) {
            channel.force(true);
        }
    }

    @Override
    public void close() {
        threads.shutdown();
    }

    private record ChannelFile(FileChannel channel) implements BlockFile {
        @Override
        public int read(MemorySegment target, long position) throws IOException {
            return Math.max(0, channel.read(target.asByteBuffer(), position));
        }

        @Override
        public int write(MemorySegment source, long position) throws IOException {
            return channel.write(source.asByteBuffer(), position);
        }

        @Override
        public void sync() throws IOException {
            channel.force(true);
        }

        @Override
        public void close() throws IOException {
            channel.close();
        }
    }
}
