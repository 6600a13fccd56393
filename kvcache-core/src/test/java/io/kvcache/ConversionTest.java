package io.kvcache;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What becomes of single elements. */
final class ConversionTest {
    private static final int WIDTH = 4096;

    @RegisterExtension
    final Caches caches = new Caches();

    private final Random random = new Random(20);

    /** A sequence with 16 reserved tokens of one head of K, as wide as WIDTH, and one of V. */
    private Sequence open(KvType type, int headSize) {
        KvLayout layout = KvLayout.builder()
                .layers(1)
                .kvHeads(1)
                .headSizes(headSize, 1)
                .type(type)
                .order(BlockOrder.ROWS)
                .tokensPerBlock(16)
                .build();
        Sequence sequence = caches.of(layout, 1).namespace("test").open(new int[1]);
        assertTrue(sequence.tryReserve(16));
        return sequence;
    }

    private static float[] writtenAndRead(Sequence sequence, float[] elements) {
        sequence.write(0, 0, elements, new float[1]);
        float[] read = new float[elements.length];
        sequence.gather(0, 0, 1, read, 0, new float[1], 0);
        return read;
    }

    // ---- 16 bits ----

    @Test
    void shouldDecodeEveryF16Exactly() {
        assertDecodesExactly(KvType.F16, 10, 15);
    }

    @Test
    void shouldDecodeEveryBf16Exactly() {
        assertDecodesExactly(KvType.BF16, 7, 127);
    }

    /** Sign, exponent and fraction, taken apart and put together by hand. */
    private void assertDecodesExactly(KvType type, int fractionBits, int bias) {
        int exponents = (1 << (15 - fractionBits)) - 1;
        try (Sequence sequence = open(type, WIDTH)) {
            for (int first = 0; first < 1 << 16; first += WIDTH) {
                for (int i = 0; i < WIDTH; i++) {
                    sequence.keyRow(0, 0).setAtIndex(JAVA_SHORT, i, (short) (first + i));
                }
                float[] read = new float[WIDTH];
                sequence.gather(0, 0, 1, read, 0, new float[1], 0);
                for (int i = 0; i < WIDTH; i++) {
                    int pattern = first + i;
                    int exponent = (pattern >> fractionBits) & exponents;
                    double fraction = (pattern & ((1 << fractionBits) - 1)) / (double) (1 << fractionBits);
                    double magnitude = exponent == 0
                            ? Math.scalb(fraction, 1 - bias)
                            : exponent == exponents
                                    ? fraction == 0 ? Double.POSITIVE_INFINITY : Double.NaN
                                    : Math.scalb(1 + fraction, exponent - bias);
                    float expected = (float) (pattern >= 1 << 15 ? -magnitude : magnitude);
                    assertEquals(expected, read[i], () -> type + " " + Integer.toHexString(pattern));
                }
            }
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"F16", "BF16"})
    void shouldRoundToNearestWithTiesToEven(KvType type) {
        try (Sequence sequence = open(type, WIDTH)) {
            for (int round = 0; round < 200; round++) {
                float[] elements = new float[WIDTH];
                for (int i = 0; i < WIDTH; i++) {
                    elements[i] = round == 0 && i < EDGES.length ? EDGES[i] : anyFloat(type);
                }
                float[] read = writtenAndRead(sequence, elements);
                float[] expected = StoredElements.of(type, elements).read();
                for (int i = 0; i < WIDTH; i++) {
                    float element = elements[i];
                    assertEquals(expected[i], read[i], () -> type + " " + Float.toHexString(element));
                }
            }
        }
    }

    private static final float[] EDGES = {
        0f,
        -0f,
        1f / 3,
        65_504f,
        65_519.996f,
        65_520f,
        -65_520f,
        0x1p-14f,
        0x1p-24f,
        0x1p-25f,
        0x1.000002p-25f,
        -0x1.8p-24f,
        0x1.FFCp-15f,
        Float.MIN_VALUE,
        Float.MIN_NORMAL,
        Float.MAX_VALUE,
        0x1.FEFFFEp127f,
        0x1.FFp127f,
        -Float.MAX_VALUE,
        0x1p-133f,
        0x1p-134f,
        0x1.8p-133f,
        Float.POSITIVE_INFINITY,
        Float.NEGATIVE_INFINITY,
        Float.NaN,
        Float.intBitsToFloat(0x7f80_0001), // signalling, nothing in the upper half
        Float.intBitsToFloat(0xffff_ffff)
    };

