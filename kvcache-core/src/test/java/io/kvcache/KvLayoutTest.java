package io.kvcache;

import static io.kvcache.Thrown.assertOutOfBounds;
import static io.kvcache.Thrown.assertRefused;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.BitSet;
import java.util.Random;
import org.junit.jupiter.api.Test;

final class KvLayoutTest {
    private static KvLayout.Builder small() {
        return KvLayout.builder()
                .layers(2)
                .kvHeads(2)
                .headSize(32)
                .type(KvType.F16)
                .order(BlockOrder.ROWS)
                .tokensPerBlock(16);
    }

    @Test
    void shouldComputeTheSizesOfAKnownModel() {
        // Llama 3 8B: 32 layers, 8 K/V heads of 128, F16: 128 KiB a token.
        KvLayout layout = KvLayout.builder()
                .layers(32)
                .kvHeads(8)
                .headSize(128)
                .type(KvType.F16)
                .order(BlockOrder.ROWS)
                .tokensPerBlock(32)
                .build();
        assertEquals(131_072, layout.bytesPerToken());
        assertEquals(32 * 131_072, layout.blockBytes());
        assertEquals(1024, layout.keyWidth(31));
        assertEquals(2048, layout.valueRowBytes(0));
        assertEquals(0, layout.keyOffset(0, 0));
        assertEquals(32 * 2048, layout.valueOffset(0, 0));
        assertEquals(2 * 32 * 2048 + 3 * 2048, layout.keyOffset(1, 3));
    }

    @Test
    void shouldGiveEveryRowBytesOfItsOwnInsideTheBlock() {
        Random random = new Random(1);
        for (int round = 0; round < 200; round++) {
            KvLayout.Builder builder = KvLayout.builder()
                    .layers(1 + random.nextInt(4))
                    .kvHeads(1 + random.nextInt(4))
                    .headSizes(1 + random.nextInt(40), 1 + random.nextInt(40))
                    .type(random.nextBoolean() ? KvType.F32 : KvType.F16)
                    .order(BlockOrder.ROWS)
                    .tokensPerBlock(1 + random.nextInt(20));
            if (random.nextBoolean()) {
                builder.layer(0, 1 + random.nextInt(5), 1 + random.nextInt(9), 1 + random.nextInt(9));
            }
            assertRowsDoNotOverlap(builder.build());
        }
    }

    private static void assertRowsDoNotOverlap(KvLayout layout) {
        BitSet taken = new BitSet();
        long payload = 0;
        for (int layer = 0; layer < layout.layers(); layer++) {
            assertEquals(0, layout.keyOffset(layer, 0) % 64);
            assertEquals(0, layout.valueOffset(layer, 0) % 64);
            for (int slot = 0; slot < layout.tokensPerBlock(); slot++) {
                int elements = layout.kvHeads(layer) * (layout.keyHeadSize(layer) + layout.valueHeadSize(layer));
                payload += (long) elements * layout.keyType().bytes();
                take(taken, layout.keyOffset(layer, slot), layout.keyRowBytes(layer), layout);
                take(taken, layout.valueOffset(layer, slot), layout.valueRowBytes(layer), layout);
            }
        }
        assertEquals(payload, taken.cardinality());
        assertEquals(payload, layout.bytesPerToken() * layout.tokensPerBlock());
        assertEquals(0, layout.blockBytes() % 64);
    }

    private static void take(BitSet taken, long offset, long bytes, KvLayout layout) {
        assertEquals(-1, firstTaken(taken, offset, bytes), () -> "overlap in " + layout);
        assertTrue(offset + bytes <= layout.blockBytes(), () -> "beyond the block in " + layout);
        taken.set((int) offset, (int) (offset + bytes));
    }

    private static int firstTaken(BitSet taken, long offset, long bytes) {
        int first = taken.nextSetBit((int) offset);
        return first >= 0 && first < offset + bytes ? first : -1;
    }

