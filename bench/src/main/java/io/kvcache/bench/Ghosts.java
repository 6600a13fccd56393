package io.kvcache.bench;

import io.kvcache.LeafQueue;
import org.agrona.collections.IntArrayList;
import org.agrona.collections.Long2LongHashMap;

/**
 * Lists of blocks that have left the cache, by fingerprint, in the order in which they left.
 *
 * <p>Not thread-safe.
 */
final class Ghosts {
    // A ghost has a slot, a small number as a block has, so that a LeafQueue can keep the order.
    private final Long2LongHashMap slots = new Long2LongHashMap(LeafQueue.NONE); // by fingerprint
    private final BlockLongs fingerprints = new BlockLongs(); // by slot
    private final LeafQueue order = new LeafQueue();
    private final IntArrayList spareSlots = new IntArrayList();
    private long added;

    /** Makes a ghost the newest of a list; it leaves the one that it was in. */
    void add(int list, long fingerprint) {
        remove(fingerprint);
        int slot = spareSlots.isEmpty() ? slots.size() : spareSlots.popInt();
        slots.put(fingerprint, slot);
        fingerprints.set(slot, fingerprint);
        order.add(list, slot, added++);
    }

    /** Removes a ghost, if it is there, and returns its list or {@link LeafQueue#NONE}. */
    int remove(long fingerprint) {
        int slot = (int) slots.remove(fingerprint);
        if (slot == LeafQueue.NONE) {
            return LeafQueue.NONE;
        }
        int list = order.list(slot);
        order.remove(slot);
        spareSlots.pushInt(slot);
        return list;
    }

    /** Forgets the oldest of a list until it has no more than {@code most}. */
    void trim(int list, int most) {
        while (order.size(list) > Math.max(0, most)) {
            remove(fingerprints.get(order.first(list)));
        }
    }

    int size(int list) {
        return order.size(list);
    }
}
