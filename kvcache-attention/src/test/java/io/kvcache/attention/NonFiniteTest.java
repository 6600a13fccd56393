package io.kvcache.attention;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.BlockOrder;
import io.kvcache.KvLayout;
import io.kvcache.KvType;
import io.kvcache.Sequence;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Keys and values that are infinite or NaN: rows that see them show it as {@link Reference} does, and no others. */
final class NonFiniteTest {
    private static final int QUERY_HEADS = 6;
    private static final int KV_HEADS = 2;

    // The greatest half, and the least float that is none; other types round both to something finite.
    private static final float[] SPECIAL = {
        Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY, Float.NaN, 65_519, 65_520, -65_519, -65_520
    };

    // So small that the greatest halves give scores of some units: exponentials of the others do not vanish, which here
    // happens at e^-87 and in the reference at e^-745; zero times infinity is NaN.
    private static final float QUERY_SIZE = 1e-4f;

    private static final List<String> KERNELS = List.of("scalar", "vector128", "vector256", "vector512", "auto");

    private final Random random = new Random(7);

    private static Stream<Arguments> kernelsAndTypes() {
        return KERNELS.stream().flatMap(kernels -> Stream.of(KvType.values()).map(type -> Arguments.of(kernels, type)));
    }

    private <T> T any(List<T> choices) {
        return choices.get(random.nextInt(choices.size()));
    }

    @ParameterizedTest
    @MethodSource("kernelsAndTypes")
    void shouldShowWhatRowsSeeAndNothingElse(String kernels, KvType type) {
        Kinds kinds = new Kinds();
        for (int round = 0; round < 12; round++) {
            BlockOrder order = any(List.of(BlockOrder.values()));
            int headSize = any(List.of(1, 7, 16, 33, 64, 80));
            KvLayout layout = Filled.layout(type, order, KV_HEADS, headSize, any(List.of(16, 64)));
            AttentionOptions options = random.nextInt(3) == 0
                    ? AttentionOptions.DEFAULT.withWindow(1 + random.nextInt(20), random.nextInt(5))
                    : AttentionOptions.DEFAULT;
            try (Filled filled = new Filled(layout, random)) {
                Sequence sequence = filled.open(0);
                appendSpecial(filled, sequence, 1 + random.nextInt(120), round % 2 == 0);
                appendSpecial(filled, filled.fork(sequence, 0), 1 + random.nextInt(40), round % 2 == 0);
                compare(filled, KernelLookup.choose(kernels), options, kinds, "round=" + round + " options=" + options);
            }
        }
        assertTrue(kinds.nan > 5 && kinds.finite > 5, kinds::toString);
        assertTrue(kinds.infinite > 5 || type == KvType.INT8, kinds::toString);
    }

    /** Appends gaussian keys and values, some special among either. */
    private void appendSpecial(Filled filled, Sequence sequence, int tokens, boolean inKeys) {
        KvLayout layout = filled.layout;
        float[] keys = filled.gaussian(tokens * layout.keyWidth(0));
        float[] values = filled.gaussian(tokens * layout.valueWidth(0));
        float[] some = inKeys ? keys : values;
        for (int count = 1 + random.nextInt(5); count > 0; count--) {
            some[random.nextInt(some.length)] = SPECIAL[random.nextInt(SPECIAL.length)];
        }
        assertTrue(sequence.tryReserve(tokens));
        sequence.write(0, sequence.length(), tokens, keys, 0, values, 0);
        sequence.commit(random.ints(tokens).toArray());
    }

    private void compare(Filled filled, KernelProvider provider, AttentionOptions options, Kinds kinds, String name) {
        KvLayout layout = filled.layout;
        AttentionBatch batch = new AttentionBatch();
        List<int[]> rows = new ArrayList<>(); // sequence, position, from, to
        for (int i = 0; i < filled.sequences.size(); i++) {
            int length = filled.sequences.get(i).length();
            for (int entry = 0; entry < 2; entry++) {
                int count = 1 + random.nextInt(Math.min(length, 5));
                int position = random.nextInt(length - count + 1);
                int from = random.nextInt(3) == 0 ? random.nextInt(length) : 0;
                int to = random.nextInt(3) == 0 ? from + random.nextInt(length) : Integer.MAX_VALUE;
                batch.add(filled.sequences.get(i), position, count, from, to);
                for (int row = 0; row < count; row++) {
                    rows.add(new int[] {i, position + row, from, to});
                }
            }
        }
        int width = QUERY_HEADS * layout.keyHeadSize(0);
        float[] queries = filled.gaussian(rows.size() * width);
        for (int i = 0; i < queries.length; i++) {
            queries[i] *= QUERY_SIZE;
        }
        float[] output = new float[rows.size() * width];
        float[] logSumExp = new float[rows.size() * QUERY_HEADS];
        PagedAttention.builder(layout, QUERY_HEADS)
                .options(options)
                .provider(provider)
                .build()
                .attend(batch, 0, queries, 0, output, 0, logSumExp, 0);
        Reference reference = new Reference(layout, 0, QUERY_HEADS, options);
        for (int row = 0; row < rows.size(); row++) {
            int[] of = rows.get(row);
            String rowName = name + " layout=" + layout + " row=" + Arrays.toString(of);
            reference.attend(filled.sequences.get(of[0]), 0, of[1], of[2], of[3], queries, row * width);
            double bound = bound(reference);
            for (int i = 0; i < width; i++) {
                kinds.compare(reference.output[i], output[row * width + i], bound, rowName + " i=" + i);
            }
            for (int head = 0; head < QUERY_HEADS; head++) {
                assertSameLogSumExp(reference, head, logSumExp[row * QUERY_HEADS + head], rowName + " head=" + head);
            }
        }
    }

