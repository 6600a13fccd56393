package io.kvcache.bench;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/** What the cache is compared with computes attention, not something else. */
final class AttentionRivalsTest {
    private static final int HEAD_SIZE = 8;
    private static final int TOKENS = 37;

    private int kvHeads;
    private float[] keys = {}; // [tokens][kvHeads * headSize]
    private float[] values = {}; // [tokens][kvHeads * headSize]
    private float[] query = {}; // [queryHeads][headSize]

    private void draw(int queryHeads, int newKvHeads) {
        Random random = new Random(5);
        kvHeads = newKvHeads;
        keys = numbers(random, TOKENS * kvHeads * HEAD_SIZE);
        values = numbers(random, TOKENS * kvHeads * HEAD_SIZE);
        query = numbers(random, queryHeads * HEAD_SIZE);
    }

    /** Far from each other, so that scores are. */
    private static float[] numbers(Random random, int count) {
        float[] numbers = FilledCache.randoms(random, count);
        for (int i = 0; i < count; i++) {
            numbers[i] *= 4;
        }
        return numbers;
    }

    @ParameterizedTest
    @CsvSource({"3,3", "6,2", "4,1"})
    void shouldAttendOnTheHeap(int queryHeads, int newKvHeads) {
        draw(queryHeads, newKvHeads);
        float[] output = new float[query.length];
        new HeapAttention(queryHeads, kvHeads, HEAD_SIZE, TOKENS).attend(keys, values, query, output);
        assertArrayEquals(expected(), output, 1e-5f);
    }

    @ParameterizedTest
    @CsvSource({"3,3,8", "6,2,8", "4,1,36", "3,3,36"})
    void shouldAttendOnNd4j(int queryHeads, int newKvHeads, int partTokens) {
        draw(queryHeads, newKvHeads);
        float[] output = new float[query.length];
        Arrays.fill(output, Float.NaN);
        try (Nd4jAttention attention = new Nd4jAttention(queryHeads, kvHeads, HEAD_SIZE, TOKENS)) {
            attention.concatenate(parts(keys, partTokens), parts(values, partTokens));
            attention.attend(query, output);
        }
        assertArrayEquals(expected(), output, 1e-5f);
    }

    /** Cuts [tokens][kvHeads][headSize] into [kvHeads][part][headSize]. */
    private INDArray[] parts(float[] rows, int partTokens) {
        INDArray[] parts = new INDArray[Math.ceilDiv(TOKENS, partTokens)];
        for (int part = 0; part < parts.length; part++) {
            int from = part * partTokens;
            int count = Math.min(partTokens, TOKENS - from);
            float[] cut = new float[kvHeads * count * HEAD_SIZE];
            for (int head = 0; head < kvHeads; head++) {
                for (int token = 0; token < count; token++) {
                    int row = ((from + token) * kvHeads + head) * HEAD_SIZE;
                    System.arraycopy(rows, row, cut, (head * count + token) * HEAD_SIZE, HEAD_SIZE);
                }
            }
            parts[part] = Nd4j.create(cut, new long[] {kvHeads, count, HEAD_SIZE}, 'c');
        }
        return parts;
    }

    /** By the definition, in double precision. */
    private float[] expected() {
        float[] output = new float[query.length];
        int queryHeads = query.length / HEAD_SIZE;
        for (int head = 0; head < queryHeads; head++) {
            int kvHead = head / (queryHeads / kvHeads);
            double weights = 0;
            double[] sum = new double[HEAD_SIZE];
            for (int token = 0; token < TOKENS; token++) {
                int row = (token * kvHeads + kvHead) * HEAD_SIZE;
                double product = 0;
                for (int i = 0; i < HEAD_SIZE; i++) {
                    product += (double) query[head * HEAD_SIZE + i] * keys[row + i];
                }
                double weight = Math.exp(product / Math.sqrt(HEAD_SIZE));
                weights += weight;
                for (int i = 0; i < HEAD_SIZE; i++) {
                    sum[i] += weight * values[row + i];
                }
            }
            for (int i = 0; i < HEAD_SIZE; i++) {
                output[head * HEAD_SIZE + i] = (float) (sum[i] / weights);
            }
        }
        return output;
    }
}
