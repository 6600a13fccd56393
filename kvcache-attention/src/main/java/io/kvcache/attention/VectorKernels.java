package io.kvcache.attention;

import io.kvcache.KvType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandles;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/**
 * The inner loops in vectors. This class is a template: {@link VectorProvider} defines it as a hidden class for each element type
 * and vector width, which are constants to the JIT then, so that one text serves them all.
 *
 * <p>Thread-safe: stateless.
 */
final class VectorKernels extends HeadKernels {
    // What the JIT (C2 of JDK 25) wants, each point measured:
    //
    // 1. Species, type and shifts are static finals; with a species in a field every operation allocates.
    // 2. At 18,000 nodes C2 stops inlining, and a vector operation that is not inlined allocates. So the loops are not
    // unrolled by
    //    hand, and of a word that holds several elements the loops for four queries take one element at a time: the
    // second
    //    pass over a tile finds it in the L1 cache, and costs less than what it saves in registers.
    // 3. Two of these loops in one compiled method would pass the limit together. A method of more than 325 bytes of
    // bytecode
    //    (FreqInlineSize) is never inlined into its caller; a test sees to it that the loops are longer.
    // 4. Eight accumulators: four queries x two vectors. With more, some live on the stack, and every addition waits
    // for a store.
    //    Four queries lie side by side for the same reason: one register addresses them.
    // 5. One slice a tile: its bounds are checked once, and the JIT proves all offsets in it to be in range.
    //
    // Elements are decoded by integer operations on words. Shifted left by 32 - bits x (element + 1), an element is at
    // the top:
    //
    //   F16   s eeeee mmmmmmmmmm 0...      >> 3, masked: s 000eeeee mmmmmmmmmm 0... = a float 2^112 too small,
    // subnormals included;
    //                                      an exponent of 31 (infinity, NaN) is right only where EXACT
    //   BF16  s eeeeeeee mmmmmmm 0...      masked: the float itself
    //   INT8  s mmmmmmm 0...               masked, converted: 2^24 too great
    //
    // The second vector of a pair is the other half of a line (or the next quarters), or the next line where a vector
    // holds a
    // whole one.
    private static final VectorKernel KERNEL = kernel();
    private static final boolean F32 = KERNEL.type() == KvType.F32;
    private static final boolean F16 = KERNEL.type() == KvType.F16;
    private static final boolean BF16 = KERNEL.type() == KvType.BF16;
    private static final boolean EXACT = KERNEL.exact();
    private static final VectorSpecies<Float> FLOATS = FloatVector.SPECIES_PREFERRED.withShape(KERNEL.shape());
    private static final VectorSpecies<Integer> WORDS = IntVector.SPECIES_PREFERRED.withShape(KERNEL.shape());

    private static final int LANES = FLOATS.length();
    private static final int VECTOR_BYTES = 4 * LANES;
    private static final int PAIRS = Math.max(1, LINE_WORDS / LANES / 2);
    private static final boolean WHOLE_LINE = LANES == LINE_WORDS;
    private static final int STEP = WHOLE_LINE ? 2 : 1; // lines that a pair takes
    private static final int SECOND = WHOLE_LINE ? LINE_BYTES : VECTOR_BYTES;

    // By so many lanes, for sums.
    private static final VectorShuffle<Float> BY_EIGHT = VectorShuffle.iota(FLOATS, 8 % LANES, 1, true);
    private static final VectorShuffle<Float> BY_FOUR = VectorShuffle.iota(FLOATS, 4 % LANES, 1, true);
    private static final VectorShuffle<Float> BY_TWO = VectorShuffle.iota(FLOATS, 2, 1, true);

