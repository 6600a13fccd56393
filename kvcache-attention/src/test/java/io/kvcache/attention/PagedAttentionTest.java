package io.kvcache.attention;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.BlockOrder;
import io.kvcache.KvCache;
import io.kvcache.KvLayout;
import io.kvcache.KvType;
import io.kvcache.Sequence;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

final class PagedAttentionTest {
    private static final int LONGEST = 150;

    /** The shape of one random round. */
    private record Shape(KvType type, int kvHeads, int group, int keySize, int valueSize, int tokensPerBlock) {
        static Shape random(KvType type, Random random) {
            return new Shape(
                    type,
                    1 + random.nextInt(3),
                    1 + random.nextInt(4),
                    1 + random.nextInt(20),
                    1 + random.nextInt(20),
                    1 + random.nextInt(20));
        }

        KvLayout layout(int tokens) {
            return KvLayout.builder()
                    .layers(2)
                    .kvHeads(kvHeads)
                    .headSizes(keySize, valueSize)
                    .type(type)
                    .order(BlockOrder.ROWS)
                    .tokensPerBlock(tokens)
                    .build();
        }

        int queryHeads() {
            return kvHeads * group;
        }
    }

    /** A paged sequence, and another with the same rows in one block: one contiguous buffer. */
    private record Twins(Sequence paged, Sequence contiguous) {
        Twins fork() {
            return new Twins(paged.fork(), contiguous.fork());
        }

        void truncate(int length) {
            paged.truncate(length);
            contiguous.truncate(length);
        }

        void close() {
            paged.close();
            contiguous.close();
        }
    }

    @ParameterizedTest
    @EnumSource(KvType.class)
    void shouldEqualTheSameKernelOverOneContiguousBufferBitForBit(KvType type) {
        Random random = new Random(1);
        for (int round = 0; round < 60; round++) {
            Shape shape = Shape.random(type, random);
            KvLayout pages = shape.layout(shape.tokensPerBlock);
            KvLayout whole = shape.layout(LONGEST);
            try (KvCache paged = cache(pages, 2000);
                    KvCache contiguous = cache(whole, 20)) {
                List<Twins> twins = new ArrayList<>();
                twins.add(new Twins(open(paged), open(contiguous)));
                PagedAttention pagedAttention = new PagedAttention(pages, shape.queryHeads());
                PagedAttention contiguousAttention = new PagedAttention(whole, shape.queryHeads());
                for (int step = 0; step < 30; step++) {
                    Twins pair = twins.get(random.nextInt(twins.size()));
                    if (random.nextInt(4) == 0 && twins.size() < 5) {
                        twins.add(pair.fork());
                    } else if (random.nextInt(4) == 0) {
                        pair.truncate(random.nextInt(pair.paged.length() + 1));
                    } else {
                        append(pair, shape, 1 + random.nextInt(12), random);
                    }
                    assertSameBits(pair, shape, pagedAttention, contiguousAttention, random);
                }
                paged.verify();
                contiguous.verify();
                twins.forEach(Twins::close);
            }
        }
    }

    private static KvCache cache(KvLayout layout, int blocks) {
        return KvCache.builder(layout)
                .maximumBytes(blocks * layout.blockBytes())
                .build();
    }

    private static Sequence open(KvCache cache) {
        return cache.namespace("test").open(new int[] {1});
    }

    private static void append(Twins pair, Shape shape, int tokens, Random random) {
        int position = pair.paged.length();
        int rows = Math.min(tokens, LONGEST - position);
        assertTrue(pair.paged.tryReserve(rows) && pair.contiguous.tryReserve(rows));
        for (int layer = 0; layer < 2; layer++) {
            float[] keys = gaussians(rows * shape.kvHeads * shape.keySize, random);
            float[] values = gaussians(rows * shape.kvHeads * shape.valueSize, random);
            pair.paged.write(layer, position, rows, keys, 0, values, 0);
            pair.contiguous.write(layer, position, rows, keys, 0, values, 0);
        }
        int[] ids = random.ints(rows).toArray(); // equal ones would be shared
        pair.paged.commit(ids);
        pair.contiguous.commit(ids);
    }

