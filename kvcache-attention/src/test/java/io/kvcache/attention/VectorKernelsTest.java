package io.kvcache.attention;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.KvType;
import java.io.IOException;
import java.io.InputStream;
import java.lang.classfile.Attributes;
import java.lang.classfile.ClassFile;
import java.lang.classfile.MethodModel;
import java.lang.classfile.attribute.CodeAttribute;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Every bit pattern of every type through the loops of every width, and what the JIT makes of the loops. */
final class VectorKernelsTest {
    private static final int FREQ_INLINE_SIZE = 325; // of C2, in bytes of bytecode
    private static final int TOKENS = HeadKernels.LINE_WORDS;
    private static final int PIECE = HeadKernels.PIECE_TOKENS;
    private static final float[] FACTORS = {1, 2, -1, .5f}; // of four queries; exact ones

    private static Stream<Arguments> loops() {
        List<Arguments> loops = new ArrayList<>();
        for (int bits : new int[] {128, 256, 512}) {
            for (KvType type : KvType.values()) {
                loops.add(Arguments.of(type, bits, false));
            }
            loops.add(Arguments.of(KvType.F16, bits, true));
        }
        return loops.stream();
    }

    // ---- the JIT ----

    @ParameterizedTest
    @ValueSource(
            strings = {"scoresOne", "scoresFour", "addOne", "addFour", "rowScores", "rowsAdd", "weigh", "capScores"})
    void shouldBeTooLongToBeInlinedIntoOneAnother(String loop) throws IOException {
        Integer bytes = codeBytes().get(loop);
        assertTrue(bytes != null && bytes > FREQ_INLINE_SIZE, () -> "loop=" + loop + " bytes=" + bytes);
    }

    private static Map<String, Integer> codeBytes() throws IOException {
        try (InputStream file = VectorKernels.class.getResourceAsStream("VectorKernels.class")) {
            byte[] bytes = Objects.requireNonNull(file).readAllBytes();
            return ClassFile.of().parse(bytes).methods().stream()
                    .collect(Collectors.toMap(
                            method -> method.methodName().stringValue(), VectorKernelsTest::codeBytes, Integer::max));
        }
    }

    private static int codeBytes(MethodModel method) {
        return method.findAttribute(Attributes.code())
                .map(CodeAttribute::codeLength)
                .orElse(0);
    }

    /** Results are the same to the last bit, so the JIT must not change the order of additions. */
    @ParameterizedTest
    @MethodSource("loops")
    void shouldAddInTheSameOrderWhenCompiled(KvType type, int bits, boolean exact) {
        HeadKernels kernels = VectorProvider.of(bits).kernels(type, exact);
        Random random = new Random(12);
        float[] scores = new float[PIECE];
        for (int i = 0; i < scores.length; i++) {
            scores[i] = (float) random.nextGaussian();
        }
        float[] first = totals(kernels, scores);
        for (int call = 0; call < (bits == 512 ? 200 : 1_000); call++) {
            assertArrayEquals(first, totals(kernels, scores), "call=" + call);
        }
    }

    /** Sums of exponentials of many ranges. */
    private static float[] totals(HeadKernels kernels, float[] scores) {
        float[] totals = new float[PIECE - 16];
        float[] greatest = new float[totals.length];
        for (int from = 0; from < totals.length; from++) {
            kernels.softmax(scores.clone(), from, PIECE - from, greatest, totals, from, new float[0], 0, 0);
        }
        return totals;
    }

    // ---- elements ----

    /** Elements of a type with all patterns that loops must get right, as they lie in memory. */
    private static final class Patterns {
        final KvType type;
        final int bytes;
        final int parts; // of a word
        final int[] bits;
        final float[] floats; // what they stand for; F16 and INT8 as if the scale were 1

        Patterns(KvType type, boolean exact) {
            this.type = type;
            this.bytes = type.bytes();
            this.parts = 4 / bytes;
            this.bits = type == KvType.F32 ? someFloats() : all(1 << (8 * bytes));
            if (type == KvType.F16 && !exact) {
                for (int i = 0; i < bits.length; i++) {
                    bits[i] = (bits[i] & 0x7c00) == 0x7c00 ? bits[i] & 0x83ff : bits[i]; // some subnormal instead
                }
            }
            this.floats = new float[bits.length];
            for (int i = 0; i < bits.length; i++) {
                floats[i] = decode(bits[i]);
            }
        }

        private static int[] all(int count) {
            int[] all = new int[count];
            Arrays.setAll(all, i -> i);
            return all;
        }

