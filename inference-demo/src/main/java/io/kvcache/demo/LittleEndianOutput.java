package io.kvcache.demo;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/**
 * Writes the scalar values of a GGUF file.
 *
 * <p>Not thread-safe: one thread at a time.
 */
final class LittleEndianOutput {
    private final OutputStream stream;
    private long position;

    LittleEndianOutput(OutputStream stream) {
        this.stream = stream;
    }

    void bytes(byte[] bytes) throws IOException {
        stream.write(bytes);
        position += bytes.length;
    }

    void int32(int value) throws IOException {
        low(value, Integer.BYTES);
    }

    void int64(long value) throws IOException {
        low(value, Long.BYTES);
    }

    void string(String value) throws IOException {
        byte[] bytes = value.getBytes(StandardCharsets.UTF_8);
        int64(bytes.length);
        bytes(bytes);
    }

    /** A value of {@code type} without the type in front. */
    void value(GgufValueType type, Object value) throws IOException {
        switch (type) {
            case STRING -> string((String) value);
            case BOOL -> low((Boolean) value ? 1 : 0, 1);
            case FLOAT32 -> int32(Float.floatToRawIntBits(((Number) value).floatValue()));
            case FLOAT64 -> int64(Double.doubleToRawLongBits(((Number) value).doubleValue()));
            case ARRAY -> throw new IllegalArgumentException("array is not a scalar: value=" + value);
            default -> low(((Number) value).longValue(), type.minimumBytes());
        }
    }

    /** Zeros up to a multiple of {@code alignment}. */
    void pad(long alignment) throws IOException {
        bytes(new byte[Math.toIntExact(Math.ceilDiv(position, alignment) * alignment - position)]);
    }

    /** The lowest {@code count} bytes of {@code value}. */
    private void low(long value, int count) throws IOException {
        ByteBuffer buffer =
                ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN).putLong(value);
        stream.write(buffer.array(), 0, count);
        position += count;
    }
}
