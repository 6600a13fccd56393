package io.kvcache.tiers;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/**
 * All that a store asks of a file system, and the seam where tests let it fail.
 *
 * <p>Thread-safe.
 */
interface FileAccess {
    /** What a file is opened for. */
    enum Opening {
        READ,
        WRITE,
        /** To be written and read; the file must not be there yet. */
        CREATE
    }

    /** A file of a directory and its size in bytes. */
    record Entry(Path path, long bytes) {}

    /** Work that reads and writes files. */
    @FunctionalInterface
    interface Work<T> {
        T run() throws IOException;
    }

    /** The best way to files that this process has. */
    static FileAccess ofSystem() {
        return NativeFileAccess.isEnabled() ? new NativeFileAccess() : new ChannelFileAccess();
    }

    /**
     * Runs work that reads, writes or syncs open files in a thread that may do so, and waits for its end: memory of
     * the caller is in use until then. An interrupt neither ends it nor gets lost.
     */
    <T> T call(Work<T> work) throws IOException;

    /** Opens a file. */
    BlockFile open(Path path, Opening opening) throws IOException;

    /** Deletes a file; one that is not there is as good as deleted. */
    default void delete(Path path) throws IOException {
        Files.deleteIfExists(path);
    }

    /** Gives a file another name in one step, in place of the file that had it. */
    default void rename(Path from, Path to) throws IOException {
        Files.move(from, to, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    }

    /** Lists the files of a directory, in no order. */
    default List<Entry> list(Path directory) throws IOException {
        try (Stream<Path> paths = Files.list(directory)) {
            return entries(paths);
        }
    }

    /** Those paths that are files. */
    static List<Entry> entries(Stream<Path> paths) throws IOException {
        List<Entry> entries = new ArrayList<>();
        try {
            for (Path path : (Iterable<Path>) paths::iterator) {
                if (Files.isRegularFile(path)) {
                    addEntry(entries, path);
                }
            }
        } catch (UncheckedIOException e) {
            throw new IOException("directory could not be listed: " + e.getMessage(), e);
        }
        return entries;
    }

    private static void addEntry(List<Entry> entries, Path path) throws IOException {
        try {
            entries.add(new Entry(path, Files.size(path)));
        } catch (NoSuchFileException e) {
            // Deleted by the owner of the directory while a reader looks.
            return;
        }
    }

    /**
     * Returns when names given, changed and taken away in a directory would survive a loss of power; for {@link
     * #call}.
     */
    void syncDirectory(Path directory) throws IOException;

    /** Lets go of threads. Comes after every other call has returned, and after every file was closed. */
    void close();
}
