package io.kvcache.remote;

import java.util.ArrayList;
import java.util.List;

/**
 * A stretch of a block that is a value of its own on a server, behind a header.
 *
 * <p>Thread-safe: immutable.
 *
 * @param number from 0
 * @param count parts of the block
 * @param from where it begins in the block, in bytes
 * @param bytes its size
 */
record Part(int number, int count, long from, int bytes) {
    // Servers allocate values by jemalloc, in four sizes for each doubling. A value that leaves more than an eighth of
    // its size empty is cut, so that the greater part fills the size below.
    private static final int SIZES = 4; // for each doubling
    private static final int SERVER_BYTES = 64; // that a server adds to a value, at most
    private static final int WORTH_CUTTING = 16 << 10;
    private static final int EMPTY = 8;

    /**
     * Divides a block.
     *
     * @param headerBytes what stands before each part
     * @param partBytes the largest part
     */
    static List<Part> of(long blockBytes, int headerBytes, int partBytes) {
        List<Integer> sizes = new ArrayList<>();
        for (long left = blockBytes; left > 0; left -= sizes.getLast()) {
            int value = (int) Math.min(left, partBytes) + headerBytes;
            int fitting = fitting(value);
            sizes.add((fitting > 2 * headerBytes ? fitting : value) - headerBytes);
        }
        List<Part> parts = new ArrayList<>(sizes.size());
        long from = 0;
        for (int bytes : sizes) {
            parts.add(new Part(parts.size(), sizes.size(), from, bytes));
            from += bytes;
        }
        return parts;
    }

    /** The size of a value, or if much would be left empty, the largest that fills what a server allocates. */
    private static int fitting(int value) {
        if (value < WORTH_CUTTING) {
            return value;
        }
        int allocated = value + SERVER_BYTES;
        int step = Integer.highestOneBit(allocated) / SIZES;
        int below = allocated / step * step;
        int empty = below == allocated ? 0 : below + step - allocated;
        return empty * EMPTY > allocated ? below - SERVER_BYTES : value;
    }
}