    @Test
    void shouldCountInLongBeyondTheRangeOfInt() {
        KvLayout layout = KvLayout.builder()
                .layers(128)
                .kvHeads(128)
                .headSize(256)
                .type(KvType.F32)
                .order(BlockOrder.ROWS)
                .tokensPerBlock(1024)
                .build();
        assertEquals(128L * 2 * 128 * 256 * 4, layout.bytesPerToken());
        assertEquals(layout.bytesPerToken() * 1024, layout.blockBytes());
        assertEquals(layout.blockBytes() - layout.valueRowBytes(127), layout.valueOffset(127, 1023));
    }

    @Test
    void shouldCountTheBlocksForTokens() {
        KvLayout layout = small().build();
        assertEquals(0, layout.blocksFor(0));
        assertEquals(1, layout.blocksFor(1));
        assertEquals(1, layout.blocksFor(16));
        assertEquals(2, layout.blocksFor(17));
        assertEquals(134_217_728, layout.blocksFor(Integer.MAX_VALUE));
    }

    @Test
    void shouldRefuseWhatIsNotPositive() {
        assertRefused("must be positive: layers=0", () -> small().layers(0));
        assertRefused("must be positive: kvHeads=-1", () -> small().kvHeads(-1));
        assertRefused("must be positive: keyHeadSize=0", () -> small().headSize(0));
        assertRefused("must be positive: valueHeadSize=0", () -> small().headSizes(4, 0));
        assertRefused("must be positive: tokensPerBlock=0", () -> small().tokensPerBlock(0));
        assertRefused(
                "must be positive: layers=0",
                () -> KvLayout.builder().kvHeads(1).headSize(1).build());
        assertRefused(
                "must be positive: kvHeads=0",
                () -> KvLayout.builder().layers(1).headSize(1).build());
    }

    @Test
    void shouldShowEveryShapeSoThatLayoutsThatDifferReadDifferently() {
        assertEquals(
                "KvLayout[layers=2 kvHeads=2 keyHeadSize=32 valueHeadSize=32 keyType=F16 valueType=F16 order=ROWS"
                        + " tokensPerBlock=16 bytesPerToken=512 blockBytes=8192]",
                small().build().toString());
        assertEquals(
                "KvLayout[layers=5 kvHeads=2 keyHeadSize=32 valueHeadSize=32"
                        + " from layer 1 kvHeads=1 keyHeadSize=8 valueHeadSize=4"
                        + " from layer 3 kvHeads=2 keyHeadSize=32 valueHeadSize=32"
                        + " keyType=F16 valueType=F16 order=ROWS tokensPerBlock=16 bytesPerToken=816 blockBytes=13056]",
                small().layers(5).layer(1, 1, 8, 4).layer(2, 1, 8, 4).build().toString());
    }

    @Test
    void shouldRefuseWhatOverflows() {
        assertRefused("too many layers: layers=65537 maximum=65536", () -> small().layers(65_537));
        String width = Thrown.message(
                IllegalArgumentException.class,
                () -> small().kvHeads(1 << 16).headSize(1 << 16).build());
        assertTrue(width.startsWith("layout overflows: layers=2 kvHeads=65536 keyHeadSize=65536"));
        String block = Thrown.message(
                IllegalArgumentException.class,
                () -> KvLayout.builder()
                        .layers(2)
                        .kvHeads(1)
                        .headSize(Integer.MAX_VALUE)
                        .type(KvType.F32)
                        .tokensPerBlock(Integer.MAX_VALUE)
                        .build());
        assertTrue(block.startsWith("layout overflows: "));
    }

    @Test
    void shouldRefuseLayersAndSlotsThatDoNotExist() {
        assertRefused(
                "no such layer: layer=2 layers=2",
                () -> small().layer(2, 1, 1, 1).build());
        KvLayout layout = small().build();
        assertOutOfBounds("no such layer: layer=2 layers=2", () -> layout.keyWidth(2));
        assertOutOfBounds("no such layer: layer=-1 layers=2", () -> layout.valueOffset(-1, 0));
        assertOutOfBounds("no such slot: slot=16 tokensPerBlock=16", () -> layout.keyOffset(0, 16));
        assertOutOfBounds("no such slot: slot=-1 tokensPerBlock=16", () -> layout.valueOffset(0, -1));
    }
}
