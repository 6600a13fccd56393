package io.kvcache.demo;

import io.kvcache.KvLayout;
import io.kvcache.Sequence;
import io.kvcache.attention.AttentionBatch;
import io.kvcache.attention.PagedAttention;
import io.kvcache.demo.Projections.Projection;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * A model of the Llama architecture: RMS norms, rotary positions, grouped-query attention, SwiGLU. Keys and values live in
 * a {@link Sequence}; the matrix products run on ND4J, the attention reads the sequence's blocks in place.
 *
 * <p>Not thread-safe: owns the activations of the rows that it is computing.
 */
public final class Llama implements Model, AutoCloseable {
    private final LlamaShape shape;
    private final int vocabularySize;
    private final Tensor embeddings; // [vocabulary][width], read row by row
    private final Projections projections;
    private final List<Layer> layers;
    private final RmsNorm outputNorm;
    private final Projection output;
    private final PagedAttention attention;
    private final AttentionBatch attending = new AttentionBatch();
    private final Rope rope;
    private final int maximumRows;

    // Activations of the rows in flight.
    private final float[] stream; // [rows][width] the residual stream
    private final float[] normed; // [rows][width]
    private final float[] queries; // [rows][queryHeads][keyHeadSize]
    private final float[] keys; // [rows][kvHeads][keyHeadSize]
    private final float[] values; // [rows][kvHeads][valueHeadSize]
    private final float[] attended; // [rows][queryHeads][valueHeadSize]
    private final float[] gate; // [rows][feedForwardWidth]
    private final float[] up; // [rows][feedForwardWidth]
    private final float[] delta; // [rows][width] what a sub-layer adds to the stream

    /** The weights of one transformer block. */
    private record Layer(
            RmsNorm attentionNorm,
            Projection query,
            Projection key,
            Projection value,
            Projection attentionOutput,
            RmsNorm feedForwardNorm,
            Projection gate,
            Projection up,
            Projection down) {}

    /**
     * Loads the weights, as F32, and runs one product, so that the native libraries are loaded and ready.
     *
     * @param file stays open as long as the model, which reads embeddings from it
     * @param layout of the sequences, from {@link LlamaShape#kvLayout}
     * @param maximumRows tokens that are computed at once
     * @throws GgufException if the model cannot be served, or tensors are missing, of another size, or unknown
     */
    public Llama(GgufFile file, KvLayout layout, int maximumRows) {
        this.shape = LlamaShape.of(file.metadata());
        this.maximumRows = maximumRows;
        Weights weights = new Weights(file);
        this.embeddings = weights.vocabulary("token_embd.weight", shape.width());
        this.vocabularySize = (int) embeddings.rows();
        this.projections = new Projections(maximumRows);
        try {
            this.layers = weights.layers(shape, projections);
            this.outputNorm = weights.norm("output_norm.weight", shape);
            this.output = projections.load(weights.optional("output.weight", vocabularySize, shape.width())
                    .orElse(embeddings));
            this.rope = new Rope(shape.keyHeadSize(), shape.ropeBase(), weights.ropeFactors(shape), maximumRows);
            weights.requireAllKnown();
        } catch (RuntimeException | Error e) {
            projections.close();
            throw e;
        }
        this.attention = new PagedAttention(layout, shape.queryHeads());
        this.stream = activations(shape.width());
        this.normed = activations(shape.width());
        this.queries = activations(shape.queryHeads() * shape.keyHeadSize());
        this.keys = activations(shape.kvHeads() * shape.keyHeadSize());
        this.values = activations(shape.kvHeads() * shape.valueHeadSize());
        this.attended = activations(shape.queryHeads() * shape.valueHeadSize());
        this.gate = activations(shape.feedForwardWidth());
        this.up = activations(shape.feedForwardWidth());
        this.delta = activations(shape.width());
        layers.getFirst().query.apply(normed, 1, queries);
    }

    private float[] activations(int width) {
        return new float[Math.multiplyExact(maximumRows, width)];
    }

    /** The sizes of the model. */
    public LlamaShape shape() {
        return shape;
    }

