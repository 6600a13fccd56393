package io.kvcache;

import java.util.Arrays;

/**
 * Lists of blocks in order of a key, for an {@link EvictionPolicy}: both ends of a list can be read, and any block taken out. A
 * block is in at most one list. Adding in ascending order of keys is O(1), adding out of order O(log n) in the number of
 * blocks added so; no call makes garbage once the arrays have grown.
 *
 * <p>Not thread-safe.
 */
public final class LeafQueue {
    /** No block. */
    public static final int NONE = -1;

    // What comes in order, which is most, forms a ring (older and newer, block numbers). What comes late, such as a
    // parent that becomes a leaf when its child has left, goes into a min-max heap (Atkinson, Sack, Santoro,
    // Strothotte, 1986): its even levels hold minima, its odd levels maxima of what is below. The ends of a list are
    // the better of both.
    private static final int FIRST_CAPACITY = 64;
    private static final int FIRST_LISTS = 4;
    private static final int FIRST_HEAP = 16;
    private static final int IN_HEAP = -2; // in place of newer: older is then the place in the heap

    // [blocks]
    private long[] keys = new long[FIRST_CAPACITY];
    private int[] lists = filled(FIRST_CAPACITY);
    private int[] older = new int[FIRST_CAPACITY];
    private int[] newer = new int[FIRST_CAPACITY];

    // [lists]
    private int[] oldest = filled(FIRST_LISTS);
    private int[] newest = filled(FIRST_LISTS);
    private int[] sizes = new int[FIRST_LISTS];
    private int[] heapSizes = new int[FIRST_LISTS];
    private int[][] heaps = new int[FIRST_LISTS][];

    /** Makes a queue without blocks. */
    public LeafQueue() {
        Arrays.fill(heaps, new int[0]);
    }

    /**
     * Puts a block into a list.
     *
     * @param list from 0; lists come into being when they are used
     * @param block from 0; in no list
     * @param key its place; blocks with equal keys stand in any order
     */
    public void add(int list, int block, long key) {
        ensureBlock(block);
        ensureList(list);
        if (lists[block] != NONE) {
            throw new IllegalStateException("block is in a list already: block=" + block + " list=" + lists[block]);
        }
        lists[block] = list;
        keys[block] = key;
        sizes[list]++;
        int tail = newest[list];
        if (tail == NONE || key >= keys[tail]) {
            append(list, block, tail);
        } else {
            addToHeap(list, block);
        }
    }

    private void append(int list, int block, int tail) {
        older[block] = tail;
        newer[block] = NONE;
        if (tail == NONE) {
            oldest[list] = block;
        } else {
            newer[tail] = block;
        }
        newest[list] = block;
    }

    /**
     * Takes a block out of its list.
     *
     * @param block a block in a list
     */
    public void remove(int block) {
        if (!contains(block)) {
            throw new IllegalStateException("block is in no list: block=" + block);
        }
        int list = lists[block];
        lists[block] = NONE;
        sizes[list]--;
        if (newer[block] == IN_HEAP) {
            removeFromHeap(list, older[block]);
            return;
        }
        int before = older[block];
        int after = newer[block];
        if (before == NONE) {
            oldest[list] = after;
        } else {
            newer[before] = after;
        }
        if (after == NONE) {
            newest[list] = before;
        } else {
            older[after] = before;
        }
    }

    /**
     * Returns whether a block is in a list.
     *
     * @param block any number
     * @return whether it is
     */
    public boolean contains(int block) {
        return block >= 0 && block < lists.length && lists[block] != NONE;
    }

    /**
     * Returns the number of blocks in a list.
     *
     * @param list from 0
     * @return blocks
     */
    public int size(int list) {
        return list < sizes.length ? sizes[list] : 0;
    }

    /**
     * Returns the list of a block.
     *
     * @param block a block in a list
     * @return the list
     */
    public int list(int block) {
        return lists[block];
    }

    /**
     * Returns the key of a block.
     *
     * @param block a block in a list
     * @return what it was added with
     */
    public long key(int block) {
        return keys[block];
    }

    /**
     * Returns the block with the lowest key.
     *
     * @param list from 0
     * @return the block, or {@link #NONE}
     */
    public int first(int list) {
        if (size(list) == 0) {
            return NONE;
        }
        int inOrder = oldest[list];
        if (heapSizes[list] == 0) {
            return inOrder;
        }
        int late = heaps[list][0];
        return inOrder == NONE || keys[late] < keys[inOrder] ? late : inOrder;
    }

    /**
     * Returns the block with the highest key.
     *
     * @param list from 0
     * @return the block, or {@link #NONE}
     */
    public int last(int list) {
        if (size(list) == 0) {
            return NONE;
        }
        int inOrder = newest[list];
        if (heapSizes[list] == 0) {
            return inOrder;
        }
        int late = heaps[list][highestInHeap(list)];
        return inOrder == NONE || keys[late] > keys[inOrder] ? late : inOrder;
    }

