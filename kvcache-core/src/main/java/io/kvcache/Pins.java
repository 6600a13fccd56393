package io.kvcache;

import java.util.Arrays;
import java.util.BitSet;
import java.util.function.IntConsumer;

/**
 * Blocks that a namespace holds within its budget, so that they are not evicted. A pin counts on its block and on every block
 * before it, since nothing is found without its prefix.
 *
 * <p>Not thread-safe: guarded by the lock of the {@link SequencePool}.
 */
final class Pins {
    private final PrefixIndex index;
    private final BlockLedger ledger;
    private final IntConsumer hold;
    private final IntConsumer letGo;
    private final BitSet explicit = new BitSet();
    private int[] counts = new int[0]; // [blocks] pinned children, and one for an explicit pin

    /**
     * Makes it without pins.
     *
     * @param hold takes a reference to a published block
     * @param letGo drops one
     */
    Pins(PrefixIndex index, BlockLedger ledger, IntConsumer hold, IntConsumer letGo) {
        this.index = index;
        this.ledger = ledger;
        this.hold = hold;
        this.letGo = letGo;
    }

    boolean isPinned(int block) {
        return block < counts.length && counts[block] > 0;
    }

    /** Pins a published block; returns whether the budget of its namespace allows that. */
    boolean pin(int block) {
        if (explicit.get(block)) {
            return true;
        }
        if (counts.length < ledger.capacity()) {
            counts = Arrays.copyOf(counts, ledger.capacity());
        }
        Partition owner = ledger.owner(block);
        int cost = 0;
        for (int ancestor = block; ancestor >= 0 && counts[ancestor] == 0; ancestor = index.parent(ancestor)) {
            cost++;
        }
        if (cost > owner.pinnableBlocks - owner.pinnedBlocks) {
            return false;
        }
        explicit.set(block);
        for (int ancestor = block; ancestor >= 0; ancestor = index.parent(ancestor)) {
            if (counts[ancestor]++ > 0) {
                break;
            }
            owner.pinnedBlocks++;
            hold.accept(ancestor);
        }
        return true;
    }

    /** Ends the pin of a block, if it has one of its own. */
    void unpin(int block) {
        if (!explicit.get(block)) {
            return;
        }
        explicit.clear(block);
        Partition owner = ledger.owner(block);
        int ancestor = block;
        while (ancestor >= 0 && --counts[ancestor] == 0) {
            int parent = index.parent(ancestor);
            owner.pinnedBlocks--;
            letGo.accept(ancestor);
            ancestor = parent;
        }
    }

    /** Checks the count of a published block. */
    void verify(int block) {
        int expected = explicit.get(block) ? 1 : 0;
        for (int child = index.firstChild(block); child != BlockPool.NONE; child = index.nextSibling(child)) {
            expected += isPinned(child) ? 1 : 0;
        }
        if (block < counts.length && counts[block] != expected) {
            throw new IllegalStateException("invariant broken: a pin counts on the blocks before it: block=" + block
                    + " count=" + counts[block] + " expected=" + expected);
        }
    }
}
