package io.kvcache.attention;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.BlockOrder;
import io.kvcache.KvCache;
import io.kvcache.KvLayout;
import io.kvcache.KvType;
import io.kvcache.Sequence;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What attention loses by the types of keys and values: against floats that were never rounded, in double precision. */
final class KvTypeErrorTest {
    private static final int QUERY_HEADS_PER_HEAD = 2;
    private static final int ROUNDS = 60;

    private final Random random = new Random(8);

    /**
     * The greatest error of an output, relative to the greatest value. A value errs by at most half a unit of its type, u; a
     * score of gaussian data, about 1 in size, by about u as well, and a weight by as much relative to it. So an
     * output, a mean of values, errs by about 2u where one weight rules, and less where errors of many cancel out. Scores here go
     * up to 5, and so do their errors.
     */
    private static double bound(KvType type) {
        return switch (type) {
            case F32 -> 1e-6; // u = 2^-24 = 6e-8, but sums and exponentials round too
            case F16 -> 1e-3; // u = 2^-11 = 4.9e-4
            case BF16 -> 8e-3; // u = 2^-8 = 3.9e-3
            case INT8 -> 2e-2; // u = 1/254 = 3.9e-3 of the greatest of a head, for small elements too
        };
    }

    @ParameterizedTest
    @EnumSource(KvType.class)
    void shouldErrWithinTheTypesBound(KvType type) {
        double greatest = 0;
        for (int round = 0; round < ROUNDS; round++) {
            greatest = Math.max(greatest, error(type));
        }
        double error = greatest;
        double bound = bound(type);
        assertTrue(error <= bound, () -> "type=" + type + " error=" + error + " bound=" + bound);
        assertTrue(error >= bound / 50, () -> "the bound says nothing: type=" + type + " error=" + error);
    }

    private <T> T any(List<T> choices) {
        return choices.get(random.nextInt(choices.size()));
    }

    private float[] gaussian(int count) {
        float[] floats = new float[count];
        for (int i = 0; i < count; i++) {
            floats[i] = (float) random.nextGaussian();
        }
        return floats;
    }

    private double error(KvType type) {
        int kvHeads = any(List.of(1, 2));
        int headSize = any(List.of(16, 33, 64, 100, 128));
        int tokens = 1 + random.nextInt(400);
        KvLayout layout = Filled.layout(type, any(List.of(BlockOrder.values())), kvHeads, headSize, 16);
        float[] keys = gaussian(tokens * kvHeads * headSize);
        float[] values = gaussian(tokens * kvHeads * headSize);
        int heads = kvHeads * QUERY_HEADS_PER_HEAD;
        float[] queries = gaussian(heads * headSize);
        float[] output = new float[heads * headSize];
        try (KvCache cache = KvCache.builder(layout)
                        .maximumBytes(64 * layout.blockBytes())
                        .build();
                Sequence sequence = cache.namespace("test").open(new int[] {1})) {
            assertTrue(sequence.tryReserve(tokens));
            sequence.write(0, 0, tokens, keys, 0, values, 0);
            new PagedAttention(layout, heads).attend(sequence, 0, queries, output);
        }
        double greatest = 0;
        for (int head = 0; head < heads; head++) {
            double[] expected = attend(head, kvHeads, headSize, tokens, queries, keys, values);
            for (int i = 0; i < headSize; i++) {
                greatest = Math.max(greatest, Math.abs(output[head * headSize + i] - expected[i]));
            }
        }
        return greatest / greatestSize(values);
    }

    private static double greatestSize(float[] floats) {
        double greatest = 0;
        for (float each : floats) {
            greatest = Math.max(greatest, Math.abs(each));
        }
        return greatest;
    }

    /** Attention of one query head, in double precision. */
    private static double[] attend(
            int head, int kvHeads, int headSize, int tokens, float[] queries, float[] keys, float[] values) {
        int kvHead = head / QUERY_HEADS_PER_HEAD;
        double[] sums = new double[headSize];
        double total = 0;
        for (int token = 0; token < tokens; token++) {
            int at = (token * kvHeads + kvHead) * headSize;
            double score = 0;
            for (int i = 0; i < headSize; i++) {
                score += (double) queries[head * headSize + i] * keys[at + i];
            }
            double weight = Math.exp(score / Math.sqrt(headSize));
            total += weight;
            for (int i = 0; i < headSize; i++) {
                sums[i] += weight * values[at + i];
            }
        }
        for (int i = 0; i < headSize; i++) {
            sums[i] /= total;
        }
        return sums;
    }
}
