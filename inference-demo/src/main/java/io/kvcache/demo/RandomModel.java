package io.kvcache.demo;

import java.util.ArrayList;
import java.util.List;

/**
 * A Llama-type model of random weights, for measurements: it computes what a trained model of its sizes computes, and
 * means nothing. Equal sizes and seeds give equal files, to the last byte.
 *
 * <p>Immutable, hence thread-safe.
 */
final class RandomModel {
    /*
     * How large activations are, with weights of deviation d:
     *
     *     embedding            d = 1                                stream: 1 an element
     *     q, k, v, gate, up    d = 1 / sqrt(inputs)                 norm 1 -> 1 an element; attention scores about 1
     *     attn_output, down    d = 1 / sqrt(inputs * 2 * layers)    2 * layers summands of less than 1 / (2 * layers) in
     *                                                               variance: the last stream stays below sqrt(2)
     *     output               d = 2.5 / sqrt(inputs)               norm 1 -> logits of deviation 2.5
     *
     * Among some thousand logits of deviation 2.5 the best one stands out, as in a trained model, and the next token
     * changes it: a greedy continuation wanders. An output matrix shared with the embeddings would repeat one token.
     */
    private static final double LOGIT_DEVIATION = 2.5;

    /** A tensor whose elements are drawn. */
    private record Weights(String name, TensorType type, List<Long> dimensions, double mean, double deviation) {
        long elements() {
            return dimensions.stream().reduce(1L, Math::multiplyExact);
        }
    }

    private final LlamaShape shape;
    private final MadeUpVocabulary vocabulary;
    private final long seed;
    private final List<Weights> tensors = new ArrayList<>();
    private final long parameters;

    RandomModel(LlamaShape shape, MadeUpVocabulary vocabulary, long seed) {
        this.shape = shape;
        this.vocabulary = vocabulary;
        this.seed = seed;
        addTensors();
        this.parameters = tensors.stream().mapToLong(Weights::elements).reduce(0, Math::addExact);
    }

    /** Elements of all tensors. */
    long parameters() {
        return parameters;
    }

    /** What the tensors take in the file, padding and header apart. */
    long weightBytes() {
        return tensors.stream()
                .mapToLong(weights -> weights.type().bytes(weights.elements()))
                .reduce(0, Math::addExact);
    }

    private void addTensors() {
        int width = shape.width();
        addMatrix("token_embd", vocabulary.size(), width, 1);
        for (int layer = 0; layer < shape.layers(); layer++) {
            addLayer("blk." + layer + ".");
        }
        addNorm("output_norm");
        addMatrix("output", vocabulary.size(), width, LOGIT_DEVIATION / Math.sqrt(width));
    }

    private void addLayer(String prefix) {
        int width = shape.width();
        int hidden = shape.feedForwardWidth();
        int attended = shape.queryHeads() * shape.valueHeadSize();
        double intoStream = 1 / Math.sqrt(2.0 * shape.layers());
        addNorm(prefix + "attn_norm");
        addProjection(prefix + "attn_q", shape.queryHeads() * shape.keyHeadSize(), width, 1);
        addProjection(prefix + "attn_k", shape.kvHeads() * shape.keyHeadSize(), width, 1);
        addProjection(prefix + "attn_v", shape.kvHeads() * shape.valueHeadSize(), width, 1);
        addProjection(prefix + "attn_output", width, attended, intoStream);
        addNorm(prefix + "ffn_norm");
        addProjection(prefix + "ffn_gate", hidden, width, 1);
        addProjection(prefix + "ffn_up", hidden, width, 1);
        addProjection(prefix + "ffn_down", width, hidden, intoStream);
    }

    private void addNorm(String name) {
        tensors.add(new Weights(name + ".weight", TensorType.F32, List.of((long) shape.width()), 1, 0));
    }

    /** A matrix that makes inputs of deviation 1 outputs of deviation {@code gain}. */
    private void addProjection(String name, int outputs, int inputs, double gain) {
        addMatrix(name, outputs, inputs, gain / Math.sqrt(inputs));
    }

    private void addMatrix(String name, int rows, int columns, double deviation) {
        List<Long> dimensions = List.of((long) columns, (long) rows);
        tensors.add(new Weights(name + ".weight", TensorType.F16, dimensions, 0, deviation));
    }

    /** A writer of the model, to be used once: it draws the weights while it writes. */
    GgufWriter writer() {
        GgufWriter writer = new GgufWriter()
                .string("general.architecture", "llama")
                .string("general.name", "random-" + seed)
                .uint32("general.file_type", TensorType.F16.number());
        addShape(writer);
        addTokenizer(writer);
        NormalNumbers numbers = new NormalNumbers(seed);
        for (Weights weights : tensors) {
            writer.tensor(
                    weights.name(),
                    weights.type(),
                    weights.dimensions(),
                    (row, values) -> numbers.fill(values, weights.mean(), weights.deviation()));
        }
        return writer;
    }

    private void addShape(GgufWriter writer) {
        writer.uint32("llama.context_length", shape.contextTokens())
                .uint32("llama.embedding_length", shape.width())
                .uint32("llama.block_count", shape.layers())
                .uint32("llama.feed_forward_length", shape.feedForwardWidth())
                .uint32("llama.attention.head_count", shape.queryHeads())
                .uint32("llama.attention.head_count_kv", shape.kvHeads())
                .uint32("llama.attention.key_length", shape.keyHeadSize())
                .uint32("llama.attention.value_length", shape.valueHeadSize())
                .float32("llama.attention.layer_norm_rms_epsilon", shape.normEpsilon())
                .uint32("llama.rope.dimension_count", shape.keyHeadSize())
                .float32("llama.rope.freq_base", shape.ropeBase())
                .uint32("llama.vocab_size", vocabulary.size());
    }

    private void addTokenizer(GgufWriter writer) {
        writer.string("tokenizer.ggml.model", "llama")
                .string("tokenizer.ggml.pre", "default")
                .array("tokenizer.ggml.tokens", GgufValueType.STRING, vocabulary.pieces())
                .array("tokenizer.ggml.scores", GgufValueType.FLOAT32, vocabulary.scores())
                .array("tokenizer.ggml.token_type", GgufValueType.INT32, vocabulary.types())
                .uint32("tokenizer.ggml.bos_token_id", MadeUpVocabulary.BOS_ID)
                .uint32("tokenizer.ggml.eos_token_id", MadeUpVocabulary.EOS_ID)
                .uint32("tokenizer.ggml.unknown_token_id", MadeUpVocabulary.UNKNOWN_ID)
                .bool("tokenizer.ggml.add_bos_token", true)
                .bool("tokenizer.ggml.add_eos_token", false)
                .bool("tokenizer.ggml.add_space_prefix", false);
    }
}
