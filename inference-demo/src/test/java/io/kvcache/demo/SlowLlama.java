package io.kvcache.demo;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * The model from its definition, for tests: in double precision, token after token, without blocks, chunks or a library for
 * matrices.
 *
 * <p>Not thread-safe.
 */
final class SlowLlama {
    private final GgufFile file;
    private final LlamaShape shape;
    private final Map<String, float[]> loaded = new HashMap<>();
    private final List<List<double[]>> keys = new ArrayList<>(); // [layers][positions] of [kvHeads * keyHeadSize]
    private final List<List<double[]>> values = new ArrayList<>();

    SlowLlama(GgufFile file) {
        this.file = file;
        this.shape = LlamaShape.of(file.metadata());
        for (int layer = 0; layer < shape.layers(); layer++) {
            keys.add(new ArrayList<>());
            values.add(new ArrayList<>());
        }
    }

    /** The logarithm of the probability of each token but the first. */
    double[] logprobs(int[] tokens) {
        double[] logprobs = new double[tokens.length - 1];
        for (int position = 0; position < logprobs.length; position++) {
            double[] logits = logits(tokens[position], position);
            double sum = 0;
            for (double logit : logits) {
                sum += Math.exp(logit);
            }
            logprobs[position] = Math.log(Math.exp(logits[tokens[position + 1]]) / sum);
        }
        return logprobs;
    }

    private double[] logits(int token, int position) {
        double[] stream = new double[shape.width()];
        float[] embeddings = weights("token_embd.weight");
        for (int i = 0; i < stream.length; i++) {
            stream[i] = embeddings[token * stream.length + i];
        }
        for (int layer = 0; layer < shape.layers(); layer++) {
            String prefix = "blk." + layer + ".";
            add(stream, attended(norm(stream, prefix + "attn_norm"), layer, position));
            double[] normed = norm(stream, prefix + "ffn_norm");
            double[] hidden = product(prefix + "ffn_gate", normed);
            double[] up = product(prefix + "ffn_up", normed);
            for (int i = 0; i < hidden.length; i++) {
                hidden[i] *= up[i] / (1 + Math.exp(-hidden[i]));
            }
            add(stream, product(prefix + "ffn_down", hidden));
        }
        return product("output", norm(stream, "output_norm"));
    }

    private double[] attended(double[] normed, int layer, int position) {
        String prefix = "blk." + layer + ".";
        double[] queries = rotated(product(prefix + "attn_q", normed), position);
        keys.get(layer).add(rotated(product(prefix + "attn_k", normed), position));
        values.get(layer).add(product(prefix + "attn_v", normed));
        double[] attended = new double[shape.queryHeads() * shape.valueHeadSize()];
        for (int head = 0; head < shape.queryHeads(); head++) {
            int kvHead = head / (shape.queryHeads() / shape.kvHeads());
            double[] weights = new double[position + 1];
            double sum = 0;
            for (int other = 0; other <= position; other++) {
                double dot = 0;
                for (int i = 0; i < shape.keyHeadSize(); i++) {
                    dot += queries[head * shape.keyHeadSize() + i]
                            * keys.get(layer).get(other)[kvHead * shape.keyHeadSize() + i];
                }
                weights[other] = Math.exp(dot / Math.sqrt(shape.keyHeadSize()));
                sum += weights[other];
            }
            for (int other = 0; other <= position; other++) {
                for (int i = 0; i < shape.valueHeadSize(); i++) {
                    attended[head * shape.valueHeadSize() + i] +=
                            weights[other] / sum * values.get(layer).get(other)[kvHead * shape.valueHeadSize() + i];
                }
            }
        }
        return product(prefix + "attn_output", attended);
    }

    /** Each pair of neighbours is a complex number, to be multiplied by one of length 1. */
    private double[] rotated(double[] heads, int position) {
        double[] rotated = new double[heads.length];
        for (int i = 0; i < heads.length; i += 2) {
            double angle =
                    position * Math.pow(shape.ropeBase(), -(double) (i % shape.keyHeadSize()) / shape.keyHeadSize());
            rotated[i] = heads[i] * Math.cos(angle) - heads[i + 1] * Math.sin(angle);
            rotated[i + 1] = heads[i] * Math.sin(angle) + heads[i + 1] * Math.cos(angle);
        }
        return rotated;
    }

    private double[] norm(double[] input, String name) {
        double squares = 0;
        for (double element : input) {
            squares += element * element;
        }
        float[] weights = weights(name + ".weight");
        double[] normed = new double[input.length];
        for (int i = 0; i < input.length; i++) {
            normed[i] = input[i] / Math.sqrt(squares / input.length + shape.normEpsilon()) * weights[i];
        }
        return normed;
    }

    private double[] product(String name, double[] input) {
        float[] weights = weights(name + ".weight");
        double[] output = new double[weights.length / input.length];
        for (int row = 0; row < output.length; row++) {
            for (int i = 0; i < input.length; i++) {
                output[row] += weights[row * input.length + i] * input[i];
            }
        }
        return output;
    }

    private static void add(double[] stream, double[] delta) {
        for (int i = 0; i < stream.length; i++) {
            stream[i] += delta[i];
        }
    }

    private float[] weights(String name) {
        return loaded.computeIfAbsent(name, tensor -> file.tensor(tensor).toFloats());
    }
}
