package io.kvcache.tiers;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Locale;

/**
 * Files through the system calls of Linux, in the thread of the caller: no hand-over to another, and nothing that an
 * interrupt could close.
 *
 * <p>Thread-safe.
 */
final class NativeFileAccess implements FileAccess {
    /**
     * Whether there is such a system, and native access was enabled. Otherwise the JVM would print a warning, or
     * throw, as soon as {@link SystemCalls} is initialized.
     */
    static boolean isEnabled() {
        return System.getProperty("os.name").toLowerCase(Locale.ROOT).startsWith("linux")
                && ValueLayout.ADDRESS.byteSize() == Long.BYTES
                && NativeFileAccess.class.getModule().isNativeAccessEnabled();
    }

    @Override
    public <T> T call(Work<T> work) throws IOException {
        return work.run();
    }

    @Override
    public BlockFile open(Path path, Opening opening) throws IOException {
        int flags = switch (opening) {
            case READ -> SystemCalls.O_RDONLY;
            case WRITE -> SystemCalls.O_RDWR;
            case CREATE -> SystemCalls.O_RDWR | SystemCalls.O_CREAT | SystemCalls.O_EXCL;
        };
        return new NativeFile(path, SystemCalls.open(path, flags));
    }

    @Override
    public void syncDirectory(Path directory) throws IOException {
        int descriptor = SystemCalls.open(directory, SystemCalls.O_RDONLY);
        try {
            SystemCalls.sync(directory, descriptor);
        } finally {
            SystemCalls.close(directory, descriptor);
        }
    }

    @Override
    public void close() {
        // Has no threads.
    }

    private record NativeFile(Path path, int descriptor) implements BlockFile {
        @Override
        public int read(MemorySegment target, long position) throws IOException {
            return SystemCalls.read(path, descriptor, target, position);
        }

        @Override
        public int write(MemorySegment source, long position) throws IOException {
            return SystemCalls.write(path, descriptor, source, position);
        }

        @Override
        public void sync() throws IOException {
            SystemCalls.sync(path, descriptor);
        }

        @Override
        public void close() throws IOException {
            SystemCalls.close(path, descriptor);
        }
    }
}
