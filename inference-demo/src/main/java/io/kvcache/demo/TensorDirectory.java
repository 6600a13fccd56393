package io.kvcache.demo;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Reads the list of tensors that follows the metadata, and finds each one's data.
 *
 * <p>Not thread-safe: one thread at a time.
 */
final class TensorDirectory {
    /*
     * header | metadata | directory: name, dimensions, type, offset | padding | data: tensor 0 | padding | tensor 1 ...
     *                                                               ^ dataStart, a multiple of the alignment
     *
     * Offsets count from dataStart, which is known only when the last entry has been read: entries are read first and
     * resolved afterwards.
     */
    private static final int MAXIMUM_DIMENSIONS = 4;

    /** Bytes of an entry with an empty name and no dimensions. */
    static final int MINIMUM_ENTRY_BYTES = Long.BYTES + Integer.BYTES + Integer.BYTES + Long.BYTES;

    private record Entry(String name, List<Long> dimensions, TensorType type, long offset) {}

    private final GgufCursor cursor;
    private final MemorySegment file;
    private final long alignment;

    TensorDirectory(GgufCursor cursor, MemorySegment file, long alignment) {
        this.cursor = cursor;
        this.file = file;
        this.alignment = alignment;
    }

    /** The next {@code count} entries, by name. */
    Map<String, Tensor> read(int count) {
        List<Entry> entries = entries(count);
        long dataStart = Math.ceilDiv(cursor.position(), alignment) * alignment;
        Map<String, Tensor> tensors = new LinkedHashMap<>();
        for (Entry entry : entries) {
            if (tensors.putIfAbsent(entry.name(), resolve(entry, dataStart)) != null) {
                throw cursor.failure("tensor name is a duplicate", "tensor", entry.name());
            }
        }
        return tensors;
    }

    private List<Entry> entries(int count) {
        List<Entry> entries = new ArrayList<>();
        for (int index = 0; index < count; index++) {
            String name = cursor.string();
            entries.add(new Entry(name, dimensions(name), TensorType.ofNumber(cursor.int32()), cursor.int64()));
        }
        return entries;
    }

    private List<Long> dimensions(String name) {
        int count = cursor.int32();
        if (count < 0 || count > MAXIMUM_DIMENSIONS) {
            throw cursor.failure(
                    "tensor has too many dimensions",
                    "tensor",
                    name,
                    "dimensions",
                    Integer.toUnsignedString(count),
                    "maximum",
                    MAXIMUM_DIMENSIONS);
        }
        List<Long> dimensions = new ArrayList<>();
        for (int index = 0; index < count; index++) {
            dimensions.add(dimension(name));
        }
        return dimensions;
    }

    private long dimension(String name) {
        long dimension = cursor.int64();
        if (dimension <= 0) {
            throw cursor.failure(
                    "tensor dimension is not positive", "tensor", name, "dimension", Long.toString(dimension));
        }
        return dimension;
    }

    private Tensor resolve(Entry entry, long dataStart) {
        long dataBytes = Math.max(0, file.byteSize() - dataStart);
        requireOffset(entry, dataBytes);
        long bytes = bytes(entry, dataBytes);
        if (bytes > dataBytes - entry.offset()) {
            throw outside(entry, bytes, dataBytes);
        }
        MemorySegment data = file.asSlice(Math.min(dataStart, file.byteSize()) + entry.offset(), bytes);
        return new Tensor(cursor.source(), entry.name(), entry.dimensions(), entry.type(), data.asReadOnly());
    }

    private void requireOffset(Entry entry, long dataBytes) {
        if (entry.offset() < 0 || entry.offset() > dataBytes) {
            throw outside(entry, 0, dataBytes);
        }
        if (entry.offset() % alignment != 0) {
            throw cursor.failure(
                    "tensor offset is not aligned",
                    "tensor",
                    entry.name(),
                    "offset",
                    entry.offset(),
                    "alignment",
                    alignment);
        }
    }

    private GgufException outside(Entry entry, long bytes, long dataBytes) {
        return cursor.failure(
                "tensor lies beyond the end of the file",
                "tensor",
                entry.name(),
                "offset",
                Long.toUnsignedString(entry.offset()),
                "bytes",
                bytes,
                "dataBytes",
                dataBytes);
    }

    /** Bytes of the tensor's data. Every limit is tested by division, so that nothing can overflow. */
    private long bytes(Entry entry, long dataBytes) {
        TensorType type = entry.type();
        requireWholeBlocks(entry);
        if (!type.isReadable()) {
            return type.bytes(elements(entry, Long.MAX_VALUE));
        }
        return type.bytes(elements(entry, dataBytes / type.blockBytes() * type.blockElements()));
    }

    private void requireWholeBlocks(Entry entry) {
        long columns = entry.dimensions().isEmpty() ? 1 : entry.dimensions().getFirst();
        if (columns % entry.type().blockElements() != 0) {
            throw cursor.failure(
                    "tensor row is not made of whole blocks",
                    "tensor",
                    entry.name(),
                    "columns",
                    columns,
                    "blockElements",
                    entry.type().blockElements());
        }
    }

    private long elements(Entry entry, long maximum) {
        long elements = 1;
        for (long dimension : entry.dimensions()) {
            if (dimension > maximum / elements) {
                throw cursor.failure(
                        "tensor has too many elements for the file",
                        "tensor",
                        entry.name(),
                        "dimensions",
                        entry.dimensions(),
                        "type",
                        entry.type(),
                        "maximumElements",
                        maximum);
            }
            elements *= dimension;
        }
        return elements;
    }
}
