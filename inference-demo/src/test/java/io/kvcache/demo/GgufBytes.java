package io.kvcache.demo;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * The bytes of a model file put together by hand, so that they may be wrong, and owe nothing to the code under test.
 *
 * <p>Not thread-safe: one thread at a time.
 */
final class GgufBytes {
    static final int STRING = 8;
    static final int ARRAY = 9;

    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

    /** The header of a version 3 file. */
    static GgufBytes header(long tensors, long keys) {
        return new GgufBytes().raw("GGUF").int32(3).int64(tensors).int64(keys);
    }

    GgufBytes int8(int value) {
        bytes.write(value);
        return this;
    }

    GgufBytes int16(int value) {
        return raw(buffer().putShort((short) value).flip());
    }

    GgufBytes int32(int value) {
        return raw(buffer().putInt(value).flip());
    }

    GgufBytes int64(long value) {
        return raw(buffer().putLong(value).flip());
    }

    GgufBytes string(String value) {
        return int64(value.getBytes(StandardCharsets.UTF_8).length).raw(value);
    }

    /** A key and the number of its value's type. */
    GgufBytes key(String key, int type) {
        return string(key).int32(type);
    }

    /** An entry of the tensor directory. */
    GgufBytes tensor(String name, int type, long offset, long... dimensions) {
        string(name).int32(dimensions.length);
        for (long dimension : dimensions) {
            int64(dimension);
        }
        return int32(type).int64(offset);
    }

    GgufBytes raw(String value) {
        return raw(ByteBuffer.wrap(value.getBytes(StandardCharsets.UTF_8)));
    }

    GgufBytes zeros(int count) {
        return raw(ByteBuffer.allocate(count));
    }

    GgufBytes pad(int alignment) {
        return zeros(Math.ceilDiv(bytes.size(), alignment) * alignment - bytes.size());
    }

    byte[] toArray() {
        return bytes.toByteArray();
    }

    Path write(Path path) {
        try {
            return Files.write(path, toArray());
        } catch (IOException failure) {
            throw new UncheckedIOException(failure);
        }
    }

    private GgufBytes raw(ByteBuffer content) {
        while (content.hasRemaining()) {
            bytes.write(content.get());
        }
        return this;
    }

    private static ByteBuffer buffer() {
        return ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    }
}
