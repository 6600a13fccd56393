package io.kvcache.attention;

import io.kvcache.KvLayout;
import io.kvcache.Sequence;

/**
 * Attention as the textbook has it, in double precision, over dense copies of what a sequence holds: the model that kernels are
 * compared with.
 *
 * <p>Not thread-safe.
 */
final class Reference {
    private final KvLayout layout;
    private final int queryHeads;
    private final AttentionOptions options;

    /** Of the row computed last. */
    final double[] output; // [queryHeads][valueHeadSize]

    final double[] logSumExp; // [queryHeads]

    /** The greatest size of a product in each score, what rounding errors are proportional to. */
    double scoreSize;

    double valueSize;

    Reference(KvLayout layout, int layer, int queryHeads, AttentionOptions options) {
        this.layout = layout;
        this.queryHeads = queryHeads;
        this.options = options;
        this.output = new double[queryHeads * layout.valueHeadSize(layer)];
        this.logSumExp = new double[queryHeads];
    }

    /** Lets one position attend to those from..to that its options let it see. */
    void attend(Sequence sequence, int layer, int position, int from, int to, float[] queries, int queryFrom) {
        int count = position + 1;
        float[] keys = new float[count * layout.keyWidth(layer)];
        float[] values = new float[count * layout.valueWidth(layer)];
        sequence.gather(layer, 0, count, keys, 0, values, 0);
        scoreSize = 0;
        valueSize = 0;
        for (int head = 0; head < queryHeads; head++) {
            attendHead(layer, head, position, from, Math.min(to, count), queries, queryFrom, keys, values);
        }
    }

    private boolean sees(int position, int other) {
        return options.window() == 0 || other < options.sinks() || other > position - options.window();
    }

    private void attendHead(
            int layer,
            int head,
            int position,
            int from,
            int to,
            float[] queries,
            int queryFrom,
            float[] keys,
            float[] values) {
        int kvHeads = layout.kvHeads(layer);
        int kvHead = head / (queryHeads / kvHeads);
        int keySize = layout.keyHeadSize(layer);
        int size = layout.valueHeadSize(layer);
        double scale = options.scale() > 0 ? options.scale() : 1 / Math.sqrt(keySize);
        double[] scores = new double[position + 1];
        double greatest = Double.NEGATIVE_INFINITY;
        for (int other = from; other < to; other++) {
            if (sees(position, other)) {
                double dot = 0;
                double absolute = 0;
                for (int i = 0; i < keySize; i++) {
                    double product = (double) queries[queryFrom + head * keySize + i]
                            * keys[(other * kvHeads + kvHead) * keySize + i];
                    dot += product;
                    absolute += Math.abs(product);
                }
                double score = scale * dot;
                scoreSize = Math.max(scoreSize, scale * absolute);
                scores[other] =
                        options.softCap() > 0 ? options.softCap() * Math.tanh(score / options.softCap()) : score;
                greatest = Math.max(greatest, scores[other]);
            }
        }
        double sum = 0;
        double[] weighted = new double[size];
        for (int other = from; other < to; other++) {
            if (sees(position, other)) {
                double weight = Math.exp(scores[other] - greatest);
                sum += weight;
                for (int i = 0; i < size; i++) {
                    double value = values[(other * kvHeads + kvHead) * size + i];
                    weighted[i] += weight * value;
                    valueSize = Math.max(valueSize, Math.abs(value));
                }
            }
        }
        logSumExp[head] = greatest + Math.log(sum);
        for (int i = 0; i < size; i++) {
            output[head * size + i] = greatest == Double.NEGATIVE_INFINITY ? 0 : weighted[i] / sum;
        }
    }
}
