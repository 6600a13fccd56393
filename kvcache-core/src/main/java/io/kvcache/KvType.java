package io.kvcache;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.lang.foreign.MemorySegment;

/**
 * The type in which elements of keys and values are stored, in native byte order. Engines hand over and receive
 * 32-bit floats; the cache converts.
 *
 * <p>Thread-safe: immutable.
 */
public enum KvType {
    /** IEEE 754 binary32: what was written comes back bit for bit. */
    F32(4) {
        @Override
        void encode(float[] source, int from, int count, MemorySegment block, long offset) {
            MemorySegment.copy(source, from, block, JAVA_FLOAT, offset, count);
        }

        @Override
        void encode(MemorySegment source, long from, long count, MemorySegment block, long offset) {
            MemorySegment.copy(source, from, block, offset, count * Float.BYTES);
        }

        @Override
        void decode(MemorySegment block, long offset, int count, float[] destination, int from) {
            MemorySegment.copy(block, JAVA_FLOAT, offset, destination, from, count);
        }

        @Override
        void decode(MemorySegment block, long offset, long count, MemorySegment destination, long from) {
            MemorySegment.copy(block, offset, destination, from, count * Float.BYTES);
        }
    },

    /** IEEE 754 binary16: rounds to nearest, ties to even; from 65,520 on infinite. */
    F16(2) {
        @Override
        void encode(float[] source, int from, int count, MemorySegment block, long offset) {
            for (int i = 0; i < count; i++) {
                block.set(JAVA_SHORT, offset + (long) i * Short.BYTES, Float.floatToFloat16(source[from + i]));
            }
        }

        @Override
        void encode(MemorySegment source, long from, long count, MemorySegment block, long offset) {
            for (long i = 0; i < count; i++) {
                float element = source.get(JAVA_FLOAT_UNALIGNED, from + i * Float.BYTES);
                block.set(JAVA_SHORT, offset + i * Short.BYTES, Float.floatToFloat16(element));
            }
        }

        @Override
        void decode(MemorySegment block, long offset, int count, float[] destination, int from) {
            for (int i = 0; i < count; i++) {
                destination[from + i] = Float.float16ToFloat(block.get(JAVA_SHORT, offset + (long) i * Short.BYTES));
            }
        }

        @Override
        void decode(MemorySegment block, long offset, long count, MemorySegment destination, long from) {
            for (long i = 0; i < count; i++) {
                float element = Float.float16ToFloat(block.get(JAVA_SHORT, offset + i * Short.BYTES));
                destination.set(JAVA_FLOAT_UNALIGNED, from + i * Float.BYTES, element);
            }
        }
    },

    /** bfloat16, the upper half of binary32: rounds to nearest, ties to even; NaN stays NaN. */
    BF16(2),

    /** Integers from -127 to 127, times a scale that each head of each token has: a 127th of its greatest magnitude. */
    INT8(1);

    private final int bytes;

    KvType(int bytes) {
        this.bytes = bytes;
    }

    /**
     * Returns the size of one element.
     *
     * @return bytes
     */
    public int bytes() {
        return bytes;
    }

    /** Whether an element is a multiple of a scale that its head and token have. */
    boolean hasScales() {
        return this == INT8;
    }

    /** Stores {@code count} floats, from an index of {@code source} on, at a byte offset of {@code block}. */
    void encode(float[] source, int from, int count, MemorySegment block, long offset) {
        throw new UnsupportedOperationException(name());
    }

    /** Stores {@code count} floats, from a byte of {@code source} on, at a byte offset of {@code block}. */
    void encode(MemorySegment source, long from, long count, MemorySegment block, long offset) {
        throw new UnsupportedOperationException(name());
    }

    /** Loads {@code count} elements at a byte offset of {@code block} as floats, from an index of {@code destination} on. */
    void decode(MemorySegment block, long offset, int count, float[] destination, int from) {
        throw new UnsupportedOperationException(name());
    }

    /** Loads {@code count} elements at a byte offset of {@code block} as floats, from a byte of {@code destination} on. */
    void decode(MemorySegment block, long offset, long count, MemorySegment destination, long from) {
        throw new UnsupportedOperationException(name());
    }
}
