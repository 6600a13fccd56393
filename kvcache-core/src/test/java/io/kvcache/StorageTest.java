package io.kvcache;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** All types of K and V in all orders: where elements and scales lie, and that they stay what they are. */
final class StorageTest {
    private static final int[] HEAD_SIZES = {1, 7, 64, 80, 96, 128};
    private static final int LAYERS = HEAD_SIZES.length;

    @RegisterExtension
    final Caches caches = new Caches();

    private Random random = new Random(30);

    static Stream<Arguments> axes() {
        return Stream.of(KvType.values())
                .flatMap(key -> Stream.of(KvType.values())
                        .flatMap(value -> Stream.of(
                                Arguments.of(key, value, BlockOrder.ROWS, 1),
                                Arguments.of(key, value, BlockOrder.ROWS, 5),
                                Arguments.of(key, value, BlockOrder.ROWS, 16),
                                Arguments.of(key, value, BlockOrder.TILES, 16),
                                Arguments.of(key, value, BlockOrder.TILES, 48))));
    }

    static Stream<Arguments> typesAndOrders() {
        return axes().filter(axis -> axis.get()[3].equals(16));
    }

    /** Each head size once for K and once for V, with 1 to 3 heads. */
    private static KvLayout layout(KvType key, KvType value, BlockOrder order, int tokensPerBlock) {
        KvLayout.Builder builder =
                KvLayout.builder().layers(LAYERS).types(key, value).order(order).tokensPerBlock(tokensPerBlock);
        for (int layer = 0; layer < LAYERS; layer++) {
            builder.layer(layer, 1 + layer % 3, HEAD_SIZES[layer], HEAD_SIZES[(layer + 2) % LAYERS]);
        }
        return builder.build();
    }

    private static int headSize(KvLayout layout, int layer, boolean key) {
        return key ? layout.keyHeadSize(layer) : layout.valueHeadSize(layer);
    }

    // ---- rows that are written ----

    /** What has been written: [layer][position] rows of K and V. */
    private final float[][][] keys = new float[LAYERS][200][];

    private final float[][][] values = new float[LAYERS][200][];

    private float[] rows(int count, int heads, int headSize) {
        float[] rows = new float[count * heads * headSize];
        for (int head = 0; head < count * heads; head++) {
            float magnitude = Math.scalb(1f, random.nextInt(-20, 20));
            int kind = random.nextInt(20);
            for (int i = 0; i < headSize; i++) {
                rows[head * headSize + i] = kind == 0 ? 0 : (float) random.nextGaussian() * magnitude;
            }
            if (kind == 1) {
                rows[head * headSize + random.nextInt(headSize)] = Float.NaN;
            } else if (kind == 2) {
                rows[head * headSize + random.nextInt(headSize)] = Float.NEGATIVE_INFINITY;
            }
        }
        return rows;
    }

    private void write(Sequence sequence, int position, int count) {
        KvLayout layout = sequence.layout();
        for (int layer = 0; layer < LAYERS; layer++) {
            int heads = layout.kvHeads(layer);
            float[] key = rows(count, heads, layout.keyHeadSize(layer));
            float[] value = rows(count, heads, layout.valueHeadSize(layer));
            if (random.nextBoolean()) {
                float[] keyArray = new float[key.length + 3];
                float[] valueArray = new float[value.length + 1];
                System.arraycopy(key, 0, keyArray, 2, key.length);
                System.arraycopy(value, 0, valueArray, 1, value.length);
                sequence.write(layer, position, count, keyArray, 2, valueArray, 1);
            } else {
                try (Arena arena = Arena.ofConfined()) {
                    MemorySegment keyMemory = arena.allocate(key.length * 4L + 1); // not aligned
                    MemorySegment valueMemory = arena.allocate(value.length * 4L + 7);
                    keyMemory.asSlice(1).copyFrom(MemorySegment.ofArray(key));
                    valueMemory.asSlice(7).copyFrom(MemorySegment.ofArray(value));
                    sequence.write(layer, position, count, keyMemory, 1, valueMemory, 7);
                }
            }
            for (int i = 0; i < count; i++) {
                int keyWidth = layout.keyWidth(layer);
                int valueWidth = layout.valueWidth(layer);
                keys[layer][position + i] = Arrays.copyOfRange(key, i * keyWidth, (i + 1) * keyWidth);
                values[layer][position + i] = Arrays.copyOfRange(value, i * valueWidth, (i + 1) * valueWidth);
            }
        }
    }