    private static final int BITS = 8 * KERNEL.type().bytes();
    private static final int PARTS = 32 / BITS; // elements of a word
    private static final int PART_LANES = PARTS * LANES;
    private static final int PARTS_AT_ONCE = BF16 && !WHOLE_LINE ? 2 : 1;
    private static final int HALF_MASK = 0x8fffe000;
    private static final IntVector HALF_MASKS = IntVector.broadcast(WORDS, HALF_MASK);
    private static final int HALF_EXPONENT = 0x0f800000;
    private static final int TOP_EXPONENT = 0x70000000;
    private static final int BF16_MASK = 0xffff0000;
    private static final int INT8_MASK = 0xff000000;

    VectorKernels() {}

    private static VectorKernel kernel() {
        try {
            return MethodHandles.classData(MethodHandles.lookup(), "_", VectorKernel.class);
        } catch (IllegalAccessException e) {
            throw new IllegalStateException("class data are the class's own", e);
        }
    }

    // ---- small pieces, inlined everywhere ----

    private static FloatVector zero() {
        return FloatVector.zero(FLOATS);
    }

    private static FloatVector all(float value) {
        return FloatVector.broadcast(FLOATS, value);
    }

    private static FloatVector load(float[] array, int from) {
        return FloatVector.fromArray(FLOATS, array, from);
    }

    /** Adds up lanes in a fixed order: reduceLanes has one in the interpreter and another one when compiled. */
    private static float sum(FloatVector lanes) {
        FloatVector sums = lanes;
        if (LANES >= 16) {
            sums = sums.add(sums.rearrange(BY_EIGHT));
        }
        if (LANES >= 8) {
            sums = sums.add(sums.rearrange(BY_FOUR));
        }
        sums = sums.add(sums.rearrange(BY_TWO));
        return sums.lane(0) + sums.lane(1);
    }

    /** One element of each of some consecutive words, the one that {@code shift} brings to the top. */
    private static FloatVector part(MemorySegment memory, int at, int shift) {
        if (F32) {
            return FloatVector.fromMemorySegment(FLOATS, memory, at, ByteOrder.LITTLE_ENDIAN);
        }
        return decode(IntVector.fromMemorySegment(WORDS, memory, at, ByteOrder.LITTLE_ENDIAN), shift);
    }

    private static IntVector words(MemorySegment memory, int at) {
        return IntVector.fromMemorySegment(WORDS, memory, at, ByteOrder.LITTLE_ENDIAN);
    }

    private static FloatVector decode(IntVector words, int shift) {
        if (F32) {
            return words.reinterpretAsFloats();
        }
        IntVector top = words.lanewise(VectorOperators.LSHL, shift);
        if (F16) {
            IntVector half = top.lanewise(VectorOperators.ASHR, 3).and(HALF_MASKS);
            return (EXACT ? withInfinities(half) : half).reinterpretAsFloats();
        }
        if (BF16) {
            return top.and(BF16_MASK).reinterpretAsFloats();
        }
        return (FloatVector) top.and(INT8_MASK).convert(VectorOperators.I2F, 0);
    }

    private static IntVector withInfinities(IntVector half) {
        VectorMask<Integer> special = half.and(HALF_EXPONENT).compare(VectorOperators.EQ, HALF_EXPONENT);
        return half.lanewise(VectorOperators.OR, TOP_EXPONENT, special);
    }

    private static int shift(int part) {
        return 32 - BITS * (part + 1);
    }

    /** Stores a pair side by side, or its sum where the second is of the next line. */
    private static void store(FloatVector first, FloatVector second, float[] array, int to, int apart) {
        if (WHOLE_LINE) {
            first.add(second).intoArray(array, to);
        } else {
            first.intoArray(array, to);
            second.intoArray(array, to + apart);
        }
    }

    private static FloatVector loadSecond(float[] array, int from) {
        return WHOLE_LINE ? zero() : load(array, from);
    }

    /** What the second vector of a pair is multiplied by: the same, but where it is of the next line. */
    private static FloatVector ofNext(FloatVector ofFirst, float[] factors, int next) {
        return WHOLE_LINE ? all(factors[next]) : ofFirst;
    }

    /** The shift for the next element of a word; a constant where a word has two. */
    private static int nextShift(int shift) {
        return PARTS == 2 ? 0 : shift - BITS;
    }

