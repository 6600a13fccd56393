package io.kvcache.demo;

/**
 * The tokens of a vocabulary in descending order of their logits, sorted only as far as they are asked for; equal logits
 * are ordered by id.
 *
 * <p>Not thread-safe: one thread at a time.
 */
final class TokenHeap {
    /*
     * One array is both the heap and the sorted part, as in a heapsort that stops early:
     *
     *     ids:  [0, left) heap of those left, best first | [left, size) those taken, worst first
     *
     * Building it takes O(n) steps, each token taken O(log n), and no other memory is needed.
     */
    private int[] ids = {};
    private float[] logits = {};
    private int offset;
    private int size;
    private int left;

    /** Starts anew with {@code newSize} logits from {@code newOffset} on, which must not change while it is used. */
    void reset(float[] newLogits, int newOffset, int newSize) {
        logits = newLogits;
        offset = newOffset;
        size = newSize;
        left = newSize;
        fill();
        for (int parent = size / 2 - 1; parent >= 0; parent--) {
            sink(parent);
        }
    }

    /** The token of that rank, from 0, the best. */
    int token(int rank) {
        while (size - left <= rank) {
            take();
        }
        return ids[size - 1 - rank];
    }

    /** The logit of the token of that rank. */
    float logit(int rank) {
        return logits[offset + token(rank)];
    }

    private void fill() {
        ids = ids.length < size ? new int[size] : ids;
        for (int id = 0; id < size; id++) {
            ids[id] = id;
        }
    }

    private void take() {
        left--;
        swap(0, left);
        sink(0);
    }

    private void sink(int start) {
        int parent = start;
        int child = bestChild(parent);
        while (child < left && isBefore(ids[child], ids[parent])) {
            swap(parent, child);
            parent = child;
            child = bestChild(parent);
        }
    }

    private int bestChild(int parent) {
        int child = 2 * parent + 1;
        boolean second = child + 1 < left && isBefore(ids[child + 1], ids[child]);
        return second ? child + 1 : child;
    }

    private boolean isBefore(int one, int other) {
        float logit = logits[offset + one];
        float otherLogit = logits[offset + other];
        return logit > otherLogit || (logit == otherLogit && one < other);
    }

    private void swap(int one, int other) {
        int id = ids[one];
        ids[one] = ids[other];
        ids[other] = id;
    }
}