    @Override
    public int vocabularySize() {
        return vocabularySize;
    }

    @Override
    public int contextTokens() {
        return shape.contextTokens();
    }

    @Override
    public int maximumRows() {
        return maximumRows;
    }

    @Override
    public void forward(StepBatch batch, float[] logits) {
        int rows = batch.rows();
        if (rows < 1 || rows > maximumRows) {
            throw new IllegalArgumentException("rows out of range: rows=" + rows + " maximumRows=" + maximumRows);
        }
        for (int row = 0; row < rows; row++) {
            embeddings.readRows(checkToken(batch.token(row)), 1, stream, row * shape.width());
            rope.prepare(row, batch.position(row));
        }
        attending.clear();
        for (int entry = 0; entry < batch.sequences().size(); entry++) {
            Sequence sequence = batch.sequences().get(entry);
            attending.add(sequence, sequence.length(), batch.rowsBySequence()[entry]);
        }
        for (int layer = 0; layer < shape.layers(); layer++) {
            attend(batch, layer);
            feedForward(layers.get(layer), rows);
        }
        predict(batch, logits);
    }

    /** Computes what the rows that need logits predict, in one product. */
    private void predict(StepBatch batch, float[] logits) {
        int width = shape.width();
        for (int i = 0; i < batch.logits(); i++) {
            outputNorm.applyToRow(stream, batch.logitRow(i) * width, normed, i * width);
        }
        if (batch.logits() > 0) {
            output.apply(normed, batch.logits(), logits);
        }
    }

    /** Checks that all ids are in the vocabulary, as {@link #forward} does with those that it computes. */
    void checkTokens(int[] tokens) {
        for (int token : tokens) {
            checkToken(token);
        }
    }

    private int checkToken(int token) {
        if (token < 0 || token >= vocabularySize) {
            throw new IllegalArgumentException(
                    "token id outside the vocabulary: token=" + token + " vocabularySize=" + vocabularySize);
        }
        return token;
    }

    private void attend(StepBatch batch, int index) {
        Layer layer = layers.get(index);
        int rows = batch.rows();
        layer.attentionNorm.apply(stream, rows, normed);
        layer.query.apply(normed, rows, queries);
        layer.key.apply(normed, rows, keys);
        layer.value.apply(normed, rows, values);
        rope.rotate(queries, rows, shape.queryHeads());
        rope.rotate(keys, rows, shape.kvHeads());
        write(batch, index);
        attention.attend(attending, index, queries, 0, attended, 0);
        layer.attentionOutput.apply(attended, rows, delta);
        addDelta(rows);
    }

    private void write(StepBatch batch, int layer) {
        int row = 0;
        for (int entry = 0; entry < batch.sequences().size(); entry++) {
            Sequence sequence = batch.sequences().get(entry);
            int rows = batch.rowsBySequence()[entry];
            int keysFrom = row * shape.kvHeads() * shape.keyHeadSize();
            int valuesFrom = row * shape.kvHeads() * shape.valueHeadSize();
            sequence.write(layer, sequence.length(), rows, keys, keysFrom, values, valuesFrom);
            row += rows;
        }
    }

    private void feedForward(Layer layer, int rows) {
        layer.feedForwardNorm.apply(stream, rows, normed);
        layer.gate.apply(normed, rows, gate);
        layer.up.apply(normed, rows, up);
        for (int i = 0; i < rows * shape.feedForwardWidth(); i++) {
            gate[i] = gate[i] / (1 + (float) Math.exp(-gate[i])) * up[i];
        }
        layer.down.apply(gate, rows, delta);
        addDelta(rows);
    }

    private void addDelta(int rows) {
        for (int i = 0; i < rows * shape.width(); i++) {
            stream[i] += delta[i];
        }
    }