    /** Weights err by some 1e-6, and outputs by as much of the greatest value that is finite. */
    private static double bound(Reference reference) {
        return 5e-6 * (Double.isFinite(reference.valueSize) ? Math.max(1, reference.valueSize) : 65_536);
    }

    private static void assertSameLogSumExp(Reference reference, int head, float actual, String name) {
        double expected = reference.logSumExp[head];
        if (actual == Float.NEGATIVE_INFINITY) {
            // The reference subtracts minus infinity from itself where all scores are that; outputs are zeros, then.
            int size = reference.output.length / QUERY_HEADS;
            assertTrue(Double.isNaN(expected) || expected == Double.NEGATIVE_INFINITY, name);
            for (int i = head * size; i < (head + 1) * size; i++) {
                assertEquals(0, reference.output[i], name);
            }
        } else {
            assertKind(expected, actual, 1e-4, name);
        }
    }

    private static void assertKind(double expected, float actual, double bound, String name) {
        if (Double.isFinite(expected)) {
            assertEquals(expected, actual, bound, name);
        } else {
            assertEquals((float) expected, actual, name);
        }
    }

    /** Counts kinds of outputs, so that a test knows that it has seen all. */
    private static final class Kinds {
        private int nan;
        private int infinite;
        private int finite;

        void compare(double expected, float actual, double bound, String name) {
            assertKind(expected, actual, bound, name);
            if (Double.isNaN(expected)) {
                nan++;
            } else if (Double.isInfinite(expected)) {
                infinite++;
            } else {
                finite++;
            }
        }

        @Override
        public String toString() {
            return "nan=" + nan + " infinite=" + infinite + " finite=" + finite;
        }
    }

    /** Blocks are reused as they are: the slots that were not written anew hold what they held. */
    @ParameterizedTest
    @MethodSource("kernelsAndTypes")
    void shouldNotSeeWhatReusedBlocksHeld(String kernels, KvType type) {
        for (BlockOrder order : BlockOrder.values()) {
            for (int tokens = 1; tokens < 40; tokens += 1 + random.nextInt(12)) {
                KvLayout layout = Filled.layout(type, order, KV_HEADS, any(List.of(5, 32)), 16);
                try (Filled filled = new Filled(layout, random, 3)) {
                    Sequence before = filled.open(0);
                    assertTrue(before.tryReserve(48));
                    float[] special = filled.gaussian(48 * layout.keyWidth(0));
                    for (int i = 0; i < special.length; i++) {
                        special[i] = SPECIAL[random.nextInt(3)];
                    }
                    before.write(0, 0, 48, special, 0, special, 0);
                    int[] old = before.blockTable();
                    filled.sequences.clear();
                    before.close();
                    Sequence sequence = filled.open(tokens);
                    assertTrue(Arrays.stream(old).anyMatch(block -> block == sequence.blockTable()[0]), "not reused");
                    assertTrue(sequence.isFinite(0));
                    Kinds kinds = new Kinds();
                    compare(filled, KernelLookup.choose(kernels), AttentionOptions.DEFAULT, kinds, "tokens=" + tokens);
                    assertEquals("nan=0 infinite=0", kinds.toString().replaceAll(" finite.*", ""));
                }
            }
        }
    }

    /** A head that is not finite has NaN for its scale: all of it reads as NaN, and no other head does. */
    @ParameterizedTest
    @EnumSource(BlockOrder.class)
    void shouldReadAnInt8HeadThatWasNotFiniteAsNaN(BlockOrder order) {
        KvLayout layout = Filled.layout(KvType.INT8, order, KV_HEADS, 8, 16);
        for (float special : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
            for (boolean inKeys : new boolean[] {true, false}) {
                try (Filled filled = new Filled(layout, random)) {
                    Sequence sequence = filled.open(5);
                    float[] key = filled.gaussian(16);
                    float[] value = filled.gaussian(16);
                    (inKeys ? key : value)[3] = special; // of the first head
                    assertTrue(sequence.tryReserve(1));
                    sequence.write(0, 5, key, value);
                    sequence.commit(1);
                    float[] output = new float[2 * 2 * 16];
                    PagedAttention attention = new PagedAttention(layout, 4);
                    attention.attend(sequence, 0, 4, 2, filled.gaussian(64), 0, output, 0);
                    for (int i = 0; i < output.length; i++) {
                        boolean seen = i >= 32 && i < 32 + 16; // by the second row's first two query heads
                        assertEquals(seen, Float.isNaN(output[i]), "i=" + i + " special=" + special);
                    }
                }
            }
        }
    }

    @Test
    void shouldTellThatABlockIsNotFinite() {
        KvLayout layout = Filled.layout(KvType.F16, BlockOrder.TILES, 1, 1, 16);
        try (Filled filled = new Filled(layout, random)) {
            Sequence sequence = filled.open(16);
            assertTrue(sequence.tryReserve(1));
            sequence.write(0, 16, new float[] {65_519}, new float[] {1});
            assertTrue(sequence.isFinite(1));
            sequence.write(0, 16, new float[] {65_520}, new float[] {1});
            assertFalse(sequence.isFinite(1));
            assertTrue(sequence.isFinite(0));
        }
    }
}