    private static void check(int from, int count, int length, String what) {
        if (from < 0 || count < 0 || from > length - count) {
            throw new IndexOutOfBoundsException(
                    "outside scratch memory: what=" + what + " from=" + from + " count=" + count + " length=" + length);
        }
    }

    // ---- tiles ----

    @Override
    void scoresOfOne(
            MemorySegment memory, long at, int words, int tiles, float[] queries, int from, float[] scores, int to) {
        scoresOne(memory, at, words, tiles, queries, from, scores, to);
    }

    private static void scoresOne(
            MemorySegment memory, long at, int words, int tiles, float[] queries, int from, float[] scores, int to) {
        check(from, words * PARTS, queries.length, "queries");
        check(to, tiles * LINE_WORDS, scores.length, "scores");
        for (int tile = 0; tile < tiles; tile++) {
            MemorySegment lines = memory.asSlice(at + tile * (long) words * LINE_BYTES, (long) words * LINE_BYTES);
            for (int pair = 0; pair < PAIRS; pair++) {
                int offset = pair * 2 * VECTOR_BYTES;
                FloatVector a = zero();
                FloatVector b = a;
                FloatVector c = a;
                FloatVector d = a;
                int last = words - words % STEP;
                for (int part = 0; part < PARTS; part += 2) {
                    int shift = shift(part);
                    for (int line = 0; line < last; line += STEP) {
                        IntVector v = words(lines, line * LINE_BYTES + offset);
                        IntVector w = words(lines, line * LINE_BYTES + offset + SECOND);
                        int query = from + line * PARTS + part;
                        FloatVector q = all(queries[query]);
                        a = decode(v, shift).fma(q, a);
                        b = decode(w, shift).fma(ofNext(q, queries, query + PARTS), b);
                        if (PARTS > 1) {
                            q = all(queries[query + 1]);
                            c = decode(v, nextShift(shift)).fma(q, c);
                            d = decode(w, nextShift(shift)).fma(ofNext(q, queries, query + 1 + PARTS), d);
                        }
                    }
                }
                if (last < words) {
                    IntVector v = words(lines, last * LINE_BYTES);
                    for (int part = 0; part < PARTS; part++) {
                        a = decode(v, shift(part)).fma(all(queries[from + last * PARTS + part]), a);
                    }
                }
                store(a.add(c), b.add(d), scores, to + tile * LINE_WORDS + pair * 2 * LANES, LANES);
            }
        }
    }

    @Override
    void scoresOfFour(
            MemorySegment memory, long at, int words, int tiles, float[] queries, int from, float[] scores, int to) {
        check(from, words * PARTS * 4, queries.length, "queries");
        check(to, 3 * PIECE_TOKENS + tiles * LINE_WORDS, scores.length, "scores");
        scoresFour(memory, at, words, tiles, queries, from, scores, to);
    }

