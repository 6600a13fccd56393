package io.kvcache;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.MemorySegment;

/**
 * IEEE 754 binary32: bits as they are.
 *
 * <p>Thread-safe: stateless.
 */
final class F32Codec extends ElementCodec {
    @Override
    void encode(float[] source, int from, CodecScratch scratch, int token) {
        long at = scratch.encodedOffset(token, 0);
        MemorySegment.copy(source, from, scratch.encoded, JAVA_FLOAT, at, scratch.elements());
    }

    @Override
    void decode(CodecScratch scratch, int token, float[] destination, int to) {
        long at = scratch.encodedOffset(token, 0);
        MemorySegment.copy(scratch.encoded, JAVA_FLOAT, at, destination, to, scratch.elements());
    }
}
