package io.kvcache;

/**
 * The type in which elements of keys and values are stored, in native byte order. Engines hand over and receive
 * 32-bit floats; the cache converts at write, once: whatever shares or copies a block takes elements and scales as they are.
 *
 * <p>Thread-safe: immutable.
 */
public enum KvType {
    /** IEEE 754 binary32: what was written comes back bit for bit. */
    F32(4),

    /** IEEE 754 binary16: rounds to nearest, ties to even; from 65,520 on infinite; NaN stays NaN. See {@link Sequence#isFinite}. */
    F16(2),

    /**
     * bfloat16, the upper half of binary32, with its range: rounds to nearest, ties to even; beyond the greatest finite value
     * infinite; NaN stays NaN.
     */
    BF16(2),

    /**
     * Integers q from -127 to 127, and a float scale for each head of each token: an element is scale x q. The scale is a 127th of the
     * head's greatest magnitude, and q the element divided by it, rounded to nearest, ties to even, so that an element
     * is off by at most half a scale. A head of zeros has scale 0. If any element of the head is NaN or infinite, its scale is
     * NaN, and all of the head reads as NaN. (A scale that would be subnormal is rounded up.)
     */
    INT8(1);

    private final int bytes;

    KvType(int bytes) {
        this.bytes = bytes;
    }

    /**
     * Returns the size of one element, scales apart.
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
}