    /** Any bits, a number that the type holds or nearly so, or one right between two of them. */
    private float anyFloat(KvType type) {
        int bits = random.nextInt();
        int kept = type == KvType.F16 ? 13 : 16;
        if (type == KvType.F16 && random.nextInt(4) > 0) { // in its range
            float near = Math.scalb(1 + random.nextFloat(), random.nextInt(-27, 17));
            bits = Float.floatToRawIntBits(random.nextBoolean() ? near : -near);
        }
        int held = (bits >> kept) << kept;
        int between = held | (1 << (kept - 1));
        return switch (random.nextInt(4)) {
            case 0 -> Float.intBitsToFloat(bits);
            case 1 -> Float.intBitsToFloat(held);
            case 2 -> Float.intBitsToFloat(between + random.nextInt(-1, 2));
            default -> Float.intBitsToFloat(between);
        };
    }

    // ---- 8 bits ----

    @ParameterizedTest
    @ValueSource(ints = {1, 7, 64, 80, 128})
    void shouldBeOffByAtMostHalfAScale(int headSize) {
        try (Sequence sequence = open(KvType.INT8, headSize)) {
            for (int round = 0; round < 2000; round++) {
                float magnitude = Math.scalb(1f, random.nextInt(-149, 127));
                float[] elements = new float[headSize];
                double greatest = 0;
                for (int i = 0; i < headSize; i++) {
                    elements[i] = (float) random.nextGaussian() * magnitude;
                    elements[i] = Float.isFinite(elements[i]) ? elements[i] : magnitude;
                    greatest = Math.max(greatest, Math.abs(elements[i]));
                }
                float[] read = writtenAndRead(sequence, elements);
                float scale = sequence.keyScales(0, 0).get(JAVA_FLOAT, 0);
                assertTrue(Math.abs(scale - greatest / 127) <= Math.max(Math.ulp(scale), greatest * 0x1p-24));
                for (int i = 0; i < headSize; i++) {
                    double off = Math.abs((double) elements[i] - read[i]);
                    assertTrue(off <= scale * (0.5 + 1e-4), elements[i] + " " + read[i] + " scale=" + scale);
                }
            }
        }
    }

    @Test
    void shouldRoundTiesOfAScaleToEven() {
        try (Sequence sequence = open(KvType.INT8, 8)) {
            float[] elements = {127 * 4, 2, 6, 10, -2, -6, -10, 2.01f}; // scale 4
            float[] read = writtenAndRead(sequence, elements);
            assertEquals("[508.0, 0.0, 8.0, 8.0, 0.0, -8.0, -8.0, 4.0]", text(read));
        }
    }

    private static String text(float[] elements) {
        for (int i = 0; i < elements.length; i++) {
            elements[i] += 0f; // no -0
        }
        return Arrays.toString(elements);
    }

    @Test
    void shouldReadAHeadOfZerosAsZeros() {
        try (Sequence sequence = open(KvType.INT8, 3)) {
            assertEquals("[0.0, 0.0, 0.0]", text(writtenAndRead(sequence, new float[] {0f, -0f, 0f})));
            assertEquals(0f, sequence.keyScales(0, 0).get(JAVA_FLOAT, 0));
        }
    }

    @ParameterizedTest
    @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY})
    void shouldReadAHeadThatIsNotFiniteAsNaN(float element) {
        try (Sequence sequence = open(KvType.INT8, 4)) {
            assertEquals("[NaN, NaN, NaN, NaN]", text(writtenAndRead(sequence, new float[] {1, element, 0, -5})));
            assertTrue(Float.isNaN(sequence.keyScales(0, 0).get(JAVA_FLOAT, 0)));
        }
    }
}
