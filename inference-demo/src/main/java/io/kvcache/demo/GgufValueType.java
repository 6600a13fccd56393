package io.kvcache.demo;

import java.util.List;

/**
 * The types of a metadata value, in the order of their numbers in the file (0 to 12).
 *
 * <p>Immutable, hence thread-safe.
 */
enum GgufValueType {
    UINT8(1),
    INT8(1),
    UINT16(2),
    INT16(2),
    UINT32(4),
    INT32(4),
    FLOAT32(4),
    BOOL(1),
    STRING(Long.BYTES),
    ARRAY(Integer.BYTES + Long.BYTES),
    UINT64(8),
    INT64(8),
    FLOAT64(8);

    private static final List<GgufValueType> BY_NUMBER = List.of(values());

    private final int minimumBytes;

    GgufValueType(int minimumBytes) {
        this.minimumBytes = minimumBytes;
    }

    /** Bytes of a value; for strings and arrays, the bytes of an empty one. */
    int minimumBytes() {
        return minimumBytes;
    }

    /** Whether every value takes {@link #minimumBytes()}. */
    boolean isFixedSize() {
        return this != STRING && this != ARRAY;
    }

    boolean isReal() {
        return this == FLOAT32 || this == FLOAT64;
    }

    boolean isWhole() {
        return isFixedSize() && !isReal() && this != BOOL;
    }

    static boolean isKnown(int number) {
        return number >= 0 && number < BY_NUMBER.size();
    }

    static GgufValueType ofNumber(int number) {
        return BY_NUMBER.get(number);
    }
}
