package io.kvcache.demo;

import io.kvcache.KvLayout;
import io.kvcache.KvType;

/**
 * The sizes and constants of a Llama-type model, as its file gives them.
 *
 * <p>Immutable, hence thread-safe.
 *
 * @param layers transformer blocks
 * @param width elements of the residual stream
 * @param queryHeads query heads
 * @param kvHeads K/V heads; each serves queryHeads / kvHeads query heads
 * @param keyHeadSize elements of one head's key and query, even
 * @param valueHeadSize elements of one head's value
 * @param feedForwardWidth elements between the two feed-forward projections
 * @param contextTokens positions that the model was made for
 * @param ropeBase base of the rotation frequencies
 * @param normEpsilon added to the mean square under the root
 */
public record LlamaShape(
        int layers,
        int width,
        int queryHeads,
        int kvHeads,
        int keyHeadSize,
        int valueHeadSize,
        int feedForwardWidth,
        int contextTokens,
        float ropeBase,
        float normEpsilon) {
    private static final String ARCHITECTURE = "llama";

    /** Reads the shape from a file's metadata; a {@link GgufException} says what is missing or cannot be served. */
    public static LlamaShape of(GgufMetadata metadata) {
        String architecture = metadata.string("general.architecture");
        if (!architecture.equals(ARCHITECTURE)) {
            throw metadata.failure(
                    "architecture is not supported", "general.architecture", architecture, "supported", ARCHITECTURE);
        }
        int width = positive(metadata, "llama.embedding_length");
        int queryHeads = positive(metadata, "llama.attention.head_count");
        int headSize = metadata.intValue("llama.attention.key_length", width / queryHeads);
        LlamaShape shape = new LlamaShape(
                positive(metadata, "llama.block_count"),
                width,
                queryHeads,
                metadata.intValue("llama.attention.head_count_kv", queryHeads),
                headSize,
                metadata.intValue("llama.attention.value_length", width / queryHeads),
                positive(metadata, "llama.feed_forward_length"),
                positive(metadata, "llama.context_length"),
                metadata.floatValue("llama.rope.freq_base", 10_000),
                metadata.floatValue("llama.attention.layer_norm_rms_epsilon"));
        shape.checkHeads(metadata);
        shape.checkRope(metadata);
        return shape;
    }

    private static int positive(GgufMetadata metadata, String key) {
        int value = metadata.intValue(key);
        if (value <= 0) {
            throw metadata.failure("must be positive", key, value);
        }
        return value;
    }

    private void checkHeads(GgufMetadata metadata) {
        if (kvHeads <= 0 || queryHeads % kvHeads != 0) {
            throw metadata.failure(
                    "query heads must be a multiple of K/V heads", "queryHeads", queryHeads, "kvHeads", kvHeads);
        }
        if (keyHeadSize <= 0 || keyHeadSize % 2 != 0 || valueHeadSize <= 0) {
            throw metadata.failure(
                    "head sizes must be positive, and even for keys",
                    "keyHeadSize",
                    keyHeadSize,
                    "valueHeadSize",
                    valueHeadSize);
        }
        if ((long) queryHeads * Math.max(keyHeadSize, valueHeadSize) > Integer.MAX_VALUE) {
            throw metadata.failure(
                    "heads have more elements than an int counts",
                    "queryHeads",
                    queryHeads,
                    "keyHeadSize",
                    keyHeadSize,
                    "valueHeadSize",
                    valueHeadSize);
        }
    }

    private void checkRope(GgufMetadata metadata) {
        int rotated = metadata.intValue("llama.rope.dimension_count", keyHeadSize);
        // A file may give a factor and no type: then it scales linearly. The second key is the older one.
        String scaling = metadata.string("llama.rope.scaling.type", "linear");
        float factor =
                metadata.floatValue("llama.rope.scaling.factor", metadata.floatValue("llama.rope.scale_linear", 1));
        boolean unscaled = scaling.equals("none") || (scaling.equals("linear") && factor == 1);
        if (rotated != keyHeadSize || !unscaled) {
            throw metadata.failure(
                    "only rotation of whole heads without scaling is supported",
                    "llama.rope.dimension_count",
                    rotated,
                    "keyHeadSize",
                    keyHeadSize,
                    "llama.rope.scaling.type",
                    scaling,
                    "factor",
                    factor);
        }
        boolean finite = Float.isFinite(ropeBase) && Float.isFinite(normEpsilon);
        if (!finite || ropeBase <= 0 || normEpsilon < 0) {
            throw metadata.failure("must be finite and positive", "ropeBase", ropeBase, "normEpsilon", normEpsilon);
        }
    }

    /** The layout of a cache for this model. */
    public KvLayout kvLayout(KvType type, int tokensPerBlock) {
        return KvLayout.builder()
                .layers(layers)
                .kvHeads(kvHeads)
                .headSizes(keyHeadSize, valueHeadSize)
                .type(type)
                .tokensPerBlock(tokensPerBlock)
                .build();
    }
}
