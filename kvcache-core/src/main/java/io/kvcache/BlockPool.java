package io.kvcache;

import java.util.Arrays;

/**
 * Counts the references to every block and hands out free ones. Allocate, retain, release and free are O(1) and make no
 * garbage; the arrays grow with the blocks in use, not with the maximum.
 *
 * <p>A block without references is not free yet: it may stay cached. Whoever drops the last reference decides.
 *
 * <p>Not thread-safe: guarded by the lock of the {@link SequencePool} that owns it.
 */
final class BlockPool {
    // Free blocks form a ring through next and previous, closed by a sentinel. Entry i of the arrays belongs to block
    // i - 1, so that the sentinel is entry 0 and does not move when the arrays grow:
    //
    //   entry        0          1        2        3       ...
    //   block        sentinel   0        1        2       ...
    //
    // The block released last is handed out first (its memory is warm), but the block that follows the caller's last
    // one in memory comes before all others: neighbours read faster. Both ends of the ring are needed for that, as
    // the neighbour is taken out of the middle. Blocks from created on have never been handed out; they have no entry.
    static final int NONE = -1;

    private static final int SENTINEL = 0;
    private static final int FIRST_CAPACITY = 64;
    private static final int FREE = -1; // in place of a count of references

    private final BlockMemory memory;
    private int[] references = new int[FIRST_CAPACITY];
    private int[] next = new int[FIRST_CAPACITY];
    private int[] previous = new int[FIRST_CAPACITY];
    private int created; // blocks 0..created-1 have been handed out at least once
    private int free; // of these, how many are free now

    BlockPool(BlockMemory memory) {
        this.memory = memory;
    }

    /** Blocks that are not free: held by somebody, or cached. */
    int used() {
        return created - free;
    }

    /** Blocks that could be handed out at once, without more memory. */
    int available() {
        return memory.blocks() - used();
    }

    /** Blocks that could be handed out if memory grew to its maximum. */
    int reachable() {
        return memory.maximumBlocks() - used();
    }

    /**
     * Hands out a block with one reference; what it holds means nothing.
     *
     * @param after a block that the new one should follow in memory, or {@link #NONE}
     * @return the block, or {@link #NONE} when nothing is available
     */
    int allocate(int after) {
        int block = after == NONE ? NONE : after + 1;
        if (block != NONE && block < created && references[block + 1] == FREE) {
            unlink(block + 1);
        } else if (free > 0 && (block != created || created == memory.blocks())) {
            block = next[SENTINEL] - 1;
            unlink(block + 1);
        } else if (created < memory.blocks()) {
            block = create();
        } else {
            return NONE;
        }
        references[block + 1] = 1;
        memory.resetFinite(block);
        return block;
    }

    /** Adds a reference to a block that is held or cached. */
    void retain(int block) {
        checkNotFree(block);
        references[block + 1] = Math.incrementExact(references[block + 1]);
    }

    /** Drops a reference and returns how many are left. With none left, the caller keeps the block cached or frees it. */
    int release(int block) {
        checkNotFree(block);
        if (references[block + 1] == 0) {
            throw new IllegalStateException("block is not referenced: block=" + block);
        }
        return --references[block + 1];
    }

    /** Frees a block that has no references left. */
    void free(int block) {
        checkNotFree(block);
        if (references[block + 1] != 0) {
            throw new IllegalStateException(
                    "block is still referenced: block=" + block + " references=" + references[block + 1]);
        }
        references[block + 1] = FREE;
        link(block + 1);
    }

    /** References to a block that is held or cached. */
    int references(int block) {
        checkNotFree(block);
        return references[block + 1];
    }

    private void checkNotFree(int block) {
        if (block < 0 || block >= created || references[block + 1] == FREE) {
            throw new IllegalStateException("block is not in use: block=" + block + " created=" + created);
        }
    }

    /**
     * Makes room in the arrays, so that handing out more blocks cannot fail half-way.
     *
     * @return blocks that there is room for at least
     */
    int prepare(int more) {
        int wanted = (int) Math.min(created + (long) more, memory.maximumBlocks());
        if (wanted >= references.length) {
            int capacity =
                    (int) Math.min(Math.max(wanted + 1L, references.length * 3L / 2), memory.maximumBlocks() + 1L);
            int[] grownReferences = Arrays.copyOf(references, capacity);
            int[] grownNext = Arrays.copyOf(next, capacity);
            previous = Arrays.copyOf(previous, capacity);
            next = grownNext;
            references = grownReferences;
        }
        return wanted;
    }

    private int create() {
        prepare(1);
        return created++;
    }

    private void link(int entry) {
        int head = next[SENTINEL];
        next[entry] = head;
        previous[entry] = SENTINEL;
        previous[head] = entry;
        next[SENTINEL] = entry;
        free++;
    }

    private void unlink(int entry) {
        next[previous[entry]] = next[entry];
        previous[next[entry]] = previous[entry];
        free--;
    }

    /**
     * Checks the pool against what its users hold.
     *
     * @param held [at least created blocks] references to each block as counted by walking over all holders
     * @param cached [at least created blocks] whether a block without references is kept
     * @throws IllegalStateException naming the first broken rule
     */
    void verify(int[] held, boolean[] cached) {
        require(created <= memory.blocks(), "created blocks have memory", created, memory.blocks());
        int listed = 0;
        for (int entry = next[SENTINEL]; entry != SENTINEL; entry = next[entry]) {
            require(references[entry] == FREE, "a listed block is free", entry - 1, references[entry]);
            require(previous[next[entry]] == entry, "links agree in both directions", entry - 1, next[entry] - 1);
            require(++listed <= free, "the free list ends", listed, free);
        }
        require(listed == free, "every free block is listed", listed, free);
        for (int block = 0; block < created; block++) {
            int expected = held[block] == 0 && !cached[block] ? FREE : held[block];
            require(references[block + 1] == expected, "references are held", references[block + 1], expected);
        }
    }

    private static void require(boolean holds, String rule, int left, int right) {
        if (!holds) {
            throw new IllegalStateException("invariant broken: " + rule + ": left=" + left + " right=" + right);
        }
    }
}
