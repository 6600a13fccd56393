package io.kvcache.attention;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import io.kvcache.KvType;
import java.lang.foreign.MemorySegment;

/**
 * The two inner loops of attention for one head, in plain Java: the reference for faster kernels, and what runs where they
 * cannot.
 *
 * <p>A run is a number of rows, {@code stride} bytes apart, of which one head of {@code size} elements is used. Every
 * result depends on its own row alone, or on rows in ascending order, so that cutting a run in two changes no bit.
 *
 * <p>Thread-safe: stateless.
 */
final class ScalarKernel {
    private ScalarKernel() {}

    /** Sets {@code scores[from + i]} to scale x (query . key of row i). */
    static void scores(
            KvType type,
            MemorySegment memory,
            long offset,
            long stride,
            int rows,
            float[] query,
            int queryFrom,
            int size,
            float scale,
            float[] scores,
            int from) {
        for (int row = 0; row < rows; row++) {
            long key = offset + row * stride;
            float dot = switch (type) {
                case F32 -> dotF32(memory, key, query, queryFrom, size);
                case F16 -> dotF16(memory, key, query, queryFrom, size);
                case BF16 -> dotBf16(memory, key, query, queryFrom, size);
                case INT8 -> throw new IllegalArgumentException("not a type of floats: type=" + type);
            };
            scores[from + row] = scale * dot;
        }
    }

    /** Adds weights[from + i] x (value of row i) to output, row after row. */
    static void accumulate(
            KvType type,
            MemorySegment memory,
            long offset,
            long stride,
            int rows,
            float[] weights,
            int from,
            float[] output,
            int outputFrom,
            int size) {
        for (int row = 0; row < rows; row++) {
            long value = offset + row * stride;
            switch (type) {
                case F32 -> addF32(memory, value, weights[from + row], output, outputFrom, size);
                case F16 -> addF16(memory, value, weights[from + row], output, outputFrom, size);
                case BF16 -> addBf16(memory, value, weights[from + row], output, outputFrom, size);
                case INT8 -> throw new IllegalArgumentException("not a type of floats: type=" + type);
            }
        }
    }

    // Four sums side by side: one would make every addition wait for the one before.

    private static float dotF32(MemorySegment memory, long key, float[] query, int from, int size) {
        float sum0 = 0;
        float sum1 = 0;
        float sum2 = 0;
        float sum3 = 0;
        int i = 0;
        for (; i <= size - 4; i += 4) {
            sum0 += query[from + i] * f32(memory, key, i);
            sum1 += query[from + i + 1] * f32(memory, key, i + 1);
            sum2 += query[from + i + 2] * f32(memory, key, i + 2);
            sum3 += query[from + i + 3] * f32(memory, key, i + 3);
        }
        for (; i < size; i++) {
            sum0 += query[from + i] * f32(memory, key, i);
        }
        return (sum0 + sum1) + (sum2 + sum3);
    }

    private static float dotF16(MemorySegment memory, long key, float[] query, int from, int size) {
        float sum0 = 0;
        float sum1 = 0;
        float sum2 = 0;
        float sum3 = 0;
        int i = 0;
        for (; i <= size - 4; i += 4) {
            sum0 += query[from + i] * f16(memory, key, i);
            sum1 += query[from + i + 1] * f16(memory, key, i + 1);
            sum2 += query[from + i + 2] * f16(memory, key, i + 2);
            sum3 += query[from + i + 3] * f16(memory, key, i + 3);
        }
        for (; i < size; i++) {
            sum0 += query[from + i] * f16(memory, key, i);
        }
        return (sum0 + sum1) + (sum2 + sum3);
    }

    private static float dotBf16(MemorySegment memory, long key, float[] query, int from, int size) {
        float sum0 = 0;
        float sum1 = 0;
        float sum2 = 0;
        float sum3 = 0;
        int i = 0;
        for (; i <= size - 4; i += 4) {
            sum0 += query[from + i] * bf16(memory, key, i);
            sum1 += query[from + i + 1] * bf16(memory, key, i + 1);
            sum2 += query[from + i + 2] * bf16(memory, key, i + 2);
            sum3 += query[from + i + 3] * bf16(memory, key, i + 3);
        }
        for (; i < size; i++) {
            sum0 += query[from + i] * bf16(memory, key, i);
        }
        return (sum0 + sum1) + (sum2 + sum3);
    }

    private static void addF32(MemorySegment memory, long value, float weight, float[] output, int from, int size) {
        for (int i = 0; i < size; i++) {
            output[from + i] += weight * f32(memory, value, i);
        }
    }

    private static void addF16(MemorySegment memory, long value, float weight, float[] output, int from, int size) {
        for (int i = 0; i < size; i++) {
            output[from + i] += weight * f16(memory, value, i);
        }
    }

    private static void addBf16(MemorySegment memory, long value, float weight, float[] output, int from, int size) {
        for (int i = 0; i < size; i++) {
            output[from + i] += weight * bf16(memory, value, i);
        }
    }

    private static float f32(MemorySegment memory, long offset, int index) {
        return memory.get(JAVA_FLOAT, offset + (long) index * Float.BYTES);
    }

    private static float f16(MemorySegment memory, long offset, int index) {
        return Float.float16ToFloat(memory.get(JAVA_SHORT, offset + (long) index * Short.BYTES));
    }

    private static float bf16(MemorySegment memory, long offset, int index) {
        return Float.intBitsToFloat(memory.get(JAVA_SHORT, offset + (long) index * Short.BYTES) << 16);
    }
}
