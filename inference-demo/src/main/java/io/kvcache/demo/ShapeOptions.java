package io.kvcache.demo;

import picocli.CommandLine.Option;

/**
 * The options that give the sizes of a model to be made.
 *
 * <p>Not thread-safe.
 */
final class ShapeOptions {
    private static final float ROPE_BASE = 10_000;
    private static final float NORM_EPSILON = 1e-5f;

    /** A layer has nine tensors; besides, there are embeddings, the last norm and the output matrix. */
    private static final int LAYER_TENSORS = 9;

    private static final int OTHER_TENSORS = 3;

    /** A row is one array when it is written, and the longest arrays have some bytes less than an int counts. */
    private static final int LONGEST_ROW_ELEMENTS = (Integer.MAX_VALUE - Long.BYTES) / TensorType.F16.blockBytes();

    private static final String DEFAULT_BEHIND = " (default: ${DEFAULT-VALUE}).";

    @Option(
            names = "--dim",
            paramLabel = "D",
            defaultValue = "1024",
            description = "Elements of the residual stream" + DEFAULT_BEHIND)
    private int dim;

    @Option(
            names = "--layers",
            paramLabel = "L",
            defaultValue = "8",
            description = "Transformer blocks" + DEFAULT_BEHIND)
    private int layers;

    @Option(
            names = "--heads",
            paramLabel = "H",
            defaultValue = "16",
            description = "Query heads; the head size is D / H" + DEFAULT_BEHIND)
    private int heads;

    @Option(names = "--kv-heads", paramLabel = "K", defaultValue = "8", description = "K/V heads" + DEFAULT_BEHIND)
    private int kvHeads;

    @Option(
            names = "--ffn",
            paramLabel = "F",
            defaultValue = "2816",
            description = "Elements between the two feed-forward projections" + DEFAULT_BEHIND)
    private int ffn;

    @Option(
            names = "--vocab",
            paramLabel = "V",
            defaultValue = "4096",
            description = "Token ids: 3 special ones, 256 bytes, the space, made-up strings" + DEFAULT_BEHIND)
    private int vocab;

    @Option(
            names = "--context",
            paramLabel = "C",
            defaultValue = "4096",
            description = "Positions that the model serves" + DEFAULT_BEHIND)
    private int context;

    /** Checks the options. */
    LlamaShape shape() {
        requirePositive("dim", dim);
        requirePositive("layers", layers);
        requirePositive("heads", heads);
        requirePositive("kvHeads", kvHeads);
        requirePositive("ffn", ffn);
        requirePositive("context", context);
        requireHeads();
        requireReadable();
        return new LlamaShape(
                layers, dim, heads, kvHeads, dim / heads, dim / heads, ffn, context, ROPE_BASE, NORM_EPSILON);
    }

    MadeUpVocabulary vocabulary() {
        return new MadeUpVocabulary(vocab);
    }

    private static void requirePositive(String name, int value) {
        if (value < 1) {
            throw new IllegalArgumentException("must be positive: " + name + "=" + value);
        }
    }

    private void requireHeads() {
        if (heads % kvHeads != 0) {
            throw new IllegalArgumentException(
                    "query heads must be a multiple of K/V heads: heads=" + heads + " kvHeads=" + kvHeads);
        }
        if (dim % heads != 0) {
            throw new IllegalArgumentException("dim must be a multiple of heads: dim=" + dim + " heads=" + heads);
        }
        if (dim / heads % 2 != 0) {
            throw new IllegalArgumentException(
                    "head size must be even: dim=" + dim + " heads=" + heads + " headSize=" + dim / heads);
        }
    }

    private void requireReadable() {
        if (Math.max(dim, ffn) > LONGEST_ROW_ELEMENTS) {
            throw new IllegalArgumentException("row has more bytes than an int counts: dim=" + dim + " ffn=" + ffn
                    + " maximum=" + LONGEST_ROW_ELEMENTS);
        }
        long tensors = (long) LAYER_TENSORS * layers + OTHER_TENSORS;
        if (tensors > GgufParser.MAXIMUM_ENTRIES) {
            throw new IllegalArgumentException("more tensors than the reader of model files takes: layers=" + layers
                    + " tensors=" + tensors + " maximum=" + GgufParser.MAXIMUM_ENTRIES);
        }
        // In floating point, since the product may exceed a long: 4 bytes an element leave room for padding.
        double layerElements = (2.0 * dim + 2.0 * dim / heads * kvHeads + 3.0 * ffn) * dim;
        if (4 * (layers * layerElements + 2.0 * vocab * dim) > 0x1p63) {
            throw new IllegalArgumentException("model has more bytes than a long counts: dim=" + dim + " layers="
                    + layers + " ffn=" + ffn + " vocab=" + vocab);
        }
    }
}
