package io.kvcache.demo;

import java.lang.foreign.MemorySegment;

/**
 * A metadata value. Scalars and strings are held; the elements of an array stay in the mapped file.
 *
 * <p>Immutable, hence thread-safe.
 */
sealed interface GgufValue {
    GgufValueType type();

    /** An integer of any width; the bits of an unsigned 64-bit one. */
    record Whole(GgufValueType type, long value) implements GgufValue {}

    /** A floating-point number of either width. */
    record Real(GgufValueType type, double value) implements GgufValue {}

    /** A truth value. */
    record Flag(GgufValueType type, boolean value) implements GgufValue {}

    /** A string. */
    record Text(GgufValueType type, String value) implements GgufValue {}

    /** An array whose elements have been checked to lie in {@code elements}. */
    record Array(GgufValueType elementType, int count, MemorySegment elements) implements GgufValue {
        @Override
        public GgufValueType type() {
            return GgufValueType.ARRAY;
        }
    }
}
