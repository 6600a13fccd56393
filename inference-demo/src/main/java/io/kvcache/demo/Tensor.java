package io.kvcache.demo;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/**
 * A tensor of a model file. Its data stay in the file's mapping and are converted to F32 when they are read; a matrix is
 * {@code [rows][columns]}, where the columns are the first dimension.
 *
 * <p>Thread-safe. After the file is closed, reading throws {@link IllegalStateException}.
 *
 * @param source the file, for messages
 * @param name the tensor's name
 * @param dimensions its dimensions, the innermost first
 * @param type how the elements are stored
 * @param data the stored bytes; none if the type is not readable
 */
public record Tensor(String source, String name, List<Long> dimensions, TensorType type, MemorySegment data) {
    /** Elements converted at a time for a segment: 16 KiB of F32, which stays in the first-level cache. */
    private static final int CHUNK_ELEMENTS = 4096;

    /** Copies the list. */
    public Tensor {
        dimensions = List.copyOf(dimensions);
    }

    /** The innermost dimension, 1 for a scalar. */
    public long columns() {
        return dimensions.isEmpty() ? 1 : dimensions.getFirst();
    }

    /** The product of the other dimensions, 1 for a vector. */
    public long rows() {
        return elements() / columns();
    }

    /** The product of all dimensions. */
    public long elements() {
        return dimensions.stream().reduce(1L, Math::multiplyExact);
    }

    /** All elements, row after row. */
    public float[] toFloats() {
        requireReadable();
        requireRoom(elements(), Integer.MAX_VALUE - Long.BYTES);
        float[] floats = new float[(int) elements()];
        TensorDecoder.decode(type, data, 0, floats, 0, floats.length);
        return floats;
    }

    /** Puts {@code rowCount} rows from {@code firstRow} on into {@code destination}, at {@code offset}. */
    public void readRows(long firstRow, int rowCount, float[] destination, int offset) {
        requireReadable();
        requireRows(firstRow, rowCount);
        requireOffset(offset, destination.length);
        long count = rowCount * columns();
        requireRoom(count, destination.length - offset);
        TensorDecoder.decode(type, data, firstRow * columns(), destination, offset, (int) count);
    }

    /** Puts {@code rowCount} rows from {@code firstRow} on into {@code destination}, as floats in native order. */
    public void readRows(long firstRow, long rowCount, MemorySegment destination) {
        requireReadable();
        requireRows(firstRow, rowCount);
        long count = rowCount * columns();
        requireRoom(count, destination.byteSize() / Float.BYTES);
        float[] chunk = new float[(int) Math.min(count, CHUNK_ELEMENTS)];
        long first = firstRow * columns();
        for (long done = 0; done < count; done += chunk.length) {
            int length = (int) Math.min(chunk.length, count - done);
            TensorDecoder.decode(type, data, first + done, chunk, 0, length);
            MemorySegment.copy(chunk, 0, destination, ValueLayout.JAVA_FLOAT_UNALIGNED, done * Float.BYTES, length);
        }
    }

    private void requireReadable() {
        if (!type.isReadable()) {
            throw GgufException.of(source, "tensor type cannot be read", "tensor", name, "type", type);
        }
    }

    private void requireRows(long firstRow, long rowCount) {
        if (firstRow < 0 || rowCount < 0 || firstRow > rows() - rowCount) {
            throw new IndexOutOfBoundsException("rows lie outside the tensor: tensor=" + name + " firstRow=" + firstRow
                    + " rowCount=" + rowCount + " rows=" + rows());
        }
    }

    private void requireOffset(int offset, int length) {
        if (offset < 0 || offset > length) {
            throw new IndexOutOfBoundsException(
                    "offset lies outside the destination: tensor=" + name + " offset=" + offset + " length=" + length);
        }
    }

    private void requireRoom(long count, long room) {
        if (count > room) {
            throw new IndexOutOfBoundsException(
                    "destination is too small: tensor=" + name + " elements=" + count + " room=" + room);
        }
    }
}
