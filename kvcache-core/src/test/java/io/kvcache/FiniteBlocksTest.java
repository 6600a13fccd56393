package io.kvcache;

import static java.lang.foreign.ValueLayout.JAVA_SHORT;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Objects;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Which blocks are known to hold finite halves only. */
final class FiniteBlocksTest {
    private static final int TOKENS = 16;

    @RegisterExtension
    final Caches caches = new Caches();

    private static KvLayout layout(
            KvType keyType, KvType valueType, BlockOrder order, int kvHeads, int keySize, int valueSize) {
        return KvLayout.builder()
                .layers(2)
                .kvHeads(kvHeads)
                .headSizes(keySize, valueSize)
                .types(keyType, valueType)
                .order(order)
                .tokensPerBlock(TOKENS)
                .build();
    }

    private static KvLayout layout(BlockOrder order) {
        return layout(KvType.F16, KvType.F16, order, 1, 5, 3);
    }

    /** Writes through arrays or through memory; whatever way, it must make no difference. */
    private static void write(
            Sequence sequence, boolean arrays, int layer, int position, int rows, float[] keys, float[] values) {
        if (arrays) {
            sequence.write(layer, position, rows, keys, 0, values, 0);
            return;
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment keyMemory = arena.allocate(4L * keys.length + 1); // not aligned
            keyMemory.asSlice(1).copyFrom(MemorySegment.ofArray(keys));
            MemorySegment valueMemory = arena.allocate(4L * values.length);
            valueMemory.copyFrom(MemorySegment.ofArray(values));
            sequence.write(layer, position, rows, keyMemory, 1, valueMemory, 0);
        }
    }

    /** Rows of zeros, one element of a key apart. */
    private static void writeKey(Sequence sequence, int position, float element) {
        KvLayout layout = sequence.layout();
        float[] key = new float[layout.keyWidth(0)];
        key[1] = element;
        sequence.write(0, position, key, new float[layout.valueWidth(0)]);
    }

    private static void writeZeros(Sequence sequence, int from, int to) {
        KvLayout layout = sequence.layout();
        for (int layer = 0; layer < layout.layers(); layer++) {
            float[] keys = new float[(to - from) * layout.keyWidth(layer)];
            float[] values = new float[(to - from) * layout.valueWidth(layer)];
            sequence.write(layer, from, to - from, keys, 0, values, 0);
        }
    }

    private static String finiteBlocks(Sequence sequence) {
        StringBuilder text = new StringBuilder();
        for (int block = 0; block < sequence.blocks(); block++) {
            text.append(sequence.isFinite(block) ? '.' : 'X');
        }
        return text.toString();
    }

    private static Sequence opened(KvCache cache, int tokens) {
        Sequence sequence = cache.namespace("test").open(new int[1]);
        assertTrue(sequence.tryReserve(tokens));
        return sequence;
    }

    private static int[] prompt(int tokens) {
        return IntStream.range(100, 100 + tokens).toArray();
    }

    // ---- which elements ----

    @ParameterizedTest
    @CsvSource({
        "NaN, false",
        "Infinity, false",
        "-Infinity, false",
        "3.4028235e38, false",
        "-1e9, false",
        "65520, false",
        "-65520, false",
        "65519.996, true",
        "65519, true",
        "-65519, true",
        "65504, true",
        "-65504, true",
        "32768, true",
        "6e-8, true",
        "1e-45, true",
        "-0.0, true",
        "1, true"
    })
    void shouldSeeWhetherAnyElementIsFinite(float element, boolean finite) {
        for (BlockOrder order : BlockOrder.values()) {
            KvLayout layout = layout(order);
            KvCache cache = caches.of(layout, 1);
            int keyWidth = layout.keyWidth(0);
            for (int place = 0; place < keyWidth + layout.valueWidth(0); place++) {
                for (int at = 0; at < 48; at++) { // row, rows at once, arrays or memory
                    int position = at % 16;
                    int rows = Math.min(16 - position, new int[] {1, 3, 16}[at / 16]);
                    float[] keys = new float[rows * keyWidth];
                    float[] values = new float[rows * layout.valueWidth(0)];
                    int row = place % rows;
                    if (place < keyWidth) {
                        keys[row * keyWidth + place] = element;
                    } else {
                        values[row * layout.valueWidth(0) + place - keyWidth] = element;
                    }
                    try (Sequence sequence = opened(cache, TOKENS)) {
                        assertTrue(sequence.isFinite(0)); // what the last sequence left there does not count
                        write(sequence, (place + at) % 2 == 0, at % 2, position, rows, keys, values);
                        assertEquals(finite, sequence.isFinite(0), "place=" + place + " at=" + at);
                        writeZeros(sequence, 0, TOKENS);
                        assertEquals(finite, sequence.isFinite(0)); // overwritten, but it stays
                    }
                }
            }
        }
    }

