package io.kvcache;

/**
 * Converts between floats and the encoded elements of a type, for the heads of one token that a scratch has taken up.
 *
 * <p>Thread-safe: stateless; a scratch belongs to one thread.
 */
abstract class ElementCodec {
    static ElementCodec of(KvType type) {
        return switch (type) {
            case F32 -> new F32Codec();
            case F16 -> new F16Codec();
            case BF16 -> new Bf16Codec();
            case INT8 -> new Int8Codec();
        };
    }

    /** Encodes [heads][headSize] floats from an index of {@code source} on as a token of the scratch. */
    abstract void encode(float[] source, int from, CodecScratch scratch, int token);

    /** Whether the encoded tokens of the scratch hold neither infinity nor NaN; true for types of which nobody needs to know. */
    boolean isFinite(CodecScratch scratch, int tokens) {
        return true;
    }

    /** Decodes a token of the scratch to [heads][headSize] floats from an index of {@code destination} on. */
    abstract void decode(CodecScratch scratch, int token, float[] destination, int to);
}
