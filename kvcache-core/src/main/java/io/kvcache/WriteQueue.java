package io.kvcache;

/**
 * Blocks that wait to be copied to a tier, first come, first served: a ring of numbers. A block that waits is not held; it may have
 * left, or hold something else, when its turn comes.
 *
 * <p>Not thread-safe: guarded by the lock of the {@link SequencePool}.
 */
final class WriteQueue {
    private final int[] blocks; // [capacity]
    private final long[] numbers; // [capacity] by which the index knows what the block held when it came
    private int first;
    private int size;

    WriteQueue(int capacity) {
        blocks = new int[capacity];
        numbers = new long[capacity];
    }

    int size() {
        return size;
    }

    /** Returns whether there was room. */
    boolean offer(int block, long number) {
        if (size == blocks.length) {
            return false;
        }
        int at = (int) (((long) first + size) % blocks.length);
        blocks[at] = block;
        numbers[at] = number;
        size++;
        return true;
    }

    /** The first block; there is one. */
    int block() {
        return blocks[first];
    }

    /** The number that the first block had when it came. */
    long number() {
        return numbers[first];
    }

    void removeFirst() {
        first = first + 1 == blocks.length ? 0 : first + 1;
        size--;
    }

    void clear() {
        size = 0;
    }
}
