package io.kvcache.bench;

/**
 * Decode attention as plain Java engines write it: keys and values of a layer in one array of the Java heap each, as long as the
 * context, and loops over single floats. The JIT makes vectors of the sum over values; a sum of products it keeps in order.
 *
 * <p>Not thread-safe: owns the scores.
 */
final class HeapAttention {
    private final int group; // query heads to a K/V head
    private final int queryHeads;
    private final int headSize;
    private final int width; // of a row: kvHeads * headSize
    private final float scale;
    private final float[] scores; // [tokens]

    HeapAttention(int queryHeads, int kvHeads, int headSize, int tokens) {
        this.group = queryHeads / kvHeads;
        this.queryHeads = queryHeads;
        this.headSize = headSize;
        this.width = kvHeads * headSize;
        this.scale = (float) (1 / Math.sqrt(headSize));
        this.scores = new float[tokens];
    }

    /**
     * Attends to all tokens.
     *
     * @param keys [tokens][kvHeads * headSize]
     * @param values [tokens][kvHeads * headSize]
     * @param query [queryHeads][headSize]
     * @param output [queryHeads][headSize], overwritten
     */
    void attend(float[] keys, float[] values, float[] query, float[] output) {
        for (int head = 0; head < queryHeads; head++) {
            int column = head / group * headSize;
            score(keys, column, query, head * headSize);
            softmax();
            sumUp(values, column, output, head * headSize);
        }
    }

    private void score(float[] keys, int column, float[] query, int from) {
        for (int token = 0; token < scores.length; token++) {
            int row = token * width + column;
            float sum = 0;
            for (int i = 0; i < headSize; i++) {
                sum += query[from + i] * keys[row + i];
            }
            scores[token] = sum * scale;
        }
    }

    private void softmax() {
        float greatest = Float.NEGATIVE_INFINITY;
        for (float score : scores) {
            greatest = Math.max(greatest, score);
        }
        float sum = 0;
        for (int token = 0; token < scores.length; token++) {
            scores[token] = (float) Math.exp(scores[token] - greatest);
            sum += scores[token];
        }
        for (int token = 0; token < scores.length; token++) {
            scores[token] /= sum;
        }
    }

    private void sumUp(float[] values, int column, float[] output, int to) {
        for (int i = 0; i < headSize; i++) {
            output[to + i] = 0;
        }
        for (int token = 0; token < scores.length; token++) {
            int row = token * width + column;
            float weight = scores[token];
            for (int i = 0; i < headSize; i++) {
                output[to + i] += weight * values[row + i];
            }
        }
    }
}
