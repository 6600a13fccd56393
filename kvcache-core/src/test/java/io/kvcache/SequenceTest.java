package io.kvcache;

import static io.kvcache.Thrown.assertMisuse;
import static io.kvcache.Thrown.assertOutOfBounds;
import static io.kvcache.Thrown.assertRefused;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

final class SequenceTest {
    private static final int[] PROMPT = {7};

    /** 4 tokens a block, 2 layers, K rows of 6 and V rows of 4 floats. */
    private static final KvLayout LAYOUT = layout(KvType.F32);

    @RegisterExtension
    final Caches caches = new Caches();

    private static KvLayout layout(KvType type) {
        return KvLayout.builder()
                .layers(2)
                .kvHeads(2)
                .headSizes(3, 2)
                .type(type)
                .tokensPerBlock(4)
                .build();
    }

    private Sequence open(int blocks) {
        return caches.of(LAYOUT, blocks).namespace("test").open(PROMPT);
    }

    /** Appends tokens whose rows are filled with the token's number. */
    private static void append(Sequence sequence, int... tokens) {
        assertTrue(sequence.tryReserve(tokens.length));
        for (int token : tokens) {
            for (int layer = 0; layer < 2; layer++) {
                sequence.write(layer, sequence.length(), row(6, token + 100f * layer), row(4, -token));
            }
            sequence.commit(token);
        }
    }

    private static float[] row(int width, float value) {
        float[] row = new float[width];
        Arrays.fill(row, value);
        return row;
    }

    private static void assertTokens(Sequence sequence, int... tokens) {
        assertEquals(tokens.length, sequence.length());
        for (int position = 0; position < tokens.length; position++) {
            assertEquals(tokens[position], sequence.token(position));
            for (int layer = 0; layer < 2; layer++) {
                float[] key = new float[6];
                float[] value = new float[4];
                sequence.gather(layer, position, 1, key, 0, value, 0);
                assertArrayEquals(row(6, tokens[position] + 100f * layer), key);
                assertArrayEquals(row(4, -tokens[position]), value);
            }
        }
    }

    // ---- reserve ----

    @Test
    void shouldTakeBlocksOnlyForTheReservedSlots() {
        try (Sequence sequence = open(10)) {
            assertEquals(0, sequence.blocks());
            assertTrue(sequence.tryReserve(0));
            assertEquals(0, sequence.blocks());
            assertTrue(sequence.tryReserve(4));
            assertEquals(1, sequence.blocks());
            assertTrue(sequence.tryReserve(5));
            assertEquals(2, sequence.blocks());
            assertTrue(sequence.tryReserve(1)); // reserved already
            assertEquals(5, sequence.reserved());
        }
    }

    @Test
    void shouldChangeNothingWhenMemoryIsFull() {
        try (Sequence sequence = open(3)) {
            append(sequence, 1, 2, 3, 4, 5);
            long version = sequence.tableVersion();
            assertFalse(sequence.tryReserve(8));
            assertEquals(2, sequence.blocks());
            assertEquals(0, sequence.reserved());
            assertEquals(version, sequence.tableVersion());
            assertTrue(sequence.tryReserve(7));
        }
    }

    @Test
    void shouldRefuseMoreSlotsThanPositionsCount() {
        try (Sequence sequence = open(1)) {
            append(sequence, 1);
            assertRefused(
                    "cannot reserve so many slots: tokens=2147483639 length=1 maximumLength=2147483639",
                    () -> sequence.tryReserve(2_147_483_639));
            assertThrows(IllegalArgumentException.class, () -> sequence.tryReserve(-1));
            assertFalse(sequence.tryReserve(2_147_483_638));
            assertTokens(sequence, 1);
        }
    }

