package io.kvcache.demo;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Writes model files in GGUF format: first the metadata and tensors are named, then {@link #write} lays them out. Values
 * of tensors are asked for row by row while they are written, so a file may be larger than the heap.
 *
 * <p>Not thread-safe: one thread at a time.
 */
final class GgufWriter {
    /** Gives the values of a tensor's rows, which are asked for once each and in order. */
    @FunctionalInterface
    interface Rows {
        /** Puts the values of a row into {@code destination}, whose length is the tensor's columns. */
        void read(long row, float[] destination);
    }

    private record Value(GgufValueType type, Object value) {}

    private record Values(GgufValueType elementType, List<?> elements) {}

    private record Content(List<Long> dimensions, TensorType type, Rows rows) {
        int columns() {
            return Math.toIntExact(dimensions.isEmpty() ? 1 : dimensions.getFirst());
        }

        long rowCount() {
            return dimensions.stream().skip(1).reduce(1L, Math::multiplyExact);
        }

        long bytes() {
            return Math.multiplyExact(rowCount(), type.bytes(columns()));
        }
    }

    private static final String ALIGNMENT_KEY = "general.alignment";
    private static final int DEFAULT_ALIGNMENT = 32;

    private final Map<String, Object> metadata = new LinkedHashMap<>();
    private final Map<String, Content> tensors = new LinkedHashMap<>();
    private int version = 3;
    private long alignment = DEFAULT_ALIGNMENT;

    /** The version in the header; 3 unless told otherwise. */
    GgufWriter version(int newVersion) {
        version = newVersion;
        return this;
    }

    /** The alignment of tensors, a power of two, which becomes metadata too; 32 unless told otherwise. */
    GgufWriter alignment(int bytes) {
        alignment = bytes;
        return uint32(ALIGNMENT_KEY, bytes);
    }

    /** A string. */
    GgufWriter string(String key, String value) {
        return value(key, GgufValueType.STRING, value);
    }

    /** An unsigned 32-bit integer. */
    GgufWriter uint32(String key, long value) {
        return value(key, GgufValueType.UINT32, value);
    }

    /** A 32-bit floating-point number. */
    GgufWriter float32(String key, float value) {
        return value(key, GgufValueType.FLOAT32, value);
    }

    /** A truth value. */
    GgufWriter bool(String key, boolean value) {
        return value(key, GgufValueType.BOOL, value);
    }

    /** A value of any type but an array: a Number, Boolean or String, of which the type's low bits are written. */
    GgufWriter value(String key, GgufValueType type, Object value) {
        return put(key, new Value(type, value));
    }

    /** An array of any type but of arrays. The elements are read when the file is written, so they need not be in memory. */
    GgufWriter array(String key, GgufValueType elementType, List<?> elements) {
        return put(key, new Values(elementType, elements));
    }

    private GgufWriter put(String key, Object value) {
        if (metadata.putIfAbsent(key, value) != null) {
            throw new IllegalArgumentException("metadata key is a duplicate: key=" + key);
        }
        return this;
    }

    /** A tensor whose values are {@code values}, row after row; the innermost dimension comes first. */
    GgufWriter tensor(String name, TensorType type, List<Long> dimensions, float... values) {
        Content content = new Content(
                dimensions,
                type,
                (row, destination) -> System.arraycopy(
                        values, Math.toIntExact(row * destination.length), destination, 0, destination.length));
        if (content.rowCount() * content.columns() != values.length) {
            throw new IllegalArgumentException("values do not fill the tensor: tensor=" + name + " dimensions="
                    + dimensions + " values=" + values.length);
        }
        return tensor(name, content);
    }

    /** A tensor whose values are asked for when they are written; the innermost dimension comes first. */
    GgufWriter tensor(String name, TensorType type, List<Long> dimensions, Rows rows) {
        return tensor(name, new Content(dimensions, type, rows));
    }

    private GgufWriter tensor(String name, Content content) {
        if (!content.type().isReadable() || content.columns() % content.type().blockElements() != 0) {
            throw new IllegalArgumentException("tensor cannot be stored as that type: tensor=" + name + " type="
                    + content.type() + " columns=" + content.columns());
        }
        if (tensors.putIfAbsent(name, content) != null) {
            throw new IllegalArgumentException("tensor name is a duplicate: tensor=" + name);
        }
        return this;
    }

    /** Writes the file, in place of an existing one. */
    void write(Path path) throws IOException {
        try (OutputStream stream = new BufferedOutputStream(Files.newOutputStream(path))) {
            LittleEndianOutput output = new LittleEndianOutput(stream);
            writeHeader(output);
            writeDirectory(output);
            output.pad(alignment);
            for (Content content : tensors.values()) {
                writeData(output, content);
                output.pad(alignment);
            }
        }
    }

    private void writeHeader(LittleEndianOutput output) throws IOException {
        output.bytes(new byte[] {'G', 'G', 'U', 'F'});
        output.int32(version);
        output.int64(tensors.size());
        output.int64(metadata.size());
        for (Map.Entry<String, Object> entry : metadata.entrySet()) {
            output.string(entry.getKey());
            writeValue(output, entry.getValue());
        }
    }

    private static void writeValue(LittleEndianOutput output, Object value) throws IOException {
        if (value instanceof Values(GgufValueType elementType, List<?> elements)) {
            output.int32(numberOf(GgufValueType.ARRAY));
            output.int32(numberOf(elementType));
            output.int64(elements.size());
            for (Object element : elements) {
                output.value(elementType, element);
            }
        } else if (value instanceof Value(GgufValueType type, Object scalar)) {
            output.int32(numberOf(type));
            output.value(type, scalar);
        }
    }

    private static int numberOf(GgufValueType type) {
        return List.of(GgufValueType.values()).indexOf(type);
    }

    private void writeDirectory(LittleEndianOutput output) throws IOException {
        long offset = 0;
        for (Map.Entry<String, Content> entry : tensors.entrySet()) {
            Content content = entry.getValue();
            output.string(entry.getKey());
            output.int32(content.dimensions().size());
            for (long dimension : content.dimensions()) {
                output.int64(dimension);
            }
            output.int32(content.type().number());
            output.int64(offset);
            offset += Math.ceilDiv(content.bytes(), alignment) * alignment;
        }
    }

    private static void writeData(LittleEndianOutput output, Content content) throws IOException {
        float[] values = new float[content.columns()];
        for (long row = 0; row < content.rowCount(); row++) {
            content.rows().read(row, values);
            output.bytes(TensorEncoder.encode(content.type(), values));
        }
    }
}