    private static void scoresFour(
            MemorySegment memory, long at, int words, int tiles, float[] queries, int from, float[] scores, int to) {
        for (int tile = 0; tile < tiles; tile++) {
            MemorySegment lines = memory.asSlice(at + tile * (long) words * LINE_BYTES, (long) words * LINE_BYTES);
            for (int pair = 0; pair < PAIRS; pair++) {
                int offset = pair * 2 * VECTOR_BYTES;
                FloatVector a0 = zero();
                FloatVector a1 = a0;
                FloatVector b0 = a0;
                FloatVector b1 = a0;
                FloatVector c0 = a0;
                FloatVector c1 = a0;
                FloatVector d0 = a0;
                FloatVector d1 = a0;
                for (int part = 0; part < PARTS; part += PARTS_AT_ONCE) {
                    int shift = shift(part);
                    int first = from + 4 * part;
                    int line = 0;
                    for (; line <= words - STEP; line += STEP) {
                        int byteAt = line * LINE_BYTES + offset;
                        int query = first + line * 4 * PARTS;
                        IntVector v = words(lines, byteAt);
                        IntVector w = words(lines, byteAt + SECOND);
                        FloatVector x = decode(v, shift);
                        FloatVector y = decode(w, shift);
                        FloatVector q = all(queries[query]);
                        a0 = x.fma(q, a0);
                        a1 = y.fma(ofNext(q, queries, query + 4 * PARTS), a1);
                        q = all(queries[query + 1]);
                        b0 = x.fma(q, b0);
                        b1 = y.fma(ofNext(q, queries, query + 1 + 4 * PARTS), b1);
                        q = all(queries[query + 2]);
                        c0 = x.fma(q, c0);
                        c1 = y.fma(ofNext(q, queries, query + 2 + 4 * PARTS), c1);
                        q = all(queries[query + 3]);
                        d0 = x.fma(q, d0);
                        d1 = y.fma(ofNext(q, queries, query + 3 + 4 * PARTS), d1);
                        if (PARTS_AT_ONCE == 2) {
                            x = decode(v, shift - BITS);
                            y = decode(w, shift - BITS);
                            q = all(queries[query + 4]);
                            a0 = x.fma(q, a0);
                            a1 = y.fma(q, a1);
                            q = all(queries[query + 5]);
                            b0 = x.fma(q, b0);
                            b1 = y.fma(q, b1);
                            q = all(queries[query + 6]);
                            c0 = x.fma(q, c0);
                            c1 = y.fma(q, c1);
                            q = all(queries[query + 7]);
                            d0 = x.fma(q, d0);
                            d1 = y.fma(q, d1);
                        }
                    }
                    if (WHOLE_LINE && line < words) {
                        FloatVector x = part(lines, line * LINE_BYTES, shift);
                        int query = first + line * 4 * PARTS;
                        a0 = x.fma(all(queries[query]), a0);
                        b0 = x.fma(all(queries[query + 1]), b0);
                        c0 = x.fma(all(queries[query + 2]), c0);
                        d0 = x.fma(all(queries[query + 3]), d0);
                    }
                }
                int score = to + tile * LINE_WORDS + pair * 2 * LANES;
                store(a0, a1, scores, score, LANES);
                store(b0, b1, scores, score + PIECE_TOKENS, LANES);
                store(c0, c1, scores, score + 2 * PIECE_TOKENS, LANES);
                store(d0, d1, scores, score + 3 * PIECE_TOKENS, LANES);
            }
        }
    }

    @Override
    void addToOne(MemorySegment memory, long at, int tokens, float[] weights, int from, float[] sums, int to) {
        addOne(memory, at, tokens, weights, from, sums, to);
    }

    private static void addOne(
            MemorySegment memory, long at, int tokens, float[] weights, int from, float[] sums, int to) {
        check(from, tokens, weights.length, "weights");
        check(to, LINE_WORDS * PARTS, sums.length, "sums");
        MemorySegment lines = memory.asSlice(at, (long) tokens * LINE_BYTES);
        for (int pair = 0; pair < PAIRS; pair++) {
            int offset = pair * 2 * VECTOR_BYTES;
            int sum = to + pair * 2 * PART_LANES;
            int last = tokens - tokens % STEP;
            for (int part = 0; part < PARTS; part += 2, sum += 2 * LANES) {
                int shift = shift(part);
                FloatVector a = load(sums, sum);
                FloatVector b = loadSecond(sums, sum + PART_LANES);
                FloatVector c = PARTS > 1 ? load(sums, sum + LANES) : a;
                FloatVector d = PARTS > 1 ? loadSecond(sums, sum + LANES + PART_LANES) : a;
                for (int token = 0; token < last; token += STEP) {
                    IntVector v = words(lines, token * LINE_BYTES + offset);
                    IntVector w = words(lines, token * LINE_BYTES + offset + SECOND);
                    FloatVector x = all(weights[from + token]);
                    FloatVector y = ofNext(x, weights, from + token + 1);
                    a = decode(v, shift).fma(x, a);
                    b = decode(w, shift).fma(y, b);
                    if (PARTS > 1) {
                        c = decode(v, nextShift(shift)).fma(x, c);
                        d = decode(w, nextShift(shift)).fma(y, d);
                    }
                }
                store(a, b, sums, sum, PART_LANES);
                if (PARTS > 1) {
                    store(c, d, sums, sum + LANES, PART_LANES);
                }
            }
            if (last < tokens) {
                IntVector v = words(lines, last * LINE_BYTES);
                for (int part = 0; part < PARTS; part++) {
                    FloatVector x = decode(v, shift(part));
                    x.fma(all(weights[from + last]), load(sums, to + part * LANES))
                            .intoArray(sums, to + part * LANES);
                }
            }
        }
    }