    @Test
    void shouldStayUsableWhenTheSystemRefusesMemory() {
        boolean[] refuse = {false};
        BlockMemory memory = new BlockMemory(1 << 20, 8 << 20, (arena, bytes) -> {
            if (refuse[0]) {
                throw new OutOfMemoryError("Cannot allocate");
            }
            return arena.allocate(bytes, 64);
        });
        SequencePool pool = KvCache.builder(LAYOUT).sequencesOver(memory);
        try (Sequence sequence =
                pool.open(pool.newPartition("test", NamespaceOptions.DEFAULT), PROMPT, OpenOptions.DEFAULT)) {
            append(sequence, 1, 2, 3, 4, 5); // two blocks: one chunk
            refuse[0] = true;
            long version = sequence.tableVersion();
            assertThrows(BlockMemoryException.class, () -> sequence.tryReserve(8));
            assertEquals(version, sequence.tableVersion());
            assertEquals(0, sequence.reserved());
            append(sequence, 6, 7, 8);
            refuse[0] = false;
            append(sequence, 9);
            assertTokens(sequence, 1, 2, 3, 4, 5, 6, 7, 8, 9);
            pool.verify();
        }
        assertEquals(0, pool.stats().usedBlocks());
        pool.close();
    }

    // ---- write ----

    @ParameterizedTest
    @EnumSource(names = {"F32", "F16", "BF16"})
    void shouldWriteManyRowsAcrossBlocksFromArraysAndMemory(KvType type) {
        KvCache cache = caches.of(layout(type), 10);
        float[] keys = new float[2 + 9 * 6];
        float[] values = new float[3 + 9 * 4];
        for (int i = 0; i < 9 * 6; i++) {
            keys[2 + i] = i;
        }
        for (int i = 0; i < 9 * 4; i++) {
            values[3 + i] = -i;
        }
        try (Sequence sequence = cache.namespace("test").open(PROMPT);
                Arena arena = Arena.ofConfined()) {
            assertTrue(sequence.tryReserve(9));
            sequence.write(0, 0, 9, keys, 2, values, 3);
            MemorySegment keyMemory = arena.allocateFrom(ValueLayout.JAVA_FLOAT, keys);
            MemorySegment valueMemory = arena.allocateFrom(ValueLayout.JAVA_FLOAT, values);
            sequence.write(1, 0, 9, keyMemory, 8, valueMemory, 12);
            for (int layer = 0; layer < 2; layer++) {
                float[] keysBack = new float[keys.length];
                float[] valuesBack = new float[values.length];
                sequence.gather(layer, 0, 9, keysBack, 2, valuesBack, 3);
                assertArrayEquals(keys, keysBack);
                assertArrayEquals(values, valuesBack);
                MemorySegment keysDense = arena.allocate(9 * 6 * 4);
                MemorySegment valuesDense = arena.allocate(9 * 4 * 4);
                sequence.gather(layer, 0, 9, keysDense, 0, valuesDense, 0);
                assertEquals(-1, keysDense.mismatch(keyMemory.asSlice(8)));
                assertEquals(-1, valuesDense.mismatch(valueMemory.asSlice(12)));
            }
        }
    }

    @Test
    void shouldRoundToF16AsIeee754Says() {
        KvCache cache = caches.of(layout(KvType.F16), 1);
        float[] written = {1f / 3, 65_519f, 65_520f, -0f, 0x1p-24f, Float.NaN};
        float[] rounded = {0x1.554p-2f, 65_504f, Float.POSITIVE_INFINITY, -0f, 0x1p-24f, Float.NaN};
        try (Sequence sequence = cache.namespace("test").open(PROMPT)) {
            assertTrue(sequence.tryReserve(1));
            sequence.write(0, 0, written, new float[4]);
            float[] back = new float[6];
            sequence.gather(0, 0, 1, back, 0, new float[4], 0);
            assertArrayEquals(rounded, back);
        }
    }

    @Test
    void shouldLetTheEngineWriteRowsInPlace() {
        try (Sequence sequence = open(2)) {
            append(sequence, 1, 2, 3);
            assertTrue(sequence.tryReserve(2));
            MemorySegment key = sequence.keyRow(1, 4);
            MemorySegment value = sequence.valueRow(1, 4);
            assertEquals(6 * 4, key.byteSize());
            assertEquals(4 * 4, value.byteSize());
            key.setAtIndex(ValueLayout.JAVA_FLOAT, 5, 8f);
            value.setAtIndex(ValueLayout.JAVA_FLOAT, 0, 9f);
            float[] keyBack = new float[6];
            float[] valueBack = new float[4];
            sequence.gather(1, 4, 1, keyBack, 0, valueBack, 0);
            assertEquals(8f, keyBack[5]);
            assertEquals(9f, valueBack[0]);
        }
    }