    /** Turns keys back by the angle of the positions that they have moved; a rotation for another position is nothing else. */
    @Override
    public void moveKeys(Sequence sequence, int by) {
        int end = sequence.length() + sequence.reserved();
        for (int from = sequence.length(); from < end; from += maximumRows) {
            int rows = Math.min(maximumRows, end - from);
            for (int row = 0; row < rows; row++) {
                rope.prepare(row, -by);
            }
            for (int layer = 0; layer < shape.layers(); layer++) {
                sequence.gather(layer, from, rows, keys, 0, values, 0);
                rope.rotate(keys, rows, shape.kvHeads());
                sequence.write(layer, from, rows, keys, 0, values, 0);
            }
        }
    }

    /** Frees the weights. */
    @Override
    public void close() {
        projections.close();
    }

    /** Takes tensors out of a file, checking their sizes and that none is left over. */
    private static final class Weights {
        private final GgufFile file;
        private final Set<String> taken = new HashSet<>();

        Weights(GgufFile file) {
            this.file = file;
        }

        List<Layer> layers(LlamaShape shape, Projections projections) {
            Layer[] layers = new Layer[shape.layers()];
            Arrays.setAll(layers, index -> layer("blk." + index + ".", shape, projections));
            return List.of(layers);
        }

        private Layer layer(String prefix, LlamaShape shape, Projections projections) {
            int width = shape.width();
            int hidden = shape.feedForwardWidth();
            int queryWidth = shape.queryHeads() * shape.keyHeadSize();
            int keyWidth = shape.kvHeads() * shape.keyHeadSize();
            int valueWidth = shape.kvHeads() * shape.valueHeadSize();
            int attendedWidth = shape.queryHeads() * shape.valueHeadSize();
            return new Layer(
                    norm(prefix + "attn_norm.weight", shape),
                    projections.load(matrix(prefix + "attn_q.weight", queryWidth, width)),
                    projections.load(matrix(prefix + "attn_k.weight", keyWidth, width)),
                    projections.load(matrix(prefix + "attn_v.weight", valueWidth, width)),
                    projections.load(matrix(prefix + "attn_output.weight", width, attendedWidth)),
                    norm(prefix + "ffn_norm.weight", shape),
                    projections.load(matrix(prefix + "ffn_gate.weight", hidden, width)),
                    projections.load(matrix(prefix + "ffn_up.weight", hidden, width)),
                    projections.load(matrix(prefix + "ffn_down.weight", width, hidden)));
        }

        /** Frequency factors (Llama 3.1), all 1 in a file that has none. */
        float[] ropeFactors(LlamaShape shape) {
            int pairs = shape.keyHeadSize() / 2;
            float[] ones = new float[pairs];
            Arrays.fill(ones, 1);
            return optional("rope_freqs.weight", 1, pairs).map(Tensor::toFloats).orElse(ones);
        }

        RmsNorm norm(String name, LlamaShape shape) {
            return new RmsNorm(matrix(name, 1, shape.width()).toFloats(), shape.normEpsilon());
        }

        Tensor vocabulary(String name, int columns) {
            Tensor tensor = file.tensor(name);
            if (tensor.rows() < 1 || tensor.rows() > Integer.MAX_VALUE) {
                throw file.metadata().failure("no usable vocabulary", "tensor", name, "rows", tensor.rows());
            }
            return matrix(name, (int) tensor.rows(), columns);
        }

        Optional<Tensor> optional(String name, int rows, int columns) {
            return file.findTensor(name).map(tensor -> matrix(name, rows, columns));
        }

        private Tensor matrix(String name, int rows, int columns) {
            Tensor tensor = file.tensor(name);
            if (tensor.rows() != rows || tensor.columns() != columns) {
                throw file.metadata()
                        .failure(
                                "tensor has another size",
                                "tensor",
                                name,
                                "dimensions",
                                tensor.dimensions(),
                                "rows",
                                rows,
                                "columns",
                                columns);
            }
            taken.add(name);
            return tensor;
        }

        /** A tensor that nobody asked for (a bias, an expert) means that the results would be wrong. */
        void requireAllKnown() {
            for (Tensor tensor : file.tensors()) {
                if (!taken.contains(tensor.name())) {
                    throw file.metadata().failure("tensor is not known to this decoder", "tensor", tensor.name());
                }
            }
        }
    }
}