    private static void assertSameBits(
            Twins pair, Shape shape, PagedAttention paged, PagedAttention contiguous, Random random) {
        int rows = Math.min(pair.paged.length(), 1 + random.nextInt(4));
        int position = pair.paged.length() - rows;
        int layer = random.nextInt(2);
        float[] queries = gaussians(rows * shape.queryHeads() * shape.keySize, random);
        float[] expected = new float[rows * shape.queryHeads() * shape.valueSize];
        float[] actual = expected.clone();
        contiguous.attend(pair.contiguous, layer, position, rows, queries, 0, expected, 0);
        paged.attend(pair.paged, layer, position, rows, queries, 0, actual, 0);
        assertArrayEquals(bits(expected), bits(actual), () -> "shape " + shape);
    }

    private static int[] bits(float[] floats) {
        int[] bits = new int[floats.length];
        Arrays.setAll(bits, i -> Float.floatToRawIntBits(floats[i]));
        return bits;
    }

    private static float[] gaussians(int count, Random random) {
        float[] floats = new float[count];
        for (int i = 0; i < count; i++) {
            floats[i] = (float) random.nextGaussian();
        }
        return floats;
    }

    @ParameterizedTest
    @EnumSource(KvType.class)
    void shouldAgreeWithADoublePrecisionReference(KvType type) {
        Random random = new Random(2);
        for (int round = 0; round < 300; round++) {
            Shape shape = Shape.random(type, random);
            KvLayout layout = shape.layout(shape.tokensPerBlock);
            try (KvCache cache = cache(layout, 200);
                    Sequence sequence = open(cache)) {
                int rows = 1 + random.nextInt(40);
                float[] keys = gaussians(rows * shape.kvHeads * shape.keySize, random);
                float[] values = gaussians(rows * shape.kvHeads * shape.valueSize, random);
                assertTrue(sequence.tryReserve(rows));
                sequence.write(1, 0, rows, keys, 0, values, 0);
                sequence.gather(1, 0, rows, keys, 0, values, 0); // as stored, rounded to the type
                float[] queries = gaussians(3 + rows * shape.queryHeads() * shape.keySize, random);
                float[] output = new float[2 + rows * shape.queryHeads() * shape.valueSize];
                new PagedAttention(layout, shape.queryHeads()).attend(sequence, 1, 0, rows, queries, 3, output, 2);
                for (int row = 0; row < rows; row++) {
                    double[] expected = reference(shape, row, keys, values, queries, 3);
                    for (int i = 0; i < expected.length; i++) {
                        assertEquals(expected[i], output[2 + row * expected.length + i], 1e-5, () -> "" + shape);
                    }
                }
            }
        }
    }

    /** Causal attention of one row over dense [rows][kvHeads][size] arrays, straight from the definition. */
    private static double[] reference(
            Shape shape, int row, float[] keys, float[] values, float[] queries, int queriesFrom) {
        double[] output = new double[shape.queryHeads() * shape.valueSize];
        for (int head = 0; head < shape.queryHeads(); head++) {
            int kvHead = head / shape.group;
            double[] weights = new double[row + 1];
            double total = 0;
            for (int t = 0; t <= row; t++) {
                double dot = 0;
                for (int i = 0; i < shape.keySize; i++) {
                    int query = queriesFrom + (row * shape.queryHeads() + head) * shape.keySize + i;
                    dot += (double) queries[query] * keys[(t * shape.kvHeads + kvHead) * shape.keySize + i];
                }
                weights[t] = Math.exp(dot / Math.sqrt(shape.keySize));
                total += weights[t];
            }
            for (int t = 0; t <= row; t++) {
                for (int i = 0; i < shape.valueSize; i++) {
                    double value = values[(t * shape.kvHeads + kvHead) * shape.valueSize + i];
                    output[head * shape.valueSize + i] += weights[t] / total * value;
                }
            }
        }
        return output;
    }