    @Test
    void shouldWriteOnlyReservedPositions() {
        try (Sequence sequence = open(3)) {
            append(sequence, 1, 2, 3);
            assertTrue(sequence.tryReserve(2));
            String rule = "only reserved positions can be written: position=";
            assertOutOfBounds(rule + "2 rows=1 length=3 reserved=2", () -> sequence.write(0, 2, row(6, 0), row(4, 0)));
            assertOutOfBounds(rule + "5 rows=1 length=3 reserved=2", () -> sequence.write(0, 5, row(6, 0), row(4, 0)));
            assertOutOfBounds(rule + "2 rows=1 length=3 reserved=2", () -> sequence.keyRow(0, 2));
            assertOutOfBounds(rule + "5 rows=1 length=3 reserved=2", () -> sequence.valueRow(0, 5));
            assertOutOfBounds(
                    rule + "4 rows=2 length=3 reserved=2", () -> sequence.write(0, 4, 2, row(12, 0), 0, row(8, 0), 0));
            assertOutOfBounds(
                    rule + "4 rows=-1 length=3 reserved=2",
                    () -> sequence.write(0, 4, -1, row(12, 0), 0, row(8, 0), 0));
            assertOutOfBounds("no such layer: layer=2 layers=2", () -> sequence.write(2, 3, row(6, 0), row(4, 0)));
            assertTokens(sequence, 1, 2, 3);
        }
    }

    @Test
    void shouldWriteNothingWhenASourceIsTooShort() {
        try (Sequence sequence = open(1)) {
            assertTrue(sequence.tryReserve(2));
            sequence.write(0, 0, 2, row(12, 5), 0, row(8, 5), 0);
            assertThrows(IndexOutOfBoundsException.class, () -> sequence.write(0, 0, row(6, 9), row(3, 9)));
            assertThrows(IndexOutOfBoundsException.class, () -> sequence.write(0, 0, row(5, 9), row(4, 9)));
            assertThrows(IndexOutOfBoundsException.class, () -> sequence.write(0, 0, 2, row(12, 9), 1, row(8, 9), 0));
            assertThrows(IndexOutOfBoundsException.class, () -> sequence.write(0, 0, 2, row(12, 9), 0, row(8, 9), -1));
            float[] key = new float[12];
            float[] value = new float[8];
            sequence.gather(0, 0, 2, key, 0, value, 0);
            assertArrayEquals(row(12, 5), key);
            assertArrayEquals(row(8, 5), value);
        }
    }

    // ---- commit ----

    @Test
    void shouldCommitAtMostTheReservedTokens() {
        try (Sequence sequence = open(3)) {
            assertTrue(sequence.tryReserve(3));
            assertMisuse(
                    "commit takes at most the reserved tokens: tokens=4 reserved=3 length=0",
                    () -> sequence.commit(new int[4]));
            sequence.commit(new int[] {9, 1, 2, 9}, 1, 2);
            assertEquals(2, sequence.length());
            assertEquals(1, sequence.reserved());
            assertEquals(1, sequence.token(0));
            assertEquals(2, sequence.token(1));
            assertThrows(IndexOutOfBoundsException.class, () -> sequence.token(2));
            assertThrows(IndexOutOfBoundsException.class, () -> sequence.commit(new int[2], 1, 2));
            sequence.commit(3);
            assertThrows(IllegalStateException.class, () -> sequence.commit(4));
        }
    }

    // ---- read ----

    @Test
    void shouldViewTheRowsOfABlockInPlace() {
        try (Sequence sequence = open(3)) {
            append(sequence, 1, 2, 3, 4, 5);
            assertTrue(sequence.tryReserve(2));
            assertEquals(4 * 6 * 4, sequence.keys(1, 0).byteSize());
            assertEquals(3 * 4 * 4, sequence.values(1, 1).byteSize()); // one committed, two reserved
            assertEquals(103f, sequence.keys(1, 0).getAtIndex(ValueLayout.JAVA_FLOAT, 2 * 6));
            assertEquals(-5f, sequence.values(0, 1).getAtIndex(ValueLayout.JAVA_FLOAT, 3));
            assertTrue(sequence.keys(0, 0).isReadOnly());
            assertTrue(sequence.values(0, 0).isReadOnly());
            assertTrue(sequence.segment(0).isReadOnly());
            assertOutOfBounds("no such block: block=2 blocks=2", () -> sequence.keys(0, 2));
            assertOutOfBounds("no such block: block=-1 blocks=2", () -> sequence.values(0, -1));
        }
    }