    /** In runs of random length and order; some positions twice. */
    private void writeAll(Sequence sequence, int from, int to) {
        for (int position = from; position < to; ) {
            int count = random.nextInt(3) == 0 ? 1 : 1 + random.nextInt(to - position);
            write(sequence, position, count);
            position += count;
        }
        write(sequence, from + random.nextInt(to - from), 1);
    }

    private void assertStored(Sequence sequence, int from, int to) {
        KvLayout layout = sequence.layout();
        long block = 0;
        for (int layer = 0; layer < LAYERS; layer++) {
            block = assertStored(sequence, layer, true, from, to, block);
            block = assertStored(sequence, layer, false, from, to, block);
            assertGathered(sequence, layer, from, to - from);
        }
        assertEquals(block, layout.blockBytes());
    }

    /**
     * Elements and scales of K or V of a layer, at offsets that are computed here once more.
     *
     * @param start of the matrix, in bytes from the start of the block
     * @return where the next one starts
     */
    private long assertStored(Sequence sequence, int layer, boolean key, int from, int to, long start) {
        KvLayout layout = sequence.layout();
        KvType type = key ? layout.keyType() : layout.valueType();
        int size = headSize(layout, layer, key);
        int heads = layout.kvHeads(layer);
        int tokens = layout.tokensPerBlock();
        int words = (size * type.bytes() + 3) / 4;
        boolean tiles = layout.order() == BlockOrder.TILES;
        long data = tiles ? (long) heads * tokens * words * 4 : (long) heads * tokens * size * type.bytes();
        long scales = (start + data + 63) / 64 * 64;
        for (int position = from; position < to; position++) {
            MemorySegment memory = sequence.segment(position / tokens);
            long block = sequence.blockOffset(position / tokens);
            int slot = position % tokens;
            for (int head = 0; head < heads; head++) {
                float[] row = (key ? keys : values)[layer][position];
                StoredElements stored =
                        StoredElements.of(type, Arrays.copyOfRange(row, head * size, (head + 1) * size));
                for (int i = 0; i < size; i++) {
                    long inHead = (long) i * type.bytes();
                    long at = start;
                    if (tiles) {
                        at += (long) head * tokens * words * 4 + inHead(key, words, tokens, slot, inHead);
                    } else {
                        at += ((long) slot * heads + head) * size * type.bytes() + inHead;
                    }
                    assertEquals(
                            at,
                            key
                                    ? layout.keyElementOffset(layer, head, slot, i)
                                    : layout.valueElementOffset(layer, head, slot, i));
                    int raw = StoredElements.rawAt(type, memory, block + at);
                    if (!Float.isNaN(stored.read()[i]) || type == KvType.INT8) {
                        assertEquals(stored.raw()[i], raw);
                    }
                }
                for (int i = size * type.bytes(); tiles && i < words * 4; i++) {
                    long at = start + (long) head * tokens * words * 4 + inHead(key, words, tokens, slot, i);
                    assertEquals(0, memory.get(JAVA_BYTE, block + at));
                }
                if (type == KvType.INT8) {
                    long at = scales + ((long) head * tokens + slot) * 4;
                    assertEquals(stored.scale(), memory.get(JAVA_FLOAT, block + at));
                    MemorySegment view = key
                            ? sequence.keyScales(layer, position / tokens)
                            : sequence.valueScales(layer, position / tokens);
                    assertEquals(4L * heads * tokens, view.byteSize());
                    assertEquals(memory.address() + block + scales, view.address());
                    assertEquals(scales, key ? layout.keyScalesOffset(layer) : layout.valueScalesOffset(layer));
                }
            }
        }
        return type == KvType.INT8 ? (scales + (long) heads * tokens * 4 + 63) / 64 * 64 : scales;
    }

    private static long inHead(boolean key, long words, long tokens, long token, long inHead) {
        long word = inHead / 4;
        if (key) {
            return token / 16 * words * 64 + word * 64 + token % 16 * 4 + inHead % 4;
        }
        long chunk = word / 16;
        long lineBytes = chunk < words / 16 ? 64 : words % 16 * 4;
        return chunk * tokens * 64 + token * lineBytes + word % 16 * 4 + inHead % 4;
    }

