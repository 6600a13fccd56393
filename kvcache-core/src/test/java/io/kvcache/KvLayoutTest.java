package io.kvcache;

import static io.kvcache.Thrown.assertMisuse;
import static io.kvcache.Thrown.assertOutOfBounds;
import static io.kvcache.Thrown.assertRefused;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.BitSet;
import java.util.List;
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

    // ---- types and orders ----

    @Test
    void shouldGiveEveryElementAndScaleBytesOfItsOwnInEveryOrder() {
        Random random = new Random(6);
        List<KvType> types = List.of(KvType.values());
        for (int round = 0; round < 200; round++) {
            BlockOrder order = random.nextBoolean() ? BlockOrder.ROWS : BlockOrder.TILES;
            KvLayout.Builder builder = KvLayout.builder()
                    .layers(3)
                    .kvHeads(1 + random.nextInt(3))
                    .headSizes(1 + random.nextInt(70), 1 + random.nextInt(70))
                    .types(types.get(random.nextInt(4)), types.get(random.nextInt(4)))
                    .order(order)
                    .tokensPerBlock(order == BlockOrder.TILES ? 16 * (1 + random.nextInt(3)) : 1 + random.nextInt(33));
            if (random.nextBoolean()) {
                builder.layer(1, 1 + random.nextInt(3), 1 + random.nextInt(70), 1 + random.nextInt(70));
            }
            assertElementsDoNotOverlap(builder.build());
        }
    }

    private static void assertElementsDoNotOverlap(KvLayout layout) {
        BitSet taken = new BitSet();
        for (int layer = 0; layer < layout.layers(); layer++) {
            assertEquals(0, layout.keysOffset(layer) % 64);
            assertEquals(0, layout.valuesOffset(layer) % 64);
            for (int head = 0; head < layout.kvHeads(layer); head++) {
                for (int slot = 0; slot < layout.tokensPerBlock(); slot++) {
                    for (int i = 0; i < layout.keyHeadSize(layer); i++) {
                        long offset = layout.keyElementOffset(layer, head, slot, i);
                        take(taken, offset, layout.keyType().bytes(), layout);
                    }
                    for (int i = 0; i < layout.valueHeadSize(layer); i++) {
                        long offset = layout.valueElementOffset(layer, head, slot, i);
                        take(taken, offset, layout.valueType().bytes(), layout);
                    }
                }
            }
            takeScales(taken, layout, layer);
        }
        assertEquals(layout.tokensPerBlock() * layout.bytesPerToken(), taken.cardinality());
        assertEquals(0, layout.blockBytes() % 64);
    }

    private static void takeScales(BitSet taken, KvLayout layout, int layer) {
        long bytes = 4L * layout.kvHeads(layer) * layout.tokensPerBlock();
        if (layout.keyType() == KvType.INT8) {
            assertEquals(0, layout.keyScalesOffset(layer) % 64);
            take(taken, layout.keyScalesOffset(layer), bytes, layout);
        }
        if (layout.valueType() == KvType.INT8) {
            assertEquals(0, layout.valueScalesOffset(layer) % 64);
            take(taken, layout.valueScalesOffset(layer), bytes, layout);
        }
    }

    @Test
    void shouldCountScalesInABlockAndInAToken() {
        KvLayout layout = small().type(KvType.INT8).build();
        assertEquals(2 * 2 * 2 * (32 + 4), layout.bytesPerToken()); // layers, K and V, heads
        assertEquals(2 * 2 * 16 * 2 * (32 + 4), layout.blockBytes());
        assertEquals(16 * 2 * 32, layout.keyScalesOffset(0));
    }

    @Test
    void shouldCutHeadsIntoWords() {
        KvLayout layout = KvLayout.builder()
                .layers(1)
                .kvHeads(2)
                .headSizes(7, 33)
                .types(KvType.BF16, KvType.INT8)
                .tokensPerBlock(32)
                .build();
        assertEquals(4, layout.keyWords(0));
        assertEquals(9, layout.valueWords(0));
        assertEquals(2 * 32 * 4 * 4, layout.valuesOffset(0));
        assertEquals((32 + 16) * 16 + 3 * 64 + 2 * 4, layout.keyElementOffset(0, 1, 18, 6));
        assertEquals(1024 + 2 * 32 * 36, layout.valueScalesOffset(0));
    }

    @Test
    void shouldHaveRowsInRowOrderOnly() {
        KvLayout layout = small().order(BlockOrder.TILES).build();
        String rule = "rows exist in row order only: order=TILES";
        assertMisuse(rule, () -> layout.keyOffset(0, 0));
        assertMisuse(rule, () -> layout.valueOffset(0, 0));
        assertMisuse(rule, () -> layout.keyRowBytes(0));
        assertMisuse(rule, () -> layout.valueRowBytes(0));
    }

    @Test
    void shouldHaveScalesWhereTheTypeHas() {
        KvLayout keys = small().types(KvType.INT8, KvType.BF16).build();
        assertMisuse("type has no scales: valueType=BF16", () -> keys.valueScalesOffset(0));
        KvLayout values = small().types(KvType.F32, KvType.INT8).build();
        assertMisuse("type has no scales: keyType=F32", () -> values.keyScalesOffset(0));
    }

    @Test
    void shouldRefuseElementsOutOfRange() {
        KvLayout layout = small().build();
        assertOutOfBounds("no such head: head=2 kvHeads=2", () -> layout.keyElementOffset(0, 2, 0, 0));
        assertOutOfBounds("no such element: element=32 headSize=32", () -> layout.valueElementOffset(0, 0, 0, 32));
        assertOutOfBounds("no such slot: slot=16 tokensPerBlock=16", () -> layout.keyElementOffset(0, 0, 16, 0));
        assertOutOfBounds("no such layer: layer=2 layers=2", () -> layout.keyElementOffset(2, 0, 0, 0));
    }

    @Test
    void shouldRefuseTilesThatBlocksCannotHold() {
        assertRefused(
                "tiles need a multiple of 16 tokens in a block: tokensPerBlock=24 order=TILES",
                () -> small().order(BlockOrder.TILES).tokensPerBlock(24).build());
        assertRefused("must be positive: queryHeads=0", () -> small().queryHeads(0));
    }

    @Test
    void shouldDifferByOrderAndTypesAndNotByReasons() {
        KvLayout rows = small().build();
        KvLayout tiles = small().order(BlockOrder.TILES).build();
        assertNotEquals(rows, tiles);
        assertNotEquals(
                tiles,
                small().order(BlockOrder.TILES).types(KvType.F16, KvType.BF16).build());
        assertNotEquals(
                tiles,
                small().order(BlockOrder.TILES).types(KvType.BF16, KvType.F16).build());
        KvLayout byDefault = KvLayout.builder()
                .layers(2)
                .kvHeads(2)
                .headSize(32)
                .queryHeads(8)
                .build();
        assertEquals(tiles, byDefault);
        assertEquals(tiles.hashCode(), byDefault.hashCode());
        assertNotEquals(tiles.rationale(), byDefault.rationale());
    }

    // ---- what is chosen, and why ----

    @Test
    void shouldChooseManyTokensABlockWhereTheyMakeALongRun() {
        KvLayout.Builder model =
                KvLayout.builder().layers(32).kvHeads(8).headSize(128).queryHeads(32);
        KvLayout layout = model.build();
        assertEquals(64, layout.tokensPerBlock());
        assertEquals(BlockOrder.TILES, layout.order());
        assertEquals(
                "tokensPerBlock=64 by default, because K and V of a token take 4096 bytes in the largest layer: 64"
                    + " tokens make a run of at least 64 KiB, which memory delivers near its full speed. order=TILES"
                    + " by default, because tokensPerBlock is a multiple of 16, and vector kernels read tiles of 16"
                    + " tokens once for all query heads of a K/V head (queryHeads=32 kvHeads=8).",
                layout.rationale());
        assertEquals(
                64,
                KvLayout.builder().layers(1).kvHeads(2).headSize(128).build().tokensPerBlock()); // 1,024 bytes
    }

    @Test
    void shouldChooseFewTokensABlockForSmallModels() {
        KvLayout layout = KvLayout.builder().layers(6).kvHeads(2).headSize(127).build(); // 1,016 bytes
        assertEquals(16, layout.tokensPerBlock());
        assertEquals(BlockOrder.TILES, layout.order());
        assertEquals(
                "tokensPerBlock=16 by default, because K and V of a token take 1016 bytes in the largest layer: even"
                        + " 64 tokens would make a run below 64 KiB, and small blocks waste less and share more finely."
                        + " order=TILES by default, because tokensPerBlock is a multiple of 16, and vector kernels read"
                        + " tiles of 16 tokens once for all query heads of a K/V head.",
                layout.rationale());
    }

    @Test
    void shouldLookAtTheLargestLayerAndAtBothTypes() {
        KvLayout.Builder model = KvLayout.builder().layers(2).kvHeads(2).headSize(64);
        assertEquals(16, model.build().tokensPerBlock());
        assertEquals(64, model.layer(1, 4, 64, 64).build().tokensPerBlock());
        assertEquals(16, model.types(KvType.F16, KvType.INT8).build().tokensPerBlock());
        assertEquals(64, model.types(KvType.INT8, KvType.F32).build().tokensPerBlock());
    }

    @Test
    void shouldTakeWhatTheCallerChooses() {
        KvLayout layout = small().build();
        assertEquals(
                "tokensPerBlock=16 was chosen by the caller. order=ROWS was chosen by the caller.", layout.rationale());
        KvLayout odd = KvLayout.builder()
                .layers(1)
                .kvHeads(1)
                .headSize(8)
                .tokensPerBlock(20)
                .build();
        assertEquals(BlockOrder.ROWS, odd.order());
        assertEquals(
                "tokensPerBlock=20 was chosen by the caller. order=ROWS by default, because tokensPerBlock is not a"
                        + " multiple of 16, the tokens of a tile.",
                odd.rationale());
    }
}