    @Override
    void addToFour(
            MemorySegment memory, long at, int tokens, float[] weights, int from, float[] sums, int to, int stride) {
        addFour(memory, at, tokens, weights, from, sums, to, stride);
    }

    private static void addFour(
            MemorySegment memory, long at, int tokens, float[] weights, int from, float[] sums, int to, int stride) {
        check(from, 3 * PIECE_TOKENS + tokens, weights.length, "weights");
        check(to, 3 * stride + LINE_WORDS * PARTS, sums.length, "sums");
        MemorySegment lines = memory.asSlice(at, (long) tokens * LINE_BYTES);
        for (int pair = 0; pair < PAIRS; pair++) {
            int offset = pair * 2 * VECTOR_BYTES;
            for (int part = 0; part < PARTS; part++) {
                int shift = shift(part);
                int sumA = to + pair * 2 * PART_LANES + part * LANES;
                int sumB = sumA + stride;
                int sumC = sumB + stride;
                int sumD = sumC + stride;
                FloatVector a0 = load(sums, sumA);
                FloatVector a1 = loadSecond(sums, sumA + PART_LANES);
                FloatVector b0 = load(sums, sumB);
                FloatVector b1 = loadSecond(sums, sumB + PART_LANES);
                FloatVector c0 = load(sums, sumC);
                FloatVector c1 = loadSecond(sums, sumC + PART_LANES);
                FloatVector d0 = load(sums, sumD);
                FloatVector d1 = loadSecond(sums, sumD + PART_LANES);
                int token = 0;
                for (; token <= tokens - STEP; token += STEP) {
                    FloatVector x = decode(words(lines, token * LINE_BYTES + offset), shift);
                    FloatVector y = decode(words(lines, token * LINE_BYTES + offset + SECOND), shift);
                    int weight = from + token;
                    FloatVector f = all(weights[weight]);
                    a0 = x.fma(f, a0);
                    a1 = y.fma(ofNext(f, weights, weight + 1), a1);
                    f = all(weights[weight + PIECE_TOKENS]);
                    b0 = x.fma(f, b0);
                    b1 = y.fma(ofNext(f, weights, weight + PIECE_TOKENS + 1), b1);
                    f = all(weights[weight + 2 * PIECE_TOKENS]);
                    c0 = x.fma(f, c0);
                    c1 = y.fma(ofNext(f, weights, weight + 2 * PIECE_TOKENS + 1), c1);
                    f = all(weights[weight + 3 * PIECE_TOKENS]);
                    d0 = x.fma(f, d0);
                    d1 = y.fma(ofNext(f, weights, weight + 3 * PIECE_TOKENS + 1), d1);
                }
                if (WHOLE_LINE && token < tokens) {
                    FloatVector x = part(lines, token * LINE_BYTES, shift);
                    a0 = x.fma(all(weights[from + token]), a0);
                    b0 = x.fma(all(weights[from + token + PIECE_TOKENS]), b0);
                    c0 = x.fma(all(weights[from + token + 2 * PIECE_TOKENS]), c0);
                    d0 = x.fma(all(weights[from + token + 3 * PIECE_TOKENS]), d0);
                }
                store(a0, a1, sums, sumA, PART_LANES);
                store(b0, b1, sums, sumB, PART_LANES);
                store(c0, c1, sums, sumC, PART_LANES);
                store(d0, d1, sums, sumD, PART_LANES);
            }
        }
    }

