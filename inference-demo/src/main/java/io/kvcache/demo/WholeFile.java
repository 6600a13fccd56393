package io.kvcache.demo;

import java.io.File;
import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileStore;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.UUID;

/**
 * Files that options name and that appear whole or not at all: they are written under another name beside their place, and
 * then renamed. Whatever goes wrong is an {@link IllegalArgumentException}, and leaves nothing behind.
 *
 * <p>Thread-safe: stateless.
 */
final class WholeFile {
    /** Writes what the file is to hold. */
    @FunctionalInterface
    interface Content {
        /** Makes the file at {@code path}. */
        void write(Path path) throws IOException;
    }

    private WholeFile() {}

    /** Makes a file of {@code leastBytes} or more where none is, and returns its bytes. */
    static long create(Path file, long leastBytes, Content content) {
        requireDirectory(file);
        if (Files.exists(file, LinkOption.NOFOLLOW_LINKS)) {
            throw exists(file);
        }
        requireRoom(file, leastBytes);
        return write(file, content);
    }

    /** Makes a file of {@code leastBytes} or more, in place of one that may be there, and returns its bytes. */
    static long replace(Path file, long leastBytes, Content content) {
        requireDirectory(file);
        if (Files.exists(file, LinkOption.NOFOLLOW_LINKS) && !Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)) {
            throw new IllegalArgumentException("only a regular file is overwritten: out=" + file);
        }
        requireRoom(file, leastBytes);
        return write(file, content, StandardCopyOption.ATOMIC_MOVE);
    }

    private static void requireDirectory(Path file) {
        if (Files.isDirectory(file)) {
            throw new IllegalArgumentException("file is a directory: out=" + file);
        }
        Path directory = file.toAbsolutePath().getParent();
        if (directory == null || !Files.isDirectory(directory)) {
            throw new IllegalArgumentException("directory does not exist: out=" + file + " directory=" + directory);
        }
    }

    /** Tests for room before it is used up: a full disk harms others too. */
    private static void requireRoom(Path file, long leastBytes) {
        Path directory = file.toAbsolutePath().getParent();
        try {
            FileStore store = Files.getFileStore(directory == null ? file : directory);
            boolean known = store.getTotalSpace() > 0;
            if (known && store.getUsableSpace() < leastBytes) {
                throw new IllegalArgumentException("file is larger than the room that is left: out=" + file
                        + " leastBytes=" + leastBytes + " usableBytes=" + store.getUsableSpace());
            }
        } catch (IOException e) {
            throw cannotBeWritten(file, e);
        }
    }

    private static IllegalArgumentException cannotBeWritten(Path file, IOException cause) {
        return new IllegalArgumentException("file cannot be written: out=" + file + " cause=" + cause, cause);
    }

    private static IllegalArgumentException exists(Path file) {
        return new IllegalArgumentException("file exists, and only --force overwrites it: out=" + file);
    }

    private static long write(Path file, Content content, StandardCopyOption... options) {
        // Not Files.createTempFile: nobody else could read what that makes.
        File temporary = file.resolveSibling(file.getFileName() + "." + UUID.randomUUID() + ".tmp")
                .toFile();
        temporary.deleteOnExit(); // if the program is interrupted
        try {
            content.write(temporary.toPath());
            long bytes = temporary.length();
            Files.move(temporary.toPath(), file, options);
            return bytes;
        } catch (FileAlreadyExistsException e) {
            throw exists(file);
        } catch (IOException e) {
            throw cannotBeWritten(file, e);
        } finally {
            temporary.delete();
        }
    }
}