    @ParameterizedTest
    @EnumSource(BlockOrder.class)
    void shouldLookAtEveryElementOfWideRows(BlockOrder order) {
        KvLayout layout = layout(KvType.F16, KvType.F16, order, 3, 1401, 801); // converted in several steps
        KvCache cache = caches.of(layout, 1);
        Random random = new Random(7);
        for (int i = 0; i < 200; i++) {
            float[] keys = new float[2 * layout.keyWidth(0)];
            float[] values = new float[2 * layout.valueWidth(0)];
            float[] hit = i % 2 == 0 ? keys : values;
            int at = i < 4 ? (hit.length - 1) * (i / 2) : random.nextInt(hit.length);
            hit[at] = Float.NaN;
            try (Sequence sequence = opened(cache, TOKENS)) {
                int position = random.nextInt(15);
                write(sequence, random.nextBoolean(), 1, position, 2, keys, values);
                assertFalse(sequence.isFinite(0), "i=" + i + " at=" + at);
            }
        }
    }

    @ParameterizedTest
    @EnumSource(BlockOrder.class)
    void shouldKnowOfEveryBlockForItself(BlockOrder order) {
        Random random = new Random(8);
        KvLayout layout = layout(order);
        KvCache cache = caches.of(layout, 6);
        for (int round = 0; round < 300; round++) {
            try (Sequence sequence = opened(cache, 6 * TOKENS)) {
                char[] expected = "......".toCharArray();
                for (int writes = 0; writes < 4; writes++) {
                    int position = random.nextInt(6 * TOKENS);
                    int rows = 1 + random.nextInt(Math.min(40, 6 * TOKENS - position));
                    float[] keys = elements(random, rows * layout.keyWidth(0));
                    float[] values = elements(random, rows * layout.valueWidth(0));
                    write(sequence, random.nextBoolean(), random.nextInt(2), position, rows, keys, values);
                    for (int row = 0; row < rows; row++) {
                        if (overflows(keys, row, layout.keyWidth(0)) || overflows(values, row, layout.valueWidth(0))) {
                            expected[(position + row) / TOKENS] = 'X';
                        }
                    }
                    assertEquals(new String(expected), finiteBlocks(sequence));
                }
            }
        }
    }

    /** Mostly as large as can be. */
    private static float[] elements(Random random, int count) {
        float[] elements = new float[count];
        for (int i = 0; i < count; i++) {
            elements[i] = random.nextFloat(-65519f, 65519f);
        }
        if (random.nextInt(4) == 0) {
            float[] odd = {Float.NaN, Float.NEGATIVE_INFINITY, 65520, -7e20f};
            elements[random.nextInt(count)] = odd[random.nextInt(odd.length)];
        }
        return elements;
    }

    private static boolean overflows(float[] rows, int row, int width) {
        float[] elements = Arrays.copyOfRange(rows, row * width, (row + 1) * width);
        return IntStream.range(0, width).anyMatch(i -> !(Math.abs((double) elements[i]) < 65520));
    }