    private void assertGathered(Sequence sequence, int layer, int from, int count) {
        KvLayout layout = sequence.layout();
        int keyWidth = layout.keyWidth(layer);
        int valueWidth = layout.valueWidth(layer);
        float[] expectedKeys = expected(layout, layer, true, from, count);
        float[] expectedValues = expected(layout, layer, false, from, count);
        float[] keyArray = new float[2 + count * keyWidth];
        float[] valueArray = new float[1 + count * valueWidth];
        sequence.gather(layer, from, count, keyArray, 2, valueArray, 1);
        assertArrayEquals(expectedKeys, Arrays.copyOfRange(keyArray, 2, keyArray.length));
        assertArrayEquals(expectedValues, Arrays.copyOfRange(valueArray, 1, valueArray.length));
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment keyMemory = arena.allocate(1 + 4L * count * keyWidth);
            MemorySegment valueMemory = arena.allocate(3 + 4L * count * valueWidth);
            sequence.gather(layer, from, count, keyMemory, 1, valueMemory, 3);
            MemorySegment.ofArray(keyArray).fill((byte) 0);
            MemorySegment.copy(keyMemory, 1, MemorySegment.ofArray(keyArray), 0, keyMemory.byteSize() - 1);
            MemorySegment.copy(valueMemory, 3, MemorySegment.ofArray(valueArray), 0, valueMemory.byteSize() - 3);
            assertArrayEquals(expectedKeys, Arrays.copyOf(keyArray, expectedKeys.length));
            assertArrayEquals(expectedValues, Arrays.copyOf(valueArray, expectedValues.length));
        }
    }

    private float[] expected(KvLayout layout, int layer, boolean key, int from, int count) {
        int size = headSize(layout, layer, key);
        float[] expected = new float[count * layout.kvHeads(layer) * size];
        int to = 0;
        for (int position = from; position < from + count; position++) {
            float[] row = (key ? keys : values)[layer][position];
            for (int at = 0; at < row.length; at += size) {
                float[] read = StoredElements.of(
                                key ? layout.keyType() : layout.valueType(), Arrays.copyOfRange(row, at, at + size))
                        .read();
                System.arraycopy(read, 0, expected, to, size);
                to += size;
            }
        }
        return expected;
    }

    @ParameterizedTest
    @MethodSource("axes")
    void shouldStoreEveryElementAndScaleWhereTheLayoutSays(
            KvType key, KvType value, BlockOrder order, int tokensPerBlock) {
        random = new Random((key + " " + value).hashCode());
        KvLayout layout = layout(key, value, order, tokensPerBlock);
        int reach = 3 * tokensPerBlock - tokensPerBlock / 2;
        try (Sequence sequence = caches.of(layout, 4).namespace("test").open(new int[1])) {
            assertTrue(sequence.tryReserve(reach));
            writeAll(sequence, 0, reach);
            assertStored(sequence, 0, reach);
        }
    }

    // ---- blocks that are shared and copied ----

    /** The bytes of all elements and scales of the first slots of a block. */
    private static byte[] bytes(Sequence sequence, int block, int slots) {
        KvLayout layout = sequence.layout();
        MemorySegment memory = sequence.segment(block).asSlice(sequence.blockOffset(block), layout.blockBytes());
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        for (int layer = 0; layer < layout.layers(); layer++) {
            for (int head = 0; head < layout.kvHeads(layer); head++) {
                for (int slot = 0; slot < slots; slot++) {
                    for (int i = 0; i < layout.keyHeadSize(layer); i++) {
                        add(
                                bytes,
                                memory,
                                layout.keyElementOffset(layer, head, slot, i),
                                layout.keyType().bytes());
                    }
                    for (int i = 0; i < layout.valueHeadSize(layer); i++) {
                        add(
                                bytes,
                                memory,
                                layout.valueElementOffset(layer, head, slot, i),
                                layout.valueType().bytes());
                    }
                    int scale = (head * layout.tokensPerBlock() + slot) * 4;
                    if (layout.keyType() == KvType.INT8) {
                        add(bytes, memory, layout.keyScalesOffset(layer) + scale, 4);
                    }
                    if (layout.valueType() == KvType.INT8) {
                        add(bytes, memory, layout.valueScalesOffset(layer) + scale, 4);
                    }
                }
            }
        }
        return bytes.toByteArray();
    }

    private static void add(ByteArrayOutputStream bytes, MemorySegment memory, long offset, int count) {
        bytes.writeBytes(memory.asSlice(offset, count).toArray(JAVA_BYTE));
    }

    private static byte[] wholeBlock(Sequence sequence, int block) {
        return sequence.segment(block)
                .asSlice(sequence.blockOffset(block), sequence.layout().blockBytes())
                .toArray(JAVA_BYTE);
    }

    private Sequence openWith(KvLayout layout, int blocks, int tokens) {
        Sequence sequence = caches.of(layout, blocks).namespace("test").open(new int[1]);
        assertTrue(sequence.tryReserve(tokens));
        writeAll(sequence, 0, tokens);
        sequence.commit(IntStream.range(0, tokens).toArray());
        return sequence;
    }

    @ParameterizedTest
    @MethodSource("typesAndOrders")
    void shouldCopyElementsAndScalesOfASharedTailAsTheyAre(
            KvType key, KvType value, BlockOrder order, int tokensPerBlock) {
        KvLayout layout = layout(key, value, order, 2 * tokensPerBlock);
        int length = 2 * tokensPerBlock + tokensPerBlock + 5; // the tail: a tile and 5 tokens
        try (Sequence sequence = openWith(layout, 6, length);
                Sequence fork = sequence.fork()) {
            byte[] shared = wholeBlock(sequence, 0);
            byte[] tail = wholeBlock(sequence, 1);
            assertTrue(fork.tryReserve(3));
            assertNotEquals(sequence.blockTable()[1], fork.blockTable()[1]);
            assertArrayEquals(bytes(sequence, 1, tokensPerBlock + 5), bytes(fork, 1, tokensPerBlock + 5));
            writeAll(fork, length, length + 3);
            assertStored(fork, 0, length + 3);
            assertArrayEquals(shared, wholeBlock(sequence, 0));
            assertArrayEquals(tail, wholeBlock(sequence, 1));
        }
    }

    @ParameterizedTest
    @MethodSource("typesAndOrders")
    void shouldCopyElementsAndScalesOfAPartialHitAsTheyAre(
            KvType key, KvType value, BlockOrder order, int tokensPerBlock) {
        KvLayout layout = layout(key, value, order, tokensPerBlock);
        int length = 2 * tokensPerBlock;
        KvCache cache = caches.of(layout, 6);
        try (Sequence sequence = cache.namespace("test").open(new int[1])) {
            assertTrue(sequence.tryReserve(length));
            writeAll(sequence, 0, length);
            sequence.commit(IntStream.range(0, length).toArray());
            int matching = tokensPerBlock + 7;
            int[] prompt =
                    IntStream.range(0, length).map(i -> i < matching ? i : -i).toArray();
            try (Sequence other = cache.namespace("test").open(prompt)) {
                assertEquals(matching, other.cachedTokens());
                byte[] before = wholeBlock(sequence, 1);
                assertTrue(other.tryReserve(2));
                assertNotEquals(sequence.blockTable()[1], other.blockTable()[1]);
                assertArrayEquals(bytes(sequence, 1, 7), bytes(other, 1, 7));
                writeAll(other, matching, matching + 2);
                assertStored(other, 0, matching + 2);
                assertArrayEquals(before, wholeBlock(sequence, 1));
            }
        }
    }

    @ParameterizedTest
    @MethodSource("typesAndOrders")
    void shouldRewriteWhatWasTruncated(KvType key, KvType value, BlockOrder order, int tokensPerBlock) {
        KvLayout layout = layout(key, value, order, tokensPerBlock);
        try (Sequence sequence = openWith(layout, 6, tokensPerBlock + 9)) {
            byte[] kept = bytes(sequence, 1, 4);
            sequence.truncate(tokensPerBlock + 4);
            assertTrue(sequence.tryReserve(tokensPerBlock));
            writeAll(sequence, tokensPerBlock + 4, 2 * tokensPerBlock + 4);
            assertArrayEquals(kept, bytes(sequence, 1, 4));
            assertStored(sequence, 0, 2 * tokensPerBlock + 4);
        }
    }
}