        private static int[] someFloats() {
            int[] some = new Random(3).ints(1 << 14).toArray();
            float[] special = {0f, -0f, 1, Float.MIN_VALUE, Float.MAX_VALUE, Float.NaN, 1f / 0, -1f / 0, -3e-39f};
            for (int i = 0; i < special.length; i++) {
                some[31 * i] = Float.floatToRawIntBits(special[i]);
            }
            return some;
        }

        private float decode(int pattern) {
            return switch (type) {
                case F32 -> Float.intBitsToFloat(pattern);
                case F16 -> Float.float16ToFloat((short) pattern);
                case BF16 -> Float.intBitsToFloat(pattern << 16);
                case INT8 -> (byte) pattern;
            };
        }

        void set(MemorySegment memory, long at, int pattern) {
            switch (bytes) {
                case 4 -> memory.set(ValueLayout.JAVA_INT_UNALIGNED, at, bits[pattern]);
                case 2 -> memory.set(ValueLayout.JAVA_SHORT_UNALIGNED, at, (short) bits[pattern]);
                default -> memory.set(ValueLayout.JAVA_BYTE, at, (byte) bits[pattern]);
            }
        }

        /** All of them one after another, as consecutive elements. */
        MemorySegment inOrder() {
            MemorySegment memory = MemorySegment.ofArray(new byte[bits.length * bytes]);
            for (int i = 0; i < bits.length; i++) {
                set(memory, (long) i * bytes, i);
            }
            return memory;
        }
    }

    /** Equal to the last bit, but that sums do not know a negative zero. */
    private static void assertElement(float expected, float actual, String name) {
        if (Float.compare(expected + 0f, actual + 0f) != 0) {
            assertEquals(expected + 0f, actual + 0f, name);
        }
    }