    @Test
    void shouldPointKernelsAtRows() {
        try (Sequence sequence = open(3)) {
            append(sequence, 1, 2, 3, 4, 5, 6);
            MemorySegment memory = sequence.segment(1);
            assertEquals(106f, memory.get(ValueLayout.JAVA_FLOAT, sequence.keyOffset(1, 5)));
            assertEquals(-6f, memory.get(ValueLayout.JAVA_FLOAT, sequence.valueOffset(0, 5)));
            assertEquals(sequence.keys(1, 1).address(), memory.address() + sequence.keyOffset(1, 4));
            assertEquals(24, sequence.keyOffset(1, 5) - sequence.keyOffset(1, 4));
            String rule = "only committed and reserved positions can be read: position=";
            assertOutOfBounds(rule + "6 rows=1 length=6 reserved=0", () -> sequence.keyOffset(0, 6));
            assertOutOfBounds(rule + "-1 rows=1 length=6 reserved=0", () -> sequence.valueOffset(0, -1));
            assertOutOfBounds(
                    rule + "5 rows=2 length=6 reserved=0",
                    () -> sequence.gather(0, 5, 2, new float[12], 0, new float[8], 0));
        }
    }

    @Test
    void shouldSayWhereABlockStarts() {
        try (Sequence sequence = open(3)) {
            append(sequence, 1, 2, 3, 4, 5, 6);
            assertEquals(sequence.blockOffset(1) + LAYOUT.keyOffset(1, 1), sequence.keyOffset(1, 5));
            assertEquals(LAYOUT.blockBytes(), sequence.blockOffset(1) - sequence.blockOffset(0));
            assertOutOfBounds("no such block: block=2 blocks=2", () -> sequence.blockOffset(2));
        }
    }

    @Test
    void shouldRefuseRowsInTiles() {
        KvLayout tiles = KvLayout.builder()
                .layers(1)
                .kvHeads(1)
                .headSize(8)
                .tokensPerBlock(16)
                .build();
        try (Sequence sequence = caches.of(tiles, 1).namespace("test").open(PROMPT)) {
            assertTrue(sequence.tryReserve(1));
            String rule = "rows exist in row order only: order=TILES";
            assertMisuse(rule, () -> sequence.keys(0, 0));
            assertMisuse(rule, () -> sequence.values(0, 0));
            assertMisuse(rule, () -> sequence.keyRow(0, 0));
            assertMisuse(rule, () -> sequence.valueRow(0, 0));
            assertMisuse(rule, () -> sequence.keyOffset(0, 0));
            assertMisuse(rule, () -> sequence.valueOffset(0, 0));
            assertMisuse("type has no scales: keyType=F16", () -> sequence.keyScales(0, 0));
            assertMisuse("type has no scales: valueType=F16", () -> sequence.valueScales(0, 0));
        }
    }

    @Test
    void shouldWriteRowsWithScalesItself() {
        try (Sequence sequence =
                caches.of(layout(KvType.INT8), 1).namespace("test").open(PROMPT)) {
            assertTrue(sequence.tryReserve(4));
            assertMisuse("rows with scales are written by the cache only: keyType=INT8", () -> sequence.keyRow(0, 0));
            assertMisuse(
                    "rows with scales are written by the cache only: valueType=INT8", () -> sequence.valueRow(0, 0));
            sequence.write(0, 1, new float[] {127, -64, 0, 0, 0, 2}, new float[4]);
            MemorySegment keys = sequence.keys(0, 0);
            assertEquals(4 * 6, keys.byteSize());
            assertEquals(-64, keys.get(ValueLayout.JAVA_BYTE, 6 + 1));
            assertEquals(127, keys.get(ValueLayout.JAVA_BYTE, 6 + 5));
            assertEquals(1f, sequence.keyScales(0, 0).getAtIndex(ValueLayout.JAVA_FLOAT, 1));
            assertEquals(2f / 127, sequence.keyScales(0, 0).getAtIndex(ValueLayout.JAVA_FLOAT, 4 + 1));
            assertTrue(sequence.keyScales(0, 0).isReadOnly());
        }
    }

