package io.kvcache.tiers;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Files that do what a test wants: fail, transfer less than they were asked to, or wait. A sync is counted, and not
 * done: it takes long, and no test can see what it does.
 *
 * <p>Thread-safe.
 */
final class FaultyFiles implements FileAccess {
    enum Kind {
        OPEN,
        READ,
        WRITE,
        SYNC,
        CLOSE,
        DELETE,
        RENAME,
        LIST,
        SYNC_DIRECTORY
    }

    /** A call, by its number from 0 on; the position is that of a read or write. */
    record Call(int number, Kind kind, Path path, long position) {}

    /** Decides how a call goes. */
    @FunctionalInterface
    interface Behaviour {
        Behaviour WELL = (call, bytes) -> bytes;

        /** Returns how many bytes to transfer at most, or throws. */
        long before(Call call, long bytes) throws IOException;
    }

    private final FileAccess files;
    private final AtomicInteger calls = new AtomicInteger();
    private final AtomicInteger open = new AtomicInteger();
    private volatile Behaviour behaviour = Behaviour.WELL;

    FaultyFiles(FileAccess files) {
        this.files = files;
    }

    void behave(Behaviour newBehaviour) {
        behaviour = newBehaviour;
    }

    int calls() {
        return calls.get();
    }

    int openFiles() {
        return open.get();
    }

    private long before(Kind kind, Path path, long bytes) throws IOException {
        return before(kind, path, 0, bytes);
    }

    private long before(Kind kind, Path path, long position, long bytes) throws IOException {
        return behaviour.before(new Call(calls.getAndIncrement(), kind, path, position), bytes);
    }

    @Override
    public <T> T call(Work<T> work) throws IOException {
        return files.call(work);
    }

    @Override
    public BlockFile open(Path path, Opening opening) throws IOException {
        before(Kind.OPEN, path, 0);
        BlockFile file = files.open(path, opening);
        open.incrementAndGet();
        return new FaultyFile(path, file);
    }

    @Override
    public void delete(Path path) throws IOException {
        before(Kind.DELETE, path, 0);
        files.delete(path);
    }

    @Override
    public void rename(Path from, Path to) throws IOException {
        before(Kind.RENAME, from, 0);
        files.rename(from, to);
    }

    @Override
    public List<Entry> list(Path directory) throws IOException {
        before(Kind.LIST, directory, 0);
        return files.list(directory);
    }

    @Override
    public void syncDirectory(Path directory) throws IOException {
        before(Kind.SYNC_DIRECTORY, directory, 0);
    }

    @Override
    public void close() {
        files.close();
    }

    private final class FaultyFile implements BlockFile {
        private final Path path;
        private final BlockFile file;

        FaultyFile(Path path, BlockFile file) {
            this.path = path;
            this.file = file;
        }

        @Override
        public int read(MemorySegment target, long position) throws IOException {
            long bytes = before(Kind.READ, path, position, target.byteSize());
            return bytes == 0 ? 0 : file.read(target.asSlice(0, bytes), position);
        }

        @Override
        public int write(MemorySegment source, long position) throws IOException {
            long bytes = before(Kind.WRITE, path, position, source.byteSize());
            return bytes == 0 ? 0 : file.write(source.asSlice(0, bytes), position);
        }

        @Override
        public void sync() throws IOException {
            before(Kind.SYNC, path, 0);
        }

        @Override
        public void close() throws IOException {
            open.decrementAndGet();
            try {
                before(Kind.CLOSE, path, 0);
            } finally {
                file.close();
            }
        }
    }
}