    @ParameterizedTest
    @EnumSource(BlockOrder.class)
    void shouldAskForF16Only(BlockOrder order) {
        float[] elements = {1, Float.NaN, Float.POSITIVE_INFINITY, -1e9f};
        for (KvType keyType : KvType.values()) {
            for (KvType valueType : KvType.values()) {
                KvCache cache = caches.of(layout(keyType, valueType, order, 2, 2, 2), 2);
                for (boolean arrays : new boolean[] {true, false}) {
                    try (Sequence sequence = opened(cache, TOKENS)) {
                        write(sequence, arrays, 0, 3, 1, elements, new float[4]);
                        assertEquals(keyType != KvType.F16, sequence.isFinite(0));
                    }
                    try (Sequence sequence = opened(cache, TOKENS)) {
                        write(sequence, arrays, 1, 3, 1, new float[4], elements);
                        assertEquals(valueType != KvType.F16, sequence.isFinite(0));
                    }
                }
            }
        }
    }

    @Test
    void shouldNotLookAtWhatIsWrittenInPlace() {
        try (Sequence sequence = opened(caches.of(layout(BlockOrder.ROWS), 1), 1)) {
            sequence.keyRow(0, 0).set(JAVA_SHORT, 0, (short) 0x7c00);
            sequence.valueRow(0, 0).set(JAVA_SHORT, 0, (short) 0x7c00);
            assertTrue(sequence.isFinite(0));
        }
    }

    @Test
    void shouldRefuseBlocksThatAreNotThere() {
        Sequence sequence = opened(caches.of(layout(BlockOrder.ROWS), 2), TOKENS + 1);
        Thrown.assertMessage(
                "no such block: block=2 blocks=2", IndexOutOfBoundsException.class, () -> sequence.isFinite(2));
        Thrown.assertMessage(
                "no such block: block=-1 blocks=2", IndexOutOfBoundsException.class, () -> sequence.isFinite(-1));
        sequence.close();
        assertThrows(IllegalStateException.class, () -> sequence.isFinite(0));
    }

    // ---- blocks that are shared, copied and used again ----

    @ParameterizedTest
    @EnumSource(BlockOrder.class)
    void shouldStayThroughForkAndCopyOnWrite(BlockOrder order) {
        int length = 2 * TOKENS + 5;
        KvCache cache = caches.of(layout(order), 8);
        try (Sequence sequence = opened(cache, length)) {
            writeZeros(sequence, 0, length);
            writeKey(sequence, 1, Float.NaN);
            writeKey(sequence, 2 * TOKENS + 2, Float.NaN);
            sequence.commit(prompt(length));
            try (Sequence fork = sequence.fork()) {
                assertEquals("X.X", finiteBlocks(fork));
                assertTrue(fork.tryReserve(TOKENS));
                assertNotEquals(sequence.blockTable()[2], fork.blockTable()[2]);
                assertEquals("X.X.", finiteBlocks(fork));
                writeZeros(fork, length, length + TOKENS);
                assertEquals("X.X.", finiteBlocks(fork));
            }
            assertEquals("X.X", finiteBlocks(sequence));
        }
    }

    @ParameterizedTest
    @EnumSource(BlockOrder.class)
    void shouldNotMarkTheSourceOfACopy(BlockOrder order) {
        int length = TOKENS + 5;
        KvCache cache = caches.of(layout(order), 4);
        try (Sequence sequence = opened(cache, length)) {
            writeZeros(sequence, 0, length);
            sequence.commit(prompt(length));
            try (Sequence fork = sequence.fork()) {
                assertTrue(fork.tryReserve(2));
                assertEquals("..", finiteBlocks(fork));
                writeKey(fork, length + 1, Float.NEGATIVE_INFINITY);
                assertEquals(".X", finiteBlocks(fork));
                assertEquals("..", finiteBlocks(sequence));
            }
        }
    }

