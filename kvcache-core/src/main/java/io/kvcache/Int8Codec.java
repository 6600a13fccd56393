package io.kvcache;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.util.Arrays;

/**
 * Integers times a scale that each head of each token has, a 127th of its greatest magnitude.
 *
 * <p>Thread-safe: stateless.
 */
final class Int8Codec extends ElementCodec {
    private static final int MAGNITUDE = 0x7fff_ffff;
    private static final int GREATEST = 127;

    /** Added to a small float and taken away again, it leaves an integer, rounded with ties to even: 1.5 x 2^23. */
    private static final float ROUNDER = 0x1.8p23f;

    @Override
    void encode(float[] source, int from, CodecScratch scratch, int token) {
        int heads = scratch.heads();
        int headSize = scratch.headSize();
        scratch.floatsToBits(source, from);
        for (int head = 0; head < heads; head++) {
            int at = head * headSize;
            float scale = scale(Float.intBitsToFloat(greatestMagnitude(scratch.bits, at, headSize)));
            scratch.scales[token * heads + head] = scale;
            if (scale > 0) {
                quantise(source, from + at, scale, scratch.bytes, at, headSize);
            } else { // zero, or NaN
                Arrays.fill(scratch.bytes, at, at + headSize, (byte) 0);
            }
        }
        scratch.storeEncoded(scratch.bytes, JAVA_BYTE, token);
    }

    /** Bits of magnitudes are in the order of magnitudes, NaN and infinity above all others. */
    private static int greatestMagnitude(int[] bits, int from, int count) {
        int greatest = 0;
        for (int i = 0; i < count; i++) {
            greatest = Math.max(greatest, bits[from + i] & MAGNITUDE);
        }
        return greatest;
    }

    /** The scale of a head: NaN for what is not finite. */
    private static float scale(float greatest) {
        if (!(greatest <= Float.MAX_VALUE)) {
            return Float.NaN;
        }
        float scale = greatest / GREATEST;
        // Subnormal ones are so coarse that elements could exceed 127 of them, unless they are rounded up.
        return (double) scale * GREATEST < greatest && scale < Float.MIN_NORMAL ? Math.nextUp(scale) : scale;
    }

    private static void quantise(float[] source, int from, float scale, byte[] bytes, int to, int count) {
        for (int i = 0; i < count; i++) {
            bytes[to + i] = (byte) (source[from + i] / scale + ROUNDER - ROUNDER);
        }
    }

    @Override
    void decode(CodecScratch scratch, int token, float[] destination, int to) {
        int heads = scratch.heads();
        int headSize = scratch.headSize();
        scratch.loadEncoded(token, JAVA_BYTE, scratch.bytes);
        for (int head = 0; head < heads; head++) {
            int at = head * headSize;
            scale(scratch.bytes, at, scratch.scales[token * heads + head], destination, to + at, headSize);
        }
    }

    private static void scale(byte[] bytes, int from, float scale, float[] destination, int to, int count) {
        for (int i = 0; i < count; i++) {
            destination[to + i] = scale * bytes[from + i];
        }
    }
}