    @Test
    void shouldPlaceConsecutiveBlocksSideBySide() {
        KvCache cache = caches.of(LAYOUT, 8);
        try (Sequence first = cache.namespace("test").open(PROMPT);
                Sequence second = cache.namespace("test").open(PROMPT)) {
            assertTrue(first.tryReserve(12));
            assertEquals(3, first.adjacentBlocks(0));
            assertEquals(1, first.adjacentBlocks(2));
            assertTrue(second.tryReserve(4));
            assertTrue(first.tryReserve(16));
            assertEquals(3, first.adjacentBlocks(0)); // second has taken the neighbour
            long apart = first.keyOffset(0, 4) - first.keyOffset(0, 0);
            assertEquals(LAYOUT.blockBytes(), apart);
        }
    }

    @Test
    void shouldTellTheBlockTableAndTheSlots() {
        try (Sequence sequence = open(3)) {
            append(sequence, 1, 2, 3, 4, 5, 6);
            int[] table = sequence.blockTable();
            assertEquals(2, table.length);
            int[] copy = new int[5];
            assertEquals(2, sequence.blockTable(copy));
            assertArrayEquals(new int[] {table[0], table[1], 0, 0, 0}, copy);
            long[] slots = new long[3];
            sequence.slotMapping(3, slots);
            assertArrayEquals(new long[] {table[0] * 4L + 3, table[1] * 4L, table[1] * 4L + 1}, slots);
            assertThrows(IndexOutOfBoundsException.class, () -> sequence.slotMapping(4, slots));
            assertThrows(IndexOutOfBoundsException.class, () -> sequence.blockTable(new int[1]));
        }
    }

    // ---- truncate ----

    @Test
    void shouldDropTheTailAndItsBlocks() {
        try (Sequence sequence = open(3)) {
            append(sequence, 1, 2, 3, 4, 5, 6, 7, 8, 9);
            assertTrue(sequence.tryReserve(2));
            sequence.truncate(5);
            assertEquals(2, sequence.blocks());
            assertEquals(0, sequence.reserved());
            append(sequence, 16, 17);
            assertTokens(sequence, 1, 2, 3, 4, 5, 16, 17);
            sequence.truncate(0);
            assertEquals(0, sequence.blocks());
            assertOutOfBounds("truncate keeps committed tokens only: length=1 committed=0", () -> sequence.truncate(1));
        }
    }

    @Test
    void shouldCancelTheReservationByTruncatingToTheLength() {
        try (Sequence sequence = open(3)) {
            append(sequence, 1, 2);
            assertTrue(sequence.tryReserve(8));
            sequence.truncate(2);
            assertEquals(1, sequence.blocks());
            assertEquals(0, sequence.reserved());
            assertTokens(sequence, 1, 2);
        }
    }

    // ---- fork ----

    @Test
    void shouldShareEveryBlockWithAFork() {
        KvCache cache = caches.of(LAYOUT, 3);
        try (Sequence sequence = cache.namespace("test").open(PROMPT)) {
            append(sequence, 1, 2, 3, 4, 5);
            try (Sequence fork = sequence.fork()) {
                assertArrayEquals(sequence.blockTable(), fork.blockTable());
                assertEquals(2, cache.stats().usedBlocks());
                assertTokens(fork, 1, 2, 3, 4, 5);
            }
            assertTokens(sequence, 1, 2, 3, 4, 5);
        }
    }

    @Test
    void shouldCopyASharedLastBlockBeforeWriting() {
        KvCache cache = caches.of(LAYOUT, 4);
        try (Sequence sequence = cache.namespace("test").open(PROMPT)) {
            append(sequence, 1, 2, 3, 4, 5, 6);
            try (Sequence fork = sequence.fork()) {
                long version = fork.tableVersion();
                append(fork, 17);
                assertNotEquals(version, fork.tableVersion());
                assertEquals(3, cache.stats().usedBlocks());
                append(sequence, 7, 8); // sole holder by now: in place
                assertEquals(3, cache.stats().usedBlocks());
                assertTokens(fork, 1, 2, 3, 4, 5, 6, 17);
                assertTokens(sequence, 1, 2, 3, 4, 5, 6, 7, 8);
            }
        }
    }

