package io.kvcache.demo;

/**
 * Reads metadata values of all types.
 *
 * <p>Not thread-safe: one thread at a time.
 */
final class GgufValueReader {
    /** Arrays in arrays are allowed by the format and used by no model; the reader recurses once for each level. */
    static final int MAXIMUM_ARRAY_DEPTH = 4;

    private final GgufCursor cursor;

    GgufValueReader(GgufCursor cursor) {
        this.cursor = cursor;
    }

    GgufValue read() {
        return read(cursor.valueType());
    }

    /** A value of {@code type}, which is no longer in front of it. */
    GgufValue read(GgufValueType type) {
        return switch (type) {
            case UINT8, INT8, UINT16, INT16, UINT32, INT32, UINT64, INT64 -> new GgufValue.Whole(type, whole(type));
            case FLOAT32, FLOAT64 -> new GgufValue.Real(type, real(type));
            case BOOL -> new GgufValue.Flag(type, flag());
            case STRING -> new GgufValue.Text(type, cursor.string());
            case ARRAY -> array(1);
        };
    }

    /** A floating-point number of {@code type}. */
    double real(GgufValueType type) {
        return type == GgufValueType.FLOAT32
                ? Float.intBitsToFloat(cursor.int32())
                : Double.longBitsToDouble(cursor.int64());
    }

    /** An integer of {@code type}; of an unsigned 64-bit one, the bits. */
    long whole(GgufValueType type) {
        return switch (type) {
            case UINT8 -> Byte.toUnsignedLong(cursor.int8());
            case INT8 -> cursor.int8();
            case UINT16 -> Short.toUnsignedLong(cursor.int16());
            case INT16 -> cursor.int16();
            case UINT32 -> Integer.toUnsignedLong(cursor.int32());
            case INT32 -> cursor.int32();
            default -> cursor.int64();
        };
    }

    private boolean flag() {
        long start = cursor.position();
        byte value = cursor.int8();
        if (value != 0 && value != 1) {
            throw cursor.failure("truth value is neither 0 nor 1", "value", value, "position", start);
        }
        return value == 1;
    }

    private GgufValue.Array array(int depth) {
        if (depth > MAXIMUM_ARRAY_DEPTH) {
            throw cursor.failure("arrays are nested too deeply", "depth", depth, "maximum", MAXIMUM_ARRAY_DEPTH);
        }
        GgufValueType elementType = cursor.valueType();
        int count = cursor.count("arrayCount", elementType.minimumBytes(), GgufCursor.MAXIMUM_ARRAY_COUNT);
        long start = cursor.position();
        skipElements(elementType, count, depth);
        return new GgufValue.Array(elementType, count, cursor.sliceFrom(start));
    }

    private void skipElements(GgufValueType elementType, int count, int depth) {
        if (elementType.isFixedSize() && elementType != GgufValueType.BOOL) {
            cursor.skip((long) count * elementType.minimumBytes());
            return;
        }
        for (int index = 0; index < count; index++) {
            skipElement(elementType, depth);
        }
    }

    private void skipElement(GgufValueType elementType, int depth) {
        switch (elementType) {
            case ARRAY -> array(depth + 1);
            case STRING -> cursor.string();
            default -> flag();
        }
    }
}
