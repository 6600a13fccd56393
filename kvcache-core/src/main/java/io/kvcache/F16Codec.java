package io.kvcache;

import static java.lang.foreign.ValueLayout.JAVA_SHORT;

/**
 * IEEE 754 binary16, rounded to nearest, ties to even.
 *
 * <p>Thread-safe: stateless.
 */
final class F16Codec extends ElementCodec {
    @Override
    void encode(float[] source, int from, CodecScratch scratch, int token) {
        int elements = scratch.elements();
        short[] halves = scratch.shorts;
        for (int i = 0; i < elements; i++) {
            halves[i] = Float.floatToFloat16(source[from + i]);
        }
        scratch.storeEncoded(halves, JAVA_SHORT, token);
    }

    @Override
    boolean isFinite(CodecScratch scratch, int tokens) {
        return scratch.halvesAreFinite(tokens);
    }

    @Override
    void decode(CodecScratch scratch, int token, float[] destination, int to) {
        int elements = scratch.elements();
        short[] halves = scratch.shorts;
        scratch.loadEncoded(token, JAVA_SHORT, halves);
        for (int i = 0; i < elements; i++) {
            destination[to + i] = Float.float16ToFloat(halves[i]);
        }
    }
}
