package io.kvcache.attention;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.kvcache.BlockOrder;
import io.kvcache.KvLayout;
import io.kvcache.KvType;
import io.kvcache.Sequence;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Attention to parts of a sequence, merged, is attention to all of it. */
final class MergeTest {
    private static final float NONE = Float.NEGATIVE_INFINITY;

    // Two roundings of a weighted mean of gaussian values, and of sums of exponentials: far below what is allowed here.
    private static final float ROUNDING = 1e-5f;

    private final Random random = new Random(6);

    /** What attention to a range gives. */
    @SuppressWarnings("ArrayRecordComponent")
    private record Part(float[] output, float[] logSumExp) {
        void merge(int heads, Part other) {
            PagedAttention.merge(heads, output, logSumExp, other.output, other.logSumExp);
        }
    }

    private static Part attend(
            PagedAttention attention, Sequence sequence, int rows, int from, int to, float[] queries, int heads) {
        Part part = new Part(new float[heads * 16], new float[heads]);
        AttentionBatch batch = new AttentionBatch().add(sequence, sequence.length() - rows, rows, from, to);
        attention.attend(batch, 0, queries, 0, part.output, 0, part.logSumExp, 0);
        return part;
    }

    @ParameterizedTest
    @EnumSource(BlockOrder.class)
    void shouldEqualAttentionToAllAtOnce(BlockOrder order) {
        KvLayout layout = Filled.layout(KvType.F32, order, 2, 16, 16);
        PagedAttention attention = new PagedAttention(layout, 4);
        for (int round = 0; round < 200; round++) {
            try (Filled filled = new Filled(layout, random)) {
                Sequence sequence = filled.open(1 + random.nextInt(150));
                int length = sequence.length();
                int rows = 1 + random.nextInt(Math.min(length, 5));
                int heads = rows * 4;
                float[] queries = filled.gaussian(heads * 16);
                Part whole = attend(attention, sequence, rows, 0, length, queries, heads);
                int cut = round < 10 ? 0 : round < 20 ? length : random.nextInt(length + 1);
                int second = cut + random.nextInt(length - cut + 1);
                Part merged = attend(attention, sequence, rows, 0, cut, queries, heads);
                merged.merge(heads, attend(attention, sequence, rows, cut, length, queries, heads));
                assertClose(whole, merged, "round=" + round + " length=" + length + " cut=" + cut);
                Part three = attend(attention, sequence, rows, second, length, queries, heads);
                three.merge(heads, attend(attention, sequence, rows, 0, cut, queries, heads));
                three.merge(heads, attend(attention, sequence, rows, cut, second, queries, heads));
                assertClose(whole, three, "round=" + round + " cut=" + cut + " second=" + second);
            }
        }
    }

    private static void assertClose(Part expected, Part actual, String name) {
        assertArrayEquals(expected.output, actual.output, ROUNDING, name);
        assertArrayEquals(expected.logSumExp, actual.logSumExp, ROUNDING, name);
    }

    @Test
    void shouldLeaveAResultAsItIsWhereTheOtherRangeIsEmpty() {
        Part some = new Part(new float[] {1, -2.5f, 3e-20f, 4}, new float[] {90, -1000});
        Part copy = new Part(some.output.clone(), some.logSumExp.clone());
        copy.merge(2, new Part(new float[4], new float[] {NONE, NONE}));
        assertArrayEquals(some.output, copy.output);
        assertArrayEquals(some.logSumExp, copy.logSumExp);
        Part empty = new Part(new float[4], new float[] {NONE, NONE});
        empty.merge(2, some);
        assertArrayEquals(some.output, empty.output);
        assertArrayEquals(some.logSumExp, empty.logSumExp);
    }

    @Test
    void shouldStayEmptyWhereBothRangesAre() {
        Part empty = new Part(new float[2], new float[] {NONE});
        empty.merge(1, new Part(new float[2], new float[] {NONE}));
        assertArrayEquals(new float[2], empty.output);
        assertArrayEquals(new float[] {NONE}, empty.logSumExp);
    }

    @Test
    void shouldWeighBySumsOfExponentialsHoweverGreat() {
        Part some = new Part(new float[] {1, 1, 1, 1}, new float[] {1e4f, 1e4f});
        some.merge(2, new Part(new float[] {3, 3, 3, 3}, new float[] {1e4f, -1e4f}));
        assertArrayEquals(new float[] {2, 2, 1, 1}, some.output);
        assertArrayEquals(new float[] {(float) (1e4 + Math.log(2)), 1e4f}, some.logSumExp);
        Part third = new Part(new float[] {4}, new float[] {0});
        third.merge(1, new Part(new float[] {8}, new float[] {(float) Math.log(3)}));
        assertArrayEquals(new float[] {7}, third.output, 1e-6f);
        assertArrayEquals(new float[] {(float) Math.log(4)}, third.logSumExp, 1e-6f);
    }

    @Test
    void shouldMergeNothing() {
        PagedAttention.merge(0, new float[0], new float[0], new float[0], new float[0]);
    }

    @Test
    void shouldRefuseResultsOfDifferentSizes() {
        assertRefused(2, 4, 2, 4, 3);
        assertRefused(2, 4, 1, 4, 2);
        assertRefused(2, 4, 2, 6, 2);
        assertRefused(2, 5, 2, 5, 2);
        assertRefused(0, 4, 0, 4, 0);
        assertRefused(-1, 4, 2, 4, 2);
    }

    private static void assertRefused(int heads, int output, int logSumExp, int otherOutput, int otherLogSumExp) {
        IllegalArgumentException thrown = assertThrows(
                IllegalArgumentException.class,
                () -> PagedAttention.merge(
                        heads,
                        new float[output],
                        new float[logSumExp],
                        new float[otherOutput],
                        new float[otherLogSumExp]));
        assertEquals(
                "results to merge have different sizes: heads=" + heads + " output=" + output + " otherOutput="
                        + otherOutput + " logSumExp=" + logSumExp + " otherLogSumExp=" + otherLogSumExp,
                thrown.getMessage());
    }
}
