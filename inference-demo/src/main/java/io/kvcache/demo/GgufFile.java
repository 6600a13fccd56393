package io.kvcache.demo;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Collection;
import java.util.Collections;
import java.util.Map;
import java.util.Optional;

/**
 * A model file in GGUF format, version 2 or 3, little-endian. Opening it reads and checks the metadata and the tensor
 * directory; the data of tensors are mapped, and read only when they are asked for.
 *
 * <p>A file that is damaged, cut short or made to harm gives a {@link GgufException}. The file must not be changed while
 * it is open.
 *
 * <p>Thread-safe. Reading tensors after {@link #close()} throws {@link IllegalStateException}, and so does closing while
 * a tensor is being read.
 */
public final class GgufFile implements AutoCloseable {
    private final Path path;
    private final Arena arena;
    private final int version;
    private final GgufMetadata metadata;
    private final Map<String, Tensor> tensors;

    private GgufFile(Path path, Arena arena, GgufParser.Contents contents) {
        this.path = path;
        this.arena = arena;
        this.version = contents.version();
        this.metadata = contents.metadata();
        this.tensors = Collections.unmodifiableMap(contents.tensors());
    }

    /** Maps and checks a file. */
    @SuppressWarnings("MustBeClosed") // the arena is closed by close()
    public static GgufFile open(Path path) {
        requireRegularFile(path);
        Arena arena = Arena.ofShared();
        try {
            return new GgufFile(path, arena, new GgufParser(path.toString(), map(path, arena)).parse());
        } catch (RuntimeException | Error failure) {
            arena.close();
            throw failure;
        }
    }

    /** The file. */
    public Path path() {
        return path;
    }

    /** The version of the format. */
    public int version() {
        return version;
    }

    /** The keys and values at the head of the file. */
    public GgufMetadata metadata() {
        return metadata;
    }

    /** All tensors, in the order of the file. */
    public Collection<Tensor> tensors() {
        return tensors.values();
    }

    /** The tensor of that name, which must exist. */
    public Tensor tensor(String name) {
        return findTensor(name).orElseThrow(() -> metadata.failure("tensor is missing", "tensor", name));
    }

    /** The tensor of that name, if it exists. */
    public Optional<Tensor> findTensor(String name) {
        return Optional.ofNullable(tensors.get(name));
    }

    /** Unmaps the file. Closing again does nothing. */
    @Override
    public void close() {
        if (arena.scope().isAlive()) {
            arena.close();
        }
    }

    /** Tests the kind of file first: opening a pipe would wait for its writer, and mapping a directory says little. */
    private static void requireRegularFile(Path path) {
        if (Files.notExists(path)) {
            throw GgufException.of(path.toString(), "file does not exist");
        }
        if (Files.isDirectory(path)) {
            throw GgufException.of(path.toString(), "file is a directory");
        }
        if (!Files.isRegularFile(path)) {
            throw GgufException.of(path.toString(), "file is not a regular file");
        }
    }

    private static MemorySegment map(Path path, Arena arena) {
        try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
            return channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
        } catch (IOException failure) {
            throw GgufException.of(path.toString(), "file cannot be read", "cause", failure);
        }
    }
}
