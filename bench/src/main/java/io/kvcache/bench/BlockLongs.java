package io.kvcache.bench;

import java.util.Arrays;

/**
 * A number for each block, 0 at first. It grows with the highest block that has got one.
 *
 * <p>Not thread-safe.
 */
final class BlockLongs {
    private long[] values = new long[64]; // [blocks]

    long get(int block) {
        return block < values.length ? values[block] : 0;
    }

    void set(int block, long value) {
        if (block >= values.length) {
            values = Arrays.copyOf(values, Math.max(block + 1, 2 * values.length));
        }
        values[block] = value;
    }
}