    // ---- rows ----

    @Override
    void scoresOfRows(
            MemorySegment memory,
            long at,
            long stride,
            int elements,
            int tokens,
            float[] queries,
            int from,
            float[] scores,
            int to) {
        rowScores(memory, at, stride, elements, tokens, queries, from, scores, to);
    }

    private static void rowScores(
            MemorySegment memory,
            long at,
            long stride,
            int elements,
            int tokens,
            float[] queries,
            int from,
            float[] scores,
            int to) {
        check(from, elements, queries.length, "queries");
        check(to, tokens, scores.length, "scores");
        int whole = elements - elements % PART_LANES;
        long rowBytes = (long) elements * BITS / 8;
        for (int token = 0; token < tokens; token++) {
            MemorySegment row = memory.asSlice(at + token * stride, rowBytes);
            FloatVector a = zero();
            FloatVector b = a;
            FloatVector c = a;
            FloatVector d = a;
            for (int i = 0; i < whole; i += PART_LANES) {
                int bytes = i * BITS / 8;
                a = part(row, bytes, shift(0)).fma(load(queries, from + i), a);
                if (PARTS >= 2) {
                    b = part(row, bytes, shift(1)).fma(load(queries, from + i + LANES), b);
                }
                if (PARTS == 4) {
                    c = part(row, bytes, shift(2)).fma(load(queries, from + i + 2 * LANES), c);
                    d = part(row, bytes, shift(3)).fma(load(queries, from + i + 3 * LANES), d);
                }
            }
            float sum = sum(a.add(b).add(c.add(d)));
            for (int i = whole; i < elements; i++) {
                sum += element(row, i) * queries[from + i];
            }
            scores[to + token] = sum;
        }
    }

    @Override
    void addRows(
            MemorySegment memory,
            long at,
            long stride,
            int elements,
            int tokens,
            float[] weights,
            int from,
            float[] sums,
            int to) {
        rowsAdd(memory, at, stride, elements, tokens, weights, from, sums, to);
    }

    private static void rowsAdd(
            MemorySegment memory,
            long at,
            long stride,
            int elements,
            int tokens,
            float[] weights,
            int from,
            float[] sums,
            int to) {
        check(from, tokens, weights.length, "weights");
        check(to, elements, sums.length, "sums");
        int whole = elements - elements % PART_LANES;
        for (int i = 0; i < whole; i += PART_LANES) {
            int sum = to + i;
            FloatVector a = load(sums, sum);
            FloatVector b = PARTS < 2 ? a : load(sums, sum + LANES);
            FloatVector c = PARTS < 4 ? a : load(sums, sum + 2 * LANES);
            FloatVector d = PARTS < 4 ? a : load(sums, sum + 3 * LANES);
            for (int token = 0; token < tokens; token++) {
                MemorySegment words = memory.asSlice(at + token * stride + (long) i * BITS / 8, VECTOR_BYTES);
                FloatVector weight = all(weights[from + token]);
                a = part(words, 0, shift(0)).fma(weight, a);
                if (PARTS >= 2) {
                    b = part(words, 0, shift(1)).fma(weight, b);
                }
                if (PARTS == 4) {
                    c = part(words, 0, shift(2)).fma(weight, c);
                    d = part(words, 0, shift(3)).fma(weight, d);
                }
            }
            a.intoArray(sums, sum);
            if (PARTS >= 2) {
                b.intoArray(sums, sum + LANES);
            }
            if (PARTS == 4) {
                c.intoArray(sums, sum + 2 * LANES);
                d.intoArray(sums, sum + 3 * LANES);
            }
        }
        for (int token = 0; whole < elements && token < tokens; token++) {
            MemorySegment row = memory.asSlice(at + token * stride, (long) elements * BITS / 8);
            for (int i = whole; i < elements; i++) {
                sums[to + i] += weights[from + token] * element(row, i);
            }
        }
    }