    // ---- the heap of a list ----

    private int highestInHeap(int list) {
        int size = heapSizes[list];
        int highest = Math.min(1, size - 1);
        return size > 2 && keyAt(heaps[list], 2) > keyAt(heaps[list], 1) ? 2 : highest;
    }

    private void addToHeap(int list, int block) {
        int at = heapSizes[list]++;
        if (at == heaps[list].length) {
            heaps[list] = Arrays.copyOf(heaps[list], Math.max(FIRST_HEAP, at * 2));
        }
        newer[block] = IN_HEAP;
        place(heaps[list], at, block);
        siftUp(heaps[list], at);
    }

    private void removeFromHeap(int list, int at) {
        int[] heap = heaps[list];
        int size = --heapSizes[list];
        if (at < size) {
            place(heap, at, heap[size]);
            siftUp(heap, at);
            siftDown(heap, at, size);
        }
    }

    private void siftUp(int[] heap, int start) {
        if (start == 0) {
            return;
        }
        int parent = (start - 1) / 2;
        boolean minimum = isMinimumLevel(start);
        int at = start;
        if (minimum ? keyAt(heap, at) > keyAt(heap, parent) : keyAt(heap, at) < keyAt(heap, parent)) {
            swap(heap, at, parent);
            at = parent;
            minimum = !minimum;
        }
        while (at >= 3) {
            int grandparent = (at - 3) / 4;
            if (!isBefore(heap, at, grandparent, minimum)) {
                return;
            }
            swap(heap, at, grandparent);
            at = grandparent;
        }
    }

    private void siftDown(int[] heap, int start, int size) {
        boolean minimum = isMinimumLevel(start);
        int at = start;
        while (2 * at + 1 < size) {
            int best = bestBelow(heap, at, size, minimum);
            if (!isBefore(heap, best, at, minimum)) {
                return;
            }
            swap(heap, best, at);
            if (best <= 2 * at + 2) {
                return; // a child: nothing is below it
            }
            int parent = (best - 1) / 2;
            if (isBefore(heap, parent, best, minimum)) {
                swap(heap, parent, best);
            }
            at = best;
        }
    }

    /** The lowest (or highest) among the children and grandchildren. */
    private int bestBelow(int[] heap, int at, int size, boolean minimum) {
        int best = 2 * at + 1;
        if (best + 1 < size && isBefore(heap, best + 1, best, minimum)) {
            best = best + 1;
        }
        int first = 4 * at + 3;
        for (int grandchild = first; grandchild < Math.min(first + 4, size); grandchild++) {
            if (isBefore(heap, grandchild, best, minimum)) {
                best = grandchild;
            }
        }
        return best;
    }

    private boolean isBefore(int[] heap, int left, int right, boolean minimum) {
        return minimum ? keyAt(heap, left) < keyAt(heap, right) : keyAt(heap, left) > keyAt(heap, right);
    }

    private static boolean isMinimumLevel(int at) {
        return (Integer.numberOfLeadingZeros(at + 1) & 1) == 1; // 31 - zeros is the level; even levels are minima
    }

    private long keyAt(int[] heap, int at) {
        return keys[heap[at]];
    }

    private void swap(int[] heap, int left, int right) {
        int block = heap[left];
        place(heap, left, heap[right]);
        place(heap, right, block);
    }

    private void place(int[] heap, int at, int block) {
        heap[at] = block;
        older[block] = at;
    }

    // ---- growth ----

    private void ensureBlock(int block) {
        int old = lists.length;
        if (block >= old) {
            int capacity = (int) Math.min(Math.max(block + 1L, old * 3L / 2), Integer.MAX_VALUE - 8);
            keys = Arrays.copyOf(keys, capacity);
            lists = Arrays.copyOf(lists, capacity);
            Arrays.fill(lists, old, capacity, NONE);
            older = Arrays.copyOf(older, capacity);
            newer = Arrays.copyOf(newer, capacity);
        }
    }

    private void ensureList(int list) {
        int old = sizes.length;
        if (list >= old) {
            int capacity = Math.max(list + 1, old * 2);
            oldest = Arrays.copyOf(oldest, capacity);
            Arrays.fill(oldest, old, capacity, NONE);
            newest = Arrays.copyOf(newest, capacity);
            Arrays.fill(newest, old, capacity, NONE);
            sizes = Arrays.copyOf(sizes, capacity);
            heapSizes = Arrays.copyOf(heapSizes, capacity);
            heaps = Arrays.copyOf(heaps, capacity);
            Arrays.fill(heaps, old, capacity, new int[0]);
        }
    }

    private static int[] filled(int capacity) {
        int[] array = new int[capacity];
        Arrays.fill(array, NONE);
        return array;
    }
}
