package io.kvcache.attention;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import io.kvcache.KvType;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * The inner loops in plain Java: what runs where vectors cannot. Elements are taken for what they are, in their own order.
 *
 * <p>Thread-safe: immutable.
 */
final class ScalarKernels extends HeadKernels {
    private static final int WORD_BYTES = 4;

    private final KvType type;
    private final int bytes;
    private final int parts; // elements of a word

    ScalarKernels(KvType type) {
        this.type = type;
        this.bytes = type.bytes();
        this.parts = WORD_BYTES / bytes;
    }

    private float element(MemorySegment memory, long at) {
        return switch (type) {
            case F32 -> memory.get(JAVA_FLOAT_UNALIGNED, at);
            case F16 -> Float.float16ToFloat(memory.get(JAVA_SHORT_UNALIGNED, at));
            case BF16 -> Float.intBitsToFloat(memory.get(JAVA_SHORT_UNALIGNED, at) << 16);
            case INT8 -> memory.get(JAVA_BYTE, at);
        };
    }

    // ---- tiles ----

    @Override
    void scoresOfOne(
            MemorySegment memory, long at, int words, int tiles, float[] queries, int from, float[] scores, int to) {
        scores(memory, at, words, tiles, queries, from, 1, scores, to);
    }

    @Override
    void scoresOfFour(
            MemorySegment memory, long at, int words, int tiles, float[] queries, int from, float[] scores, int to) {
        for (int query = 0; query < 4; query++) {
            scores(memory, at, words, tiles, queries, from + query, 4, scores, to + query * PIECE_TOKENS);
        }
    }

    /** Scores of a query whose elements are {@code apart} floats from each other. */
    private void scores(
            MemorySegment memory,
            long at,
            int words,
            int tiles,
            float[] queries,
            int from,
            int apart,
            float[] scores,
            int to) {
        for (int tile = 0; tile < tiles; tile++) {
            MemorySegment lines = memory.asSlice(at + tile * (long) words * LINE_BYTES, (long) words * LINE_BYTES);
            int first = to + tile * LINE_WORDS;
            Arrays.fill(scores, first, first + LINE_WORDS, 0);
            for (int i = 0; i < words * parts; i++) {
                float query = queries[from + i * apart];
                long line = (long) (i / parts) * LINE_BYTES + (long) (i % parts) * bytes;
                for (int token = 0; token < LINE_WORDS; token++) {
                    scores[first + token] += query * element(lines, line + (long) token * WORD_BYTES);
                }
            }
        }
    }

    @Override
    void addToOne(MemorySegment memory, long at, int tokens, float[] weights, int from, float[] sums, int to) {
        addRows(memory, at, LINE_BYTES, LINE_WORDS * parts, tokens, weights, from, sums, to);
    }

    @Override
    void addToFour(
            MemorySegment memory, long at, int tokens, float[] weights, int from, float[] sums, int to, int stride) {
        for (int query = 0; query < 4; query++) {
            addToOne(memory, at, tokens, weights, from + query * PIECE_TOKENS, sums, to + query * stride);
        }
    }

    // ---- rows ----

    @Override
    void scoresOfRows(
            MemorySegment memory,
            long at,
            long stride,
            int elements,
            int tokens,
            float[] queries,
            int from,
            float[] scores,
            int to) {
        for (int token = 0; token < tokens; token++) {
            MemorySegment row = memory.asSlice(at + token * stride, (long) elements * bytes);
            scores[to + token] = dot(row, elements, queries, from);
        }
    }

    /** Four sums side by side: one would make every addition wait for the one before. */
    private float dot(MemorySegment row, int elements, float[] queries, int from) {
        float sum0 = 0;
        float sum1 = 0;
        float sum2 = 0;
        float sum3 = 0;
        int i = 0;
        for (; i <= elements - 4; i += 4) {
            long at = (long) i * bytes;
            sum0 += queries[from + i] * element(row, at);
            sum1 += queries[from + i + 1] * element(row, at + bytes);
            sum2 += queries[from + i + 2] * element(row, at + 2L * bytes);
            sum3 += queries[from + i + 3] * element(row, at + 3L * bytes);
        }
        for (; i < elements; i++) {
            sum0 += queries[from + i] * element(row, (long) i * bytes);
        }
        return (sum0 + sum1) + (sum2 + sum3);
    }

    @Override
    void addRows(
            MemorySegment memory,
            long at,
            long stride,
            int elements,
            int tokens,
            float[] weights,
            int from,
            float[] sums,
            int to) {
        for (int token = 0; token < tokens; token++) {
            MemorySegment row = memory.asSlice(at + token * stride, (long) elements * bytes);
            float weight = weights[from + token];
            for (int i = 0; i < elements; i++) {
                sums[to + i] += weight * element(row, (long) i * bytes);
            }
        }
    }

    // ---- softmax ----

    @Override
    void multiply(float[] floats, int from, MemorySegment memory, long at, int count) {
        for (int i = 0; i < count; i++) {
            floats[from + i] *= memory.get(JAVA_FLOAT_UNALIGNED, at + (long) i * Float.BYTES);
        }
    }

    @Override
    void softCap(float[] scores, int from, int count, float cap) {
        for (int i = from; i < from + count; i++) {
            scores[i] = cap * (float) Math.tanh(scores[i] / cap);
        }
    }

    @Override
    void softmax(
            float[] scores,
            int from,
            int count,
            float[] greatest,
            float[] totals,
            int row,
            float[] sums,
            int sumsFrom,
            int sumsCount) {
        float maximum = greatest[row];
        for (int i = from; i < from + count; i++) {
            maximum = Math.max(maximum, scores[i]);
        }
        float sum = 0;
        for (int i = from; i < from + count; i++) {
            scores[i] = (float) Math.exp(scores[i] - maximum);
            sum += scores[i];
        }
        if (maximum != greatest[row]) {
            float factor = (float) Math.exp(greatest[row] - maximum);
            greatest[row] = maximum;
            totals[row] *= factor;
            for (int i = sumsFrom; i < sumsFrom + sumsCount; i++) {
                sums[i] *= factor;
            }
        }
        totals[row] += sum;
    }

    // ---- arrangement ----

    @Override
    int place(int element, int elements) {
        return element;
    }

    @Override
    float keyFactor() {
        return 1;
    }

    @Override
    float weightFactor() {
        return 1;
    }

    @Override
    float sumFactor() {
        return 1;
    }
}
