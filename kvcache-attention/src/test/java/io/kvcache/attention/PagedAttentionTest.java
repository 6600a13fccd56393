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
import java.util.Arrays;
import org.junit.jupiter.api.Test;

final class PagedAttentionTest {
    /** The shape of one random round. */
    private record Shape(KvType type, int kvHeads, int group, int keySize, int valueSize, int tokensPerBlock) {
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
    }

    private static KvCache cache(KvLayout layout, int blocks) {
        return KvCache.builder(layout)
                .maximumBytes(blocks * layout.blockBytes())
                .build();
    }

    private static Sequence open(KvCache cache) {
        return cache.namespace("test").open(new int[] {1});
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
    void shouldTellSequencesApartWhateverTheVersionsOfTheirTables() {
        KvLayout layout = new Shape(KvType.F32, 1, 1, 1, 1, 4).layout(4);
        try (KvCache cache = cache(layout, 60)) {
            PagedAttention attention = new PagedAttention(layout, 1);
            for (int blocks = 1; blocks <= 8; blocks++) {
                try (Sequence longer = filled(cache, 4 * blocks, 1);
                        Sequence shorter = filled(cache, 4, 2)) {
                    float[] output = new float[1];
                    attention.attend(longer, 0, new float[] {0}, output);
                    assertEquals(1f, output[0]);
                    attention.attend(shorter, 0, new float[] {0}, output);
                    assertEquals(2f, output[0]);
                }
            }
            cache.verify();
        }
    }

    /** A sequence whose values are all alike. */
    private static Sequence filled(KvCache cache, int tokens, float value) {
        Sequence sequence = open(cache);
        assertTrue(sequence.tryReserve(tokens));
        float[] values = new float[tokens];
        Arrays.fill(values, value);
        sequence.write(0, 0, tokens, new float[tokens], 0, values, 0);
        return sequence;
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
