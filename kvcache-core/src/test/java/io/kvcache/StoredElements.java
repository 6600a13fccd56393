package io.kvcache;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.lang.foreign.MemorySegment;

/** How a head of floats must be stored, and what must be read of it: rounding in double arithmetic, independent of the cache. */
final class StoredElements {
    private final float scale;
    private final int[] raw; // [headSize]
    private final float[] read; // [headSize]

    private StoredElements(float scale, int[] raw, float[] read) {
        this.scale = scale;
        this.raw = raw;
        this.read = read;
    }

    /** The scale of the head, 0 where the type has none. */
    float scale() {
        return scale;
    }

    /** The bits of what is stored, sign-extended [headSize]. */
    int[] raw() {
        return raw;
    }

    /** What comes back [headSize]. */
    float[] read() {
        return read;
    }

    static StoredElements of(KvType type, float[] head) {
        int[] raw = new int[head.length];
        float[] read = new float[head.length];
        float scale = type == KvType.INT8 ? scale(head) : 0;
        for (int i = 0; i < head.length; i++) {
            switch (type) {
                case F32 -> {
                    raw[i] = Float.floatToRawIntBits(head[i]);
                    read[i] = head[i];
                }
                case F16 -> {
                    read[i] = (float) rounded(head[i], 10, -14, 65_504);
                    raw[i] = Float.floatToFloat16(read[i]); // exact
                }
                case BF16 -> {
                    read[i] = (float) rounded(head[i], 7, -126, 0x1.FEp127);
                    raw[i] = Float.floatToRawIntBits(read[i]) >> 16;
                }
                case INT8 -> {
                    raw[i] = scale > 0 ? (int) Math.rint(head[i] / scale) : 0;
                    read[i] = scale * raw[i];
                }
            }
        }
        return new StoredElements(scale, raw, read);
    }

    /** To nearest, ties to even, with so many bits of fraction. Steps are powers of two, so that dividing by them is exact. */
    static double rounded(double exact, int fractionBits, int leastExponent, double greatest) {
        if (exact == 0 || Double.isNaN(exact) || Double.isInfinite(exact)) {
            return exact;
        }
        double step = Math.scalb(1.0, Math.max(Math.getExponent(exact), leastExponent) - fractionBits);
        double rounded = Math.rint(exact / step) * step;
        return Math.abs(rounded) > greatest ? Math.copySign(Double.POSITIVE_INFINITY, exact) : rounded;
    }

    private static float scale(float[] head) {
        float greatest = 0;
        for (float element : head) {
            if (!Float.isFinite(element)) {
                return Float.NaN;
            }
            greatest = Math.max(greatest, Math.abs(element));
        }
        float scale = (float) (greatest / 127.0);
        return scale < Float.MIN_NORMAL && scale * 127.0 < greatest ? Math.nextUp(scale) : scale;
    }

    /** The bits of an element at an offset, sign-extended. */
    static int rawAt(KvType type, MemorySegment memory, long offset) {
        return switch (type) {
            case F32 -> memory.get(JAVA_INT, offset);
            case F16, BF16 -> memory.get(JAVA_SHORT, offset);
            case INT8 -> memory.get(JAVA_BYTE, offset);
        };
    }
}