    @ParameterizedTest
    @EnumSource(BlockOrder.class)
    void shouldStayThroughAPartialHit(BlockOrder order) {
        int length = 3 * TOKENS;
        KvCache cache = caches.of(layout(order), 8);
        try (Sequence sequence = opened(cache, length)) {
            writeZeros(sequence, 0, length);
            writeKey(sequence, 0, Float.NaN);
            writeKey(sequence, 2 * TOKENS + 2, 1e20f);
            sequence.commit(prompt(length));
        }
        int[] prompt = prompt(length);
        prompt[2 * TOKENS + 7] = -1;
        try (Sequence sequence = cache.namespace("test").open(prompt)) {
            assertEquals(2 * TOKENS + 7, sequence.cachedTokens());
            int shared = sequence.blockTable()[2];
            assertEquals("X.X", finiteBlocks(sequence));
            assertTrue(sequence.tryReserve(2));
            assertNotEquals(shared, sequence.blockTable()[2]);
            assertEquals("X.X", finiteBlocks(sequence));
        }
        prompt = prompt(length);
        prompt[TOKENS + 7] = -1;
        try (Sequence sequence = cache.namespace("test").open(prompt)) {
            assertEquals(TOKENS + 7, sequence.cachedTokens());
            assertTrue(sequence.tryReserve(2));
            assertEquals("X.", finiteBlocks(sequence)); // into the block that was marked before
        }
    }

    @Test
    void shouldBeThatOfABlockThatIsTakenOver() {
        KvCache cache = caches.of(layout(BlockOrder.TILES), 4);
        try (Sequence first = opened(cache, TOKENS);
                Sequence second = opened(cache, TOKENS)) {
            writeZeros(first, 0, TOKENS);
            writeKey(first, 3, Float.NaN);
            first.commit(prompt(TOKENS));
            writeZeros(second, 0, TOKENS);
            assertEquals(".", finiteBlocks(second));
            second.commit(prompt(TOKENS));
            assertArrayEquals(first.blockTable(), second.blockTable());
            assertEquals("X", finiteBlocks(second));
        }
    }

    @Test
    void shouldStayWhereTheLastTokensAreRewritten() {
        KvCache cache = caches.of(layout(BlockOrder.TILES), 4);
        try (Sequence sequence = opened(cache, TOKENS + 5)) {
            writeZeros(sequence, 0, TOKENS + 5);
            writeKey(sequence, TOKENS + 4, Float.NaN);
            sequence.commit(prompt(TOKENS + 5));
            sequence.truncate(TOKENS + 3);
            assertTrue(sequence.tryReserve(1));
            writeZeros(sequence, TOKENS + 3, TOKENS + 4);
            assertEquals(".X", finiteBlocks(sequence));
            sequence.truncate(TOKENS);
            assertTrue(sequence.tryReserve(1));
            assertEquals("..", finiteBlocks(sequence)); // given back and taken again
        }
    }

    @Test
    void shouldBeForgottenWhenABlockIsEvictedAndUsedAgain() {
        KvCache cache = caches.of(layout(BlockOrder.TILES), 2);
        try (Sequence sequence = opened(cache, 2 * TOKENS)) {
            writeZeros(sequence, 0, 2 * TOKENS);
            writeKey(sequence, 0, Float.NaN);
            writeKey(sequence, TOKENS, Float.NaN);
            sequence.commit(prompt(2 * TOKENS));
        }
        assertEquals(2, cache.stats().cachedBlocks());
        for (String namespace : new String[] {"test", "other"}) { // the other one gets it overwritten
            try (Sequence sequence = cache.namespace(namespace).open(new int[1])) {
                assertTrue(sequence.tryReserve(2 * TOKENS));
                assertEquals("..", finiteBlocks(sequence));
                writeKey(sequence, TOKENS, Float.NaN);
                assertEquals(".X", finiteBlocks(sequence));
            }
        }
    }

    @Test
    void shouldStayInAStoredSession() {
        KvCache cache = caches.of(layout(BlockOrder.TILES), 4);
        Namespace namespace = cache.namespace("test");
        try (Sequence sequence = opened(cache, TOKENS + 5)) {
            writeZeros(sequence, 0, TOKENS + 5);
            writeKey(sequence, TOKENS + 4, Float.NaN);
            sequence.commit(prompt(TOKENS + 5));
            assertTrue(namespace.put("chat", sequence, Retention.DEFAULT));
        }
        try (Sequence sequence = Objects.requireNonNull(namespace.get("chat"))) {
            assertEquals(".X", finiteBlocks(sequence));
        }
        assertTrue(namespace.remove("chat"));
    }
}