    /** One element, as much too small or too great as in vectors. */
    private static float element(MemorySegment row, int index) {
        if (F32) {
            return row.get(ValueLayout.JAVA_FLOAT_UNALIGNED, index * 4L);
        }
        if (F16) {
            int half = (row.get(ValueLayout.JAVA_SHORT_UNALIGNED, index * 2L) << 16 >> 3) & HALF_MASK;
            boolean special = EXACT && (half & HALF_EXPONENT) == HALF_EXPONENT;
            return Float.intBitsToFloat(special ? half | TOP_EXPONENT : half);
        }
        if (BF16) {
            return Float.intBitsToFloat(row.get(ValueLayout.JAVA_SHORT_UNALIGNED, index * 2L) << 16);
        }
        return row.get(ValueLayout.JAVA_BYTE, index) << 24;
    }

    // ---- softmax ----

    @Override
    void multiply(float[] floats, int from, MemorySegment memory, long at, int count) {
        MemorySegment scales = memory.asSlice(at, 4L * count);
        int i = 0;
        for (; i <= count - LANES; i += LANES) {
            FloatVector scale = FloatVector.fromMemorySegment(FLOATS, scales, 4L * i, ByteOrder.LITTLE_ENDIAN);
            load(floats, from + i).mul(scale).intoArray(floats, from + i);
        }
        for (; i < count; i++) {
            floats[from + i] *= scales.get(ValueLayout.JAVA_FLOAT_UNALIGNED, 4L * i);
        }
    }

    @Override
    void softCap(float[] scores, int from, int count, float cap) {
        capScores(scores, from, count, cap);
    }

    /** tanh(x) = (1 - e) / (1 + e) with the sign of x, where e = e^(-2|x|); first e for all scores, with the sign, then the rest. */
    private static void capScores(float[] scores, int from, int count, float cap) {
        check(from, count, scores.length, "scores");
        check(0, count, PIECE_TOKENS, "piece");
        int whole = count - count % LANES;
        check(0, whole, count, "whole vectors");
        check(whole, count - whole, count, "rest");
        FloatVector factor = all(-2 / cap);
        for (int i = from; i < from + whole; i += LANES) {
            FloatVector x = load(scores, i);
            FloatVector e = exp(x.abs().mul(factor));
            e.blend(e.neg(), x.compare(VectorOperators.LT, 0)).intoArray(scores, i);
        }
        FloatVector one = all(1);
        FloatVector caps = all(cap);
        for (int i = from; i < from + whole; i += LANES) {
            FloatVector signed = load(scores, i);
            FloatVector e = signed.abs();
            FloatVector size = one.sub(e).div(one.add(e)).mul(caps);
            VectorMask<Float> negative =
                    signed.reinterpretAsInts().compare(VectorOperators.LT, 0).cast(FLOATS);
            size.blend(size.neg(), negative).intoArray(scores, i);
        }
        for (int i = from + whole; i < from + count; i++) {
            float quotient = scores[i] / cap;
            if (quotient == 0) {
                scores[i] = quotient * cap; // keeps the sign
            } else if (Math.abs(quotient) > SATURATED) {
                scores[i] = Math.copySign(cap, quotient);
            } else {
                scores[i] = cap * (float) Math.tanh(quotient);
            }
        }
    }

    @Override
    void softmax(
            float[] scores,
            int from,
            int count,
            float[] greatest,
            float[] totals,
            int row,
            float[] sums,
            int sumsFrom,
            int sumsCount) {
        weigh(scores, from, count, greatest, totals, row, sums, sumsFrom, sumsCount);
    }

