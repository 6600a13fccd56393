package io.kvcache.demo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

/** A file that cannot be written to its end is not there, and what was there before still is. */
final class WholeFileTest {
    @TempDir
    private Path directory = Path.of("");

    private Path file() {
        return directory.resolve("file");
    }

    private List<String> files() throws IOException {
        try (Stream<Path> files = Files.list(directory)) {
            return files.map(path -> path.getFileName().toString()).toList();
        }
    }

    /** Writes half of the content, then finds the disk full. */
    private static void fillDisk(Path path) throws IOException {
        Files.writeString(path, "half");
        throw new IOException("No space left on device");
    }

    private void assertRefused(String message, WholeFile.Content content, boolean replace) {
        assertEquals(
                message,
                assertThrows(IllegalArgumentException.class, () -> {
                            if (replace) {
                                WholeFile.replace(file(), 1, content);
                            } else {
                                WholeFile.create(file(), 1, content);
                            }
                        })
                        .getMessage());
    }

    @Test
    void shouldLeaveNothingWhenTheDiskIsFull() throws IOException {
        String message =
                "file cannot be written: out=" + file() + " cause=java.io.IOException: No space left on device";
        assertRefused(message, WholeFileTest::fillDisk, false);
        assertRefused(message, WholeFileTest::fillDisk, true);
        assertEquals(List.of(), files());
        Files.writeString(file(), "before");
        assertRefused(message, WholeFileTest::fillDisk, true);
        assertEquals(List.of("file"), files());
        assertEquals("before", Files.readString(file()));
    }

    @Test
    void shouldNotStartWithAFileThatHasNoRoom() throws IOException {
        WholeFile.Content content = path -> fail("started");
        for (Executable call : List.<Executable>of(
                () -> WholeFile.create(file(), Long.MAX_VALUE, content),
                () -> WholeFile.replace(file(), Long.MAX_VALUE, content))) {
            String message =
                    "" + assertThrows(IllegalArgumentException.class, call).getMessage();
            assertTrue(
                    message.matches("file is larger than the room that is left: out=.*file leastBytes=" + Long.MAX_VALUE
                            + " usableBytes=\\d+"),
                    message);
        }
        assertEquals(List.of(), files());
    }

    @Test
    void shouldLeaveNothingWhenMemoryRunsOut() throws IOException {
        WholeFile.Content content = path -> {
            Files.writeString(path, "half");
            throw new OutOfMemoryError("row");
        };
        assertThrows(OutOfMemoryError.class, () -> WholeFile.create(file(), 1, content));
        assertEquals(List.of(), files());
    }

    @Test
    void shouldNotOverwriteAFileThatAppearsMeanwhile() throws IOException {
        WholeFile.Content content = path -> {
            Files.writeString(path, "new");
            Files.writeString(file(), "other");
        };
        assertRefused("file exists, and only --force overwrites it: out=" + file(), content, false);
        assertEquals("other", Files.readString(file()));
        assertEquals(List.of("file"), files());
    }

    @Test
    void shouldGiveTheFileTheUsualPermissions() throws IOException {
        Path usual = Files.writeString(directory.resolve("usual"), "");
        assertEquals(5, WholeFile.create(file(), 1, path -> Files.writeString(path, "whole")));
        assertEquals(
                PosixFilePermissions.toString(Files.getPosixFilePermissions(usual)),
                PosixFilePermissions.toString(Files.getPosixFilePermissions(file())));
    }

    @Test
    void shouldReplaceAFile() throws IOException {
        Files.writeString(file(), "before");
        assertEquals(5, WholeFile.replace(file(), 1, path -> Files.writeString(path, "after")));
        assertEquals("after", Files.readString(file()));
        assertEquals(List.of("file"), files());
    }
}
