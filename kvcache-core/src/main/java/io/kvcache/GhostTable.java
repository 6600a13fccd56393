package io.kvcache;

import java.util.Arrays;

/**
 * Remembers blocks that have left the cache by their fingerprints, the newest ones up to a capacity, with a number for each. At
 * most 48 bytes a ghost; the arrays grow with the ghosts.
 *
 * <p>Not thread-safe: guarded by the lock of the {@link SequencePool}.
 */
final class GhostTable {
    static final long NONE = -1;

    // Slots form a ring through older and newer, closed by a sentinel at entry 0; slot s is entry s + 1. Freed slots
    // form a stack through newer.
    private static final int SENTINEL = 0;
    private static final int FIRST_CAPACITY = 64;

    private final int capacity;
    private final BlockHash slots = new BlockHash();
    private long[] fingerprints = new long[FIRST_CAPACITY];
    private long[] values = new long[FIRST_CAPACITY];
    private int[] older = new int[FIRST_CAPACITY];
    private int[] newer = new int[FIRST_CAPACITY];
    private int created;
    private int freed = BlockPool.NONE;

    GhostTable(int capacity) {
        this.capacity = capacity;
    }

    int size() {
        return slots.size();
    }

    /** Remembers a number, not negative, for a fingerprint that is not here; the oldest ghost makes room. */
    void put(long fingerprint, long value) {
        if (slots.size() == capacity) {
            remove(newer[SENTINEL]);
        }
        int entry = freeEntry();
        fingerprints[entry] = fingerprint;
        values[entry] = value;
        int newest = older[SENTINEL];
        older[entry] = newest;
        newer[entry] = SENTINEL;
        newer[newest] = entry;
        older[SENTINEL] = entry;
        slots.add(tag(fingerprint), entry - 1);
    }

    /** Returns the number of a fingerprint, or {@link #NONE}. */
    long get(long fingerprint) {
        int entry = find(fingerprint);
        return entry == SENTINEL ? NONE : values[entry];
    }

    /** Forgets a fingerprint and returns its number, or {@link #NONE}. */
    long take(long fingerprint) {
        int entry = find(fingerprint);
        if (entry == SENTINEL) {
            return NONE;
        }
        remove(entry);
        return values[entry];
    }

    /** The entry of a fingerprint, or the sentinel. */
    private int find(long fingerprint) {
        int tag = tag(fingerprint);
        int at = slots.entry(tag);
        while (slots.block(at) != BlockPool.NONE && fingerprints[slots.block(at) + 1] != fingerprint) {
            at = slots.entryAfter(at, tag);
        }
        return slots.block(at) + 1;
    }

    private void remove(int entry) {
        slots.remove(tag(fingerprints[entry]), entry - 1);
        newer[older[entry]] = newer[entry];
        older[newer[entry]] = older[entry];
        newer[entry] = freed;
        freed = entry;
    }

    private int freeEntry() {
        if (freed != BlockPool.NONE) {
            int entry = freed;
            freed = newer[entry];
            return entry;
        }
        int entry = ++created;
        if (entry == older.length) {
            int grown = (int) Math.min(entry * 3L / 2, capacity + 1L);
            fingerprints = Arrays.copyOf(fingerprints, grown);
            values = Arrays.copyOf(values, grown);
            older = Arrays.copyOf(older, grown);
            newer = Arrays.copyOf(newer, grown);
        }
        return entry;
    }

    private static int tag(long fingerprint) {
        return (int) (fingerprint ^ fingerprint >>> 32);
    }
}
