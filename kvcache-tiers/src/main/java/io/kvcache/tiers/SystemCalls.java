package io.kvcache.tiers;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.VarHandle;
import java.nio.file.AccessDeniedException;
import java.nio.file.Path;

/**
 * The system calls of a 64-bit Linux that files need. A call that a signal has interrupted is made again; one that
 * fails throws an {@link IOException} that names call, file and error.
 *
 * <p>Thread-safe.
 */
@SuppressWarnings("restricted") // used only if native access was enabled
final class SystemCalls {
    // Of Linux, the same on x86-64 and AArch64.
    static final int O_RDONLY = 0;
    static final int O_RDWR = 2;
    static final int O_CREAT = 0x40;
    static final int O_EXCL = 0x80;
    private static final int O_CLOEXEC = 0x80000;
    private static final int OWNER_READS_AND_WRITES = 0600;

    private static final int EINTR = 4;
    private static final int EPERM = 1;
    private static final int EIO = 5;
    private static final int EACCES = 13;
    private static final int ENOSPC = 28;

    private static final StructLayout STATE = Linker.Option.captureStateLayout();
    private static final VarHandle ERRNO = STATE.varHandle(MemoryLayout.PathElement.groupElement("errno"));
    private static final MethodHandle OPEN = handle(
            "open", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT), Linker.Option.firstVariadicArg(2));
    private static final MethodHandle READ =
            handle("pread", FunctionDescriptor.of(JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG, JAVA_LONG));
    private static final MethodHandle WRITE =
            handle("pwrite", FunctionDescriptor.of(JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG, JAVA_LONG));
    private static final MethodHandle SYNC = handle("fsync", FunctionDescriptor.of(JAVA_INT, JAVA_INT));
    private static final MethodHandle CLOSE = handle("close", FunctionDescriptor.of(JAVA_INT, JAVA_INT));

    /** A call that wants to be told where its error goes. */
    @FunctionalInterface
    private interface Call {
        long make(MemorySegment state) throws Throwable;
    }

    private SystemCalls() {}

    private static MethodHandle handle(String name, FunctionDescriptor descriptor, Linker.Option... options) {
        Linker linker = Linker.nativeLinker();
        Linker.Option[] all = new Linker.Option[options.length + 1];
        System.arraycopy(options, 0, all, 1, options.length);
        all[0] = Linker.Option.captureCallState("errno");
        return linker.downcallHandle(linker.defaultLookup().findOrThrow(name), descriptor, all);
    }

    static int open(Path path, int flags) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment name = arena.allocateFrom(path.toString());
            return (int) make("open", path, state ->
                    (int) OPEN.invokeExact(state, name, flags | O_CLOEXEC, OWNER_READS_AND_WRITES));
        }
    }

    static int read(Path path, int descriptor, MemorySegment target, long position) throws IOException {
        return (int) make("pread", path, state ->
                (long) READ.invokeExact(state, descriptor, target, target.byteSize(), position));
    }

    static int write(Path path, int descriptor, MemorySegment source, long position) throws IOException {
        return (int) make("pwrite", path, state ->
                (long) WRITE.invokeExact(state, descriptor, source, source.byteSize(), position));
    }

    static void sync(Path path, int descriptor) throws IOException {
        make("fsync", path, state -> (int) SYNC.invokeExact(state, descriptor));
    }

    /** Closes, once: after an interrupt the descriptor is gone and may be another file's already. */
    static void close(Path path, int descriptor) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment state = arena.allocate(STATE);
            if ((int) CLOSE.invokeExact(state, descriptor) < 0 && error(state) != EINTR) {
                throw failure("close", path, error(state));
            }
        } catch (Throwable e) {
            throw rethrown(e);
        }
    }

    private static long make(String name, Path path, Call call) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment state = arena.allocate(STATE);
            while (true) {
                long result = call.make(state);
                if (result >= 0) {
                    return result;
                }
                if (error(state) != EINTR) {
                    throw failure(name, path, error(state));
                }
            }
        } catch (Throwable e) {
            throw rethrown(e);
        }
    }

    private static int error(MemorySegment state) {
        return (int) ERRNO.get(state, 0L);
    }

    private static IOException failure(String name, Path path, int error) {
        String meaning = switch (error) {
            case EPERM, EACCES -> " (permission denied)";
            case EIO -> " (input/output error)";
            case ENOSPC -> " (no space left on device)";
            default -> "";
        };
        String message = "system call failed: call=" + name + " errno=" + error + meaning;
        return error == EPERM || error == EACCES
                ? new AccessDeniedException(path.toString(), null, message)
                : new IOException(message + " file=" + path);
    }

    private static IOException rethrown(Throwable thrown) {
        return switch (thrown) {
            case IOException e -> e;
            case RuntimeException e -> throw e;
            case Error e -> throw e;
            default -> throw new IllegalStateException("a system call threw", thrown);
        };
    }
}