    private static void weigh(
            float[] scores,
            int from,
            int count,
            float[] greatest,
            float[] totals,
            int row,
            float[] sums,
            int sumsFrom,
            int sumsCount) {
        check(from, count, scores.length, "scores");
        check(0, count, PIECE_TOKENS, "piece");
        check(row, 1, greatest.length, "greatest");
        check(row, 1, totals.length, "totals");
        check(sumsFrom, sumsCount, sums.length, "sums");
        int whole = count - count % LANES;
        FloatVector maxima = all(greatest[row]);
        for (int i = 0; i < whole; i += LANES) {
            maxima = maxima.max(load(scores, from + i));
        }
        float maximum = maxima.reduceLanes(VectorOperators.MAX);
        for (int i = whole; i < count; i++) {
            maximum = Math.max(maximum, scores[from + i]);
        }
        FloatVector vectorTotal = zero();
        FloatVector subtrahend = all(maximum);
        for (int i = 0; i < whole; i += LANES) {
            FloatVector e = exp(load(scores, from + i).sub(subtrahend));
            vectorTotal = vectorTotal.add(e);
            e.mul(WEIGHT_FACTOR).intoArray(scores, from + i);
        }
        float total = sum(vectorTotal);
        for (int i = whole; i < count; i++) {
            float e = (float) Math.exp(scores[from + i] - maximum);
            total += e;
            scores[from + i] = e * WEIGHT_FACTOR;
        }
        if (maximum != greatest[row]) {
            float factor = (float) Math.exp(greatest[row] - maximum);
            greatest[row] = maximum;
            total += totals[row] * factor;
            for (int i = sumsFrom; i < sumsFrom + sumsCount; i += LANES) { // whole vectors, see LayerShape.sumStride
                load(sums, i).mul(factor).intoArray(sums, i);
            }
        } else {
            total += totals[row];
        }
        totals[row] = total;
    }

    private static final float WEIGHT_FACTOR = F16 ? 0x1p112f : 1;
    private static final float KEY_FACTOR = F32 || BF16 ? 1 : F16 ? 0x1p112f : 0x1p-24f;
    private static final float SUM_FACTOR = F32 || BF16 || F16 ? 1 : 0x1p-24f;

    private static final float LOG2_E = 1.442695f;
    private static final float ROUNDER = 12582912f; // 1.5 x 2^23: added, it leaves the nearest integer in the low bits
    private static final float LEAST = -126; // x log2(e) stays above the least exponent
    private static final float VANISHING = -87;
    private static final float SATURATED = 20; // tanh is 1 from there on

    /**
     * e^x for x at most 0, with a relative error below 4e-7, and 0 below -87: 2^k x 2^f with k an integer and f from -.5 to .5, 2^f by
     * the polynomial of degree 5 that errs least.
     */
    private static FloatVector exp(FloatVector x) {
        FloatVector bounded = x.max(LEAST);
        FloatVector rounded = bounded.fma(all(LOG2_E), all(ROUNDER));
        FloatVector fraction = bounded.fma(all(LOG2_E), all(ROUNDER).sub(rounded));
        FloatVector power = all(1.333365e-3f)
                .fma(fraction, all(9.61817e-3f))
                .fma(fraction, all(5.5503324e-2f))
                .fma(fraction, all(2.402265e-1f))
                .fma(fraction, all(6.931472e-1f))
                .fma(fraction, all(1));
        IntVector exponent =
                rounded.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23).add(0x3f800000);
        return power.mul(exponent.reinterpretAsFloats()).blend(0, x.compare(VectorOperators.LT, VANISHING));
    }

    // ---- arrangement ----

    // Whole vectors of words: the first elements of all words, then the second ones, ...; what does not fill them all
    // is in order.

    @Override
    int place(int element, int elements) {
        int inGroup = element % PART_LANES;
        int group = element - inGroup;
        return group + PART_LANES > elements ? element : group + inGroup % PARTS * LANES + inGroup / PARTS;
    }

    @Override
    float keyFactor() {
        return KEY_FACTOR;
    }

    @Override
    float weightFactor() {
        return WEIGHT_FACTOR;
    }

    @Override
    float sumFactor() {
        return SUM_FACTOR;
    }
}