    @Test
    void shouldNotCopyASharedLastBlockThatIsFull() {
        KvCache cache = caches.of(LAYOUT, 4);
        try (Sequence sequence = cache.namespace("test").open(PROMPT)) {
            append(sequence, 1, 2, 3, 4);
            try (Sequence fork = sequence.fork()) {
                append(fork, 15);
                assertEquals(2, cache.stats().usedBlocks());
                assertTokens(fork, 1, 2, 3, 4, 15);
            }
        }
    }

    @Test
    void shouldCopyASharedBlockAfterACutInsideIt() {
        KvCache cache = caches.of(LAYOUT, 4);
        try (Sequence sequence = cache.namespace("test").open(PROMPT)) {
            append(sequence, 1, 2, 3, 4, 5);
            try (Sequence fork = sequence.fork()) {
                fork.truncate(2);
                append(fork, 13);
                assertTokens(fork, 1, 2, 13);
                assertTokens(sequence, 1, 2, 3, 4, 5);
            }
        }
    }

    @Test
    void shouldRefuseTheCopyWhenMemoryIsFullAndLeaveBothAsTheyWere() {
        KvCache cache = caches.of(LAYOUT, 1);
        try (Sequence sequence = cache.namespace("test").open(PROMPT)) {
            append(sequence, 1, 2);
            try (Sequence fork = sequence.fork()) {
                assertFalse(fork.tryReserve(1));
                assertFalse(sequence.tryReserve(1));
                assertTokens(fork, 1, 2);
            }
            append(sequence, 3);
            assertTokens(sequence, 1, 2, 3);
        }
    }

    @Test
    void shouldNotForkWhileSlotsAreReserved() {
        try (Sequence sequence = open(2)) {
            append(sequence, 1);
            assertTrue(sequence.tryReserve(2));
            assertMisuse("cannot fork while slots are reserved: reserved=2 length=1", sequence::fork);
            sequence.truncate(sequence.length());
            sequence.fork().close();
        }
    }

    // ---- close ----

    @Test
    void shouldGiveBackItsBlocksAtCloseAndThenRefuseEverything() {
        KvCache cache = caches.of(LAYOUT, 2);
        Sequence sequence = cache.namespace("tenant").open(PROMPT);
        append(sequence, 1, 2, 3, 4, 5);
        sequence.close();
        sequence.close();
        assertEquals(0, cache.stats().usedBlocks());
        assertEquals(0, cache.stats().openSequences());
        String message = "sequence is closed: id=1 namespace=tenant";
        assertMisuse(message, sequence::length);
        assertMisuse(message, () -> sequence.tryReserve(1));
        assertMisuse(message, () -> sequence.commit(1));
        assertMisuse(message, () -> sequence.keys(0, 0));
        assertMisuse(message, () -> sequence.write(0, 0, row(6, 0), row(4, 0)));
        assertMisuse(message, sequence::fork);
        assertMisuse(message, () -> sequence.truncate(0));
        assertEquals("Sequence[id=1 namespace=tenant closed]", sequence.toString());
    }

    @Test
    void shouldRecogniseAStaleHandleForEver() {
        KvCache cache = caches.of(LAYOUT, 2);
        Sequence stale = cache.namespace("test").open(PROMPT);
        append(stale, 1);
        stale.close();
        try (Sequence next = cache.namespace("test").open(PROMPT)) { // works on the very same table
            append(next, 2);
            assertThrows(IllegalStateException.class, stale::length);
            stale.close();
            assertTokens(next, 2);
        }
    }

    @Test
    void shouldGiveBackTheLastBlockFirst() {
        KvCache cache = caches.of(LAYOUT, 8);
        Sequence reserving = cache.namespace("test").open(PROMPT);
        assertTrue(reserving.tryReserve(12));
        int[] table = reserving.blockTable();
        reserving.close();
        try (Sequence next = cache.namespace("test").open(PROMPT)) {
            assertTrue(next.tryReserve(12));
            assertArrayEquals(table, next.blockTable()); // the first block lay on top, its neighbours behind it
        }
    }
}
