package io.kvcache.demo;

import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;

/**
 * Files of text that options name.
 *
 * <p>Thread-safe: stateless.
 */
final class TextFile {
    private TextFile() {}

    /**
     * Reads a file.
     *
     * @param name what messages call it
     * @throws IllegalArgumentException if it cannot be read, or is not UTF-8
     */
    static String read(String name, Path file) {
        try {
            return Files.readString(file);
        } catch (NoSuchFileException e) {
            throw new IllegalArgumentException("file does not exist: " + name + "=" + file, e);
        } catch (CharacterCodingException e) {
            throw new IllegalArgumentException("file is not UTF-8: " + name + "=" + file, e);
        } catch (IOException e) {
            throw new IllegalArgumentException("file cannot be read: " + name + "=" + file + " cause=" + e, e);
        }
    }
}