    @ParameterizedTest
    @MethodSource("loops")
    void shouldAddEveryElementOfRows(KvType type, int bits, boolean exact) {
        HeadKernels kernels = VectorProvider.of(bits).kernels(type, exact);
        Patterns patterns = new Patterns(type, exact);
        MemorySegment memory = patterns.inOrder();
        float[] weights = {kernels.weightFactor()};
        int count = patterns.bits.length;
        for (int elements : new int[] {count, 100, 7, 1}) { // whole vectors, and what does not fill one
            float[] sums = new float[elements];
            for (int from = 0; from + elements <= count; from += elements) {
                Arrays.fill(sums, 0);
                long rowAt = (long) from * patterns.bytes;
                kernels.addRows(memory, rowAt, 0, elements, 1, weights, 0, sums, 0);
                for (int i = 0; i < elements; i++) {
                    float actual = sums[kernels.place(i, elements)] * kernels.sumFactor();
                    assertElement(patterns.floats[from + i], actual, "elements=" + elements);
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("loops")
    void shouldAddEveryElementOfTiles(KvType type, int bits, boolean exact) {
        HeadKernels kernels = VectorProvider.of(bits).kernels(type, exact);
        Patterns patterns = new Patterns(type, exact);
        MemorySegment memory = patterns.inOrder();
        int elements = HeadKernels.LINE_BYTES / patterns.bytes;
        float[] weights = new float[4 * PIECE];
        for (int from = 0; from + elements <= patterns.bits.length; from += elements) {
            long line = (long) from * patterns.bytes;
            for (int query = 0; query < 4; query++) {
                weights[query * PIECE] = FACTORS[query] * kernels.weightFactor();
            }
            float[] sums = new float[4 * elements];
            kernels.addToFour(memory, line, 1, weights, 0, sums, 0, elements);
            float[] sumsOfOne = new float[elements];
            kernels.addToOne(memory, line, 1, weights, 0, sumsOfOne, 0);
            for (int i = 0; i < elements; i++) {
                float expected = patterns.floats[from + i];
                int place = kernels.place(i, elements);
                assertElement(expected, sumsOfOne[place] * kernels.sumFactor(), "one");
                for (int query = 0; query < 4; query++) {
                    float actual = sums[query * elements + place] * kernels.sumFactor();
                    assertElement(expected * FACTORS[query], actual, "four");
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("loops")
    void shouldScoreEveryElementOfTiles(KvType type, int bits, boolean exact) {
        HeadKernels kernels = VectorProvider.of(bits).kernels(type, exact);
        Patterns patterns = new Patterns(type, exact);
        int tiles = 4;
        int words = 3; // a pair of lines and a line alone
        MemorySegment memory = MemorySegment.ofArray(new byte[tiles * words * HeadKernels.LINE_BYTES]);
        float[] scores = new float[4 * PIECE];
        for (int element = 0; element < words * patterns.parts; element++) {
            memory.fill((byte) 0);
            float[] query = new float[words * patterns.parts];
            float[] four = new float[4 * query.length];
            query[element] = kernels.keyFactor();
            for (int i = 0; i < 4; i++) {
                four[4 * element + i] = FACTORS[i] * kernels.keyFactor();
            }
            for (int from = 0; from < patterns.bits.length; from += tiles * TOKENS) {
                for (int token = 0; token < tiles * TOKENS; token++) {
                    int line = token / TOKENS * words + element / patterns.parts;
                    long at = line * 64L + token % TOKENS * 4L + (long) element % patterns.parts * patterns.bytes;
                    patterns.set(memory, at, from + token);
                }
                kernels.scoresOfFour(memory, 0, words, tiles, four, 0, scores, 0);
                for (int token = 0; token < tiles * TOKENS; token++) {
                    for (int i = 0; i < 4; i++) {
                        float expected = patterns.floats[from + token] * FACTORS[i];
                        assertElement(expected, scores[i * PIECE + token], "four");
                    }
                }
                kernels.scoresOfOne(memory, 0, words, tiles, query, 0, scores, 0);
                for (int token = 0; token < tiles * TOKENS; token++) {
                    assertElement(patterns.floats[from + token], scores[token], "one");
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("loops")
    void shouldScoreEveryElementOfRows(KvType type, int bits, boolean exact) {
        HeadKernels kernels = VectorProvider.of(bits).kernels(type, exact);
        Patterns patterns = new Patterns(type, exact);
        int partLanes = bits / 8 / patterns.bytes;
        int elements = partLanes + 3;
        long stride = (long) elements * patterns.bytes;
        MemorySegment memory = MemorySegment.ofArray(new byte[(int) (PIECE * stride)]);
        float[] scores = new float[PIECE];
        for (int element : new int[] {0, 1, patterns.parts, partLanes - 1, partLanes, elements - 1}) {
            memory.fill((byte) 0);
            float[] query = new float[elements];
            query[kernels.place(element, elements)] = kernels.keyFactor();
            for (int from = 0; from < patterns.bits.length; from += PIECE) {
                for (int token = 0; token < PIECE; token++) {
                    patterns.set(memory, token * stride + (long) element * patterns.bytes, from + token);
                }
                kernels.scoresOfRows(memory, 0, stride, elements, PIECE, query, 0, scores, 0);
                for (int token = 0; token < PIECE; token++) {
                    assertElement(patterns.floats[from + token], scores[token], "element=" + element);
                }
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {128, 256, 512})
    void shouldNotDifferWhereHalvesAreFinite(int bits) {
        Random random = new Random(bits);
        HeadKernels fast = VectorProvider.of(bits).kernels(KvType.F16, false);
        HeadKernels exact = VectorProvider.of(bits).kernels(KvType.F16, true);
        int words = 37;
        MemorySegment memory = MemorySegment.ofArray(new byte[4 * words * HeadKernels.LINE_BYTES]);
        for (long at = 0; at < memory.byteSize(); at += 2) {
            short half = Float.floatToFloat16((float) random.nextGaussian() * (random.nextInt(9) == 0 ? 1e-6f : 1));
            memory.set(ValueLayout.JAVA_SHORT_UNALIGNED, at, half);
        }
        float[] input = new float[8 * words];
        for (int i = 0; i < input.length; i++) {
            input[i] = (float) random.nextGaussian();
        }
        assertArrayEquals(results(fast, memory, words, input), results(exact, memory, words, input));
    }

    private static float[] results(HeadKernels kernels, MemorySegment memory, int words, float[] input) {
        float[] results = new float[2_000];
        kernels.scoresOfFour(memory, 0, words, 4, input, 0, results, 0);
        kernels.scoresOfOne(memory, 0, words, 4, input, 0, results, 300);
        kernels.scoresOfRows(memory, 0, 150, 75, 50, input, 0, results, 500);
        kernels.addToFour(memory, 0, 41, input, 0, results, 700, 32);
        kernels.addToOne(memory, 0, 41, input, 0, results, 1_000);
        kernels.addRows(memory, 0, 150, 75, 50, input, 0, results, 1_200);
        return results;
    }

    @Test
    void shouldPlaceEachElementOnce() {
        for (int bits : new int[] {128, 256, 512}) {
            for (KvType type : KvType.values()) {
                HeadKernels kernels = VectorProvider.of(bits).kernels(type, false);
                for (int elements = 1; elements < 200; elements++) {
                    int of = elements;
                    int[] places = Stream.iterate(0, i -> i + 1)
                            .limit(of)
                            .mapToInt(i -> kernels.place(i, of))
                            .sorted()
                            .toArray();
                    for (int i = 0; i < of; i++) {
                        assertEquals(i, places[i], () -> "type=" + type + " bits=" + bits + " elements=" + of);
                    }
                }
            }
        }
    }
}