    @Test
    void shouldReachReservedPositionsWhenDecoding() {
        KvLayout layout = new Shape(KvType.F32, 1, 2, 2, 2, 4).layout(4);
        try (KvCache cache = cache(layout, 4);
                Sequence sequence = open(cache)) {
            assertTrue(sequence.tryReserve(1));
            sequence.write(0, 0, new float[] {1, 2}, new float[] {3, 4});
            float[] output = new float[4];
            new PagedAttention(layout, 2).attend(sequence, 0, new float[] {1, 1, -1, 5}, output);
            assertArrayEquals(new float[] {3, 4, 3, 4}, output); // one position: its value, whatever the score
        }
    }

    @Test
    void shouldSurviveScoresFarApart() {
        KvLayout layout = new Shape(KvType.F32, 1, 1, 1, 1, 4).layout(4);
        try (KvCache cache = cache(layout, 4);
                Sequence sequence = open(cache)) {
            assertTrue(sequence.tryReserve(3));
            sequence.write(0, 0, 3, new float[] {-1e30f, 1e4f, -1e4f}, 0, new float[] {1, 2, 3}, 0);
            float[] output = new float[1];
            new PagedAttention(layout, 1).attend(sequence, 0, new float[] {1}, output);
            assertEquals(2f, output[0]);
        }
    }

    @Test
    void shouldRefuseWhatIsOutOfRange() {
        KvLayout layout = new Shape(KvType.F32, 2, 2, 2, 2, 4).layout(4);
        PagedAttention attention = new PagedAttention(layout, 4);
        float[] eight = new float[8];
        try (KvCache cache = cache(layout, 4)) {
            Sequence sequence = open(cache);
            assertMessage(
                    IndexOutOfBoundsException.class,
                    "only committed and reserved positions attend: position=-1 rows=1 length=0 reserved=0",
                    () -> attention.attend(sequence, 0, eight, eight));
            assertTrue(sequence.tryReserve(2));
            assertMessage(
                    IndexOutOfBoundsException.class,
                    "only committed and reserved positions attend: position=1 rows=2 length=0 reserved=2",
                    () -> attention.attend(sequence, 0, 1, 2, new float[16], 0, new float[16], 0));
            assertMessage(
                    IndexOutOfBoundsException.class,
                    "no such layer: layer=2 layers=2",
                    () -> attention.attend(sequence, 2, eight, eight));
            assertThrows(IndexOutOfBoundsException.class, () -> attention.attend(sequence, 0, new float[7], eight));
            assertThrows(IndexOutOfBoundsException.class, () -> attention.attend(sequence, 0, eight, new float[7]));
            sequence.close();
            assertThrows(IllegalStateException.class, () -> attention.attend(sequence, 0, eight, eight));
        }
    }

    @Test
    void shouldRefuseAnotherGeometry() {
        KvLayout layout = new Shape(KvType.F32, 2, 2, 2, 2, 4).layout(4);
        assertMessage(
                IllegalArgumentException.class,
                "query heads must be a multiple of K/V heads: queryHeads=3 kvHeads=2 layer=0",
                () -> new PagedAttention(layout, 3));
        assertThrows(IllegalArgumentException.class, () -> new PagedAttention(layout, 0));
        KvLayout other = new Shape(KvType.F32, 2, 2, 2, 2, 8).layout(8);
        try (KvCache cache = cache(other, 4);
                Sequence sequence = open(cache)) {
            assertTrue(sequence.tryReserve(1));
            assertThrows(
                    IllegalArgumentException.class,
                    () -> new PagedAttention(layout, 4).attend(sequence, 0, new float[8], new float[8]));
        }
    }

    private static void assertMessage(Class<? extends Exception> type, String message, Runnable call) {
        assertEquals(message, assertThrows(type, call::run).getMessage());
    }
}
