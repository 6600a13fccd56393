package io.kvcache.bench;

import io.kvcache.Sequence;
import java.util.Arrays;

/**
 * Keys and values that tell which token they belong to, so that a look at cached keys shows whether they are the right ones.
 *
 * <p>Not thread-safe.
 */
final class SteadyRows {
    /** Tokens that are written at a time. */
    static final int CHUNK = 64;

    private static final int MARKS = 1 << 10; // exact in F16

    private final int width = SteadyCache.LAYOUT.keyWidth(0);
    private final float[] keys = new float[CHUNK * width]; // [tokens][kvHeads * headSize]
    private final float[] values = new float[CHUNK * width]; // [tokens][kvHeads * headSize]

    SteadyRows() {
        Arrays.fill(values, 0.5f);
    }

    /** Writes keys and values of tokens into reserved positions, behind those that are committed, in all layers. */
    void write(Sequence sequence, int[] tokens, int from, int count) {
        for (int i = 0; i < count; i++) {
            keys[i * width] = mark(tokens[from + i]);
        }
        for (int layer = 0; layer < SteadyCache.LAYOUT.layers(); layer++) {
            sequence.write(layer, sequence.length(), count, keys, 0, values, 0);
        }
    }

    /** Looks at the keys of a committed position. */
    void check(Sequence sequence, int layer, int position) {
        sequence.gather(layer, position, 1, keys, 0, values, 0);
        float expected = mark(sequence.token(position));
        if (keys[0] != expected) {
            throw new IllegalStateException("keys are another token's: position=" + position + " layer=" + layer
                    + " found=" + keys[0] + " expected=" + expected + " " + sequence);
        }
    }

    private static float mark(int token) {
        return token % MARKS;
    }
}
