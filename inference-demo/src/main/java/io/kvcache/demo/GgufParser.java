package io.kvcache.demo;

import java.lang.foreign.MemorySegment;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Reads the head of a model file: magic, version, counts, metadata, tensor directory.
 *
 * <p>Not thread-safe: one thread at a time.
 */
final class GgufParser {
    /** What the head says. */
    record Contents(int version, GgufMetadata metadata, Map<String, Tensor> tensors) {}

    /** The bytes G, G, U, F. */
    private static final int MAGIC = 0x46554747;

    /** Versions 2 and 3 differ in the byte orders that they allow only; version 1 had 32-bit counts. */
    private static final int OLDEST_VERSION = 2;

    private static final int NEWEST_VERSION = 3;

    private static final String ALIGNMENT_KEY = "general.alignment";
    private static final int DEFAULT_ALIGNMENT = 32;

    /** Real files have some tens of keys and some hundreds or thousands of tensors. */
    static final int MAXIMUM_ENTRIES = 1 << 16;

    /** The bytes of a key's length, the value's type and the smallest value. */
    private static final int MINIMUM_KEY_AND_VALUE_BYTES = Long.BYTES + Integer.BYTES + 1;

    private final GgufCursor cursor;
    private final MemorySegment file;

    GgufParser(String source, MemorySegment file) {
        this.cursor = new GgufCursor(source, file);
        this.file = file;
    }

    Contents parse() {
        requireMagic();
        int version = version();
        int tensorCount = cursor.count("tensors", TensorDirectory.MINIMUM_ENTRY_BYTES, MAXIMUM_ENTRIES);
        int keyCount = cursor.count("keys", MINIMUM_KEY_AND_VALUE_BYTES, MAXIMUM_ENTRIES);
        GgufMetadata metadata = metadata(keyCount);
        TensorDirectory directory = new TensorDirectory(cursor, file, alignment(metadata));
        return new Contents(version, metadata, directory.read(tensorCount));
    }

    private void requireMagic() {
        if (file.byteSize() == 0) {
            throw cursor.failure("file is empty", "bytes", 0);
        }
        if (file.byteSize() < Integer.BYTES || cursor.int32() != MAGIC) {
            throw cursor.failure("file is not a GGUF file", "bytes", file.byteSize(), "expectedStart", "GGUF");
        }
    }

    private int version() {
        int version = cursor.int32();
        if (version < OLDEST_VERSION || version > NEWEST_VERSION) {
            throw cursor.failure(
                    "GGUF version is not supported",
                    "version",
                    Integer.toUnsignedString(version),
                    "oldest",
                    OLDEST_VERSION,
                    "newest",
                    NEWEST_VERSION);
        }
        return version;
    }

    private GgufMetadata metadata(int count) {
        GgufValueReader reader = new GgufValueReader(cursor);
        Map<String, GgufValue> values = new LinkedHashMap<>();
        for (int index = 0; index < count; index++) {
            String key = cursor.string();
            if (values.putIfAbsent(key, reader.read()) != null) {
                throw cursor.failure("metadata key is a duplicate", "key", key);
            }
        }
        return new GgufMetadata(cursor.source(), values);
    }

    private long alignment(GgufMetadata metadata) {
        long alignment = metadata.longValue(ALIGNMENT_KEY, DEFAULT_ALIGNMENT);
        if (alignment <= 0 || Long.bitCount(alignment) != 1) {
            throw cursor.failure("alignment is not a power of two", "alignment", alignment);
        }
        return alignment;
    }
}
