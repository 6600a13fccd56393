package io.kvcache;

import static java.lang.foreign.ValueLayout.JAVA_SHORT;

/**
 * bfloat16, the upper half of binary32, rounded to nearest, ties to even.
 *
 * <p>Thread-safe: stateless.
 */
final class Bf16Codec extends ElementCodec {
    private static final int MAGNITUDE = 0x7fff_ffff;
    private static final int INFINITY = 0x7f80_0000;
    private static final int QUIET = 0x40; // of the upper half

    @Override
    void encode(float[] source, int from, CodecScratch scratch, int token) {
        scratch.floatsToBits(source, from);
        round(scratch.bits, scratch.elements());
        narrow(scratch.bits, scratch.shorts, scratch.elements());
        scratch.storeEncoded(scratch.shorts, JAVA_SHORT, token);
    }

    // Two loops: the JIT vectorises neither shifts that end in a short, nor what has branches.

    private static void round(int[] bits, int elements) {
        for (int i = 0; i < elements; i++) {
            int exact = bits[i];
            int rounded = (exact + 0x7fff + ((exact >>> 16) & 1)) >>> 16;
            int nan = (INFINITY - (exact & MAGNITUDE)) >> 31; // all ones, or none
            bits[i] = (rounded & ~nan) | (((exact >>> 16) | QUIET) & nan);
        }
    }

    private static void narrow(int[] bits, short[] upper, int elements) {
        for (int i = 0; i < elements; i++) {
            upper[i] = (short) bits[i];
        }
    }

    @Override
    void decode(CodecScratch scratch, int token, float[] destination, int to) {
        scratch.loadEncoded(token, JAVA_SHORT, scratch.shorts);
        widen(scratch.shorts, scratch.bits, scratch.elements());
        scratch.bitsToFloats(destination, to);
    }

    private static void widen(short[] upper, int[] bits, int elements) {
        for (int i = 0; i < elements; i++) {
            bits[i] = upper[i] << 16;
        }
    }
}
