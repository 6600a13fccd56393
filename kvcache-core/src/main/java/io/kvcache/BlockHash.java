package io.kvcache;

/**
 * Finds blocks by a 32-bit tag, part of a hash of what they hold: a hash table with open addressing. Several blocks may
 * have the same tag; whoever looks them up compares what it stands for. Adding and removing make no garbage but when the
 * table grows.
 *
 * <p>Not thread-safe: guarded by the lock of the {@link SequencePool}.
 */
final class BlockHash {
    // An entry is tag << 32 | block + 1, or 0 where nothing is: a probe costs one cache miss. Linear probing; removal
    // shifts the entries behind back (Knuth, TAOCP vol. 3, 6.4, algorithm R), so that there are no tombstones. At most
    // every other one is taken: runs stay short.
    private static final int FIRST_ENTRIES = 64;

    private long[] table = new long[FIRST_ENTRIES];
    private int mask = FIRST_ENTRIES - 1;
    private int size;

    int size() {
        return size;
    }

    /** The first entry that may hold a block with this tag; {@link #block} tells whether one is there. */
    int entry(int tag) {
        return entryFrom(tag & mask, tag);
    }

    /** The next entry that may hold a block with this tag. */
    int entryAfter(int entry, int tag) {
        return entryFrom(entry + 1 & mask, tag);
    }

    private int entryFrom(int start, int tag) {
        int entry = start;
        while (table[entry] != 0 && tag(table[entry]) != tag) {
            entry = entry + 1 & mask;
        }
        return entry;
    }

    /** The block at an entry, or {@link BlockPool#NONE}. */
    int block(int entry) {
        return (int) table[entry] - 1;
    }

    /** Puts another block with the same tag in the place of the one at an entry. */
    void replace(int entry, int block) {
        table[entry] = pack(tag(table[entry]), block);
    }

    void add(int tag, int block) {
        if (2L * (size + 1) > table.length) {
            grow();
        }
        put(pack(tag, block));
        size++;
    }

    private void put(long packed) {
        int entry = tag(packed) & mask;
        while (table[entry] != 0) {
            entry = entry + 1 & mask;
        }
        table[entry] = packed;
    }

    private void grow() {
        long[] old = table;
        table = new long[Math.multiplyExact(old.length, 2)];
        mask = table.length - 1;
        for (long packed : old) {
            if (packed != 0) {
                put(packed);
            }
        }
    }

    /** Removes the block with this tag, which must be there. */
    void remove(int tag, int block) {
        int entry = entry(tag);
        while (block(entry) != block) {
            if (block(entry) == BlockPool.NONE) {
                throw new IllegalStateException("block is not in the table: block=" + block + " tag=" + tag);
            }
            entry = entryAfter(entry, tag);
        }
        removeAt(entry);
        size--;
    }

    /** Empties an entry and moves back those behind it that would no longer be found. */
    private void removeAt(int removed) {
        int hole = removed;
        int entry = hole + 1 & mask;
        while (table[entry] != 0) {
            int distanceFromHome = entry - tag(table[entry]) & mask;
            int distanceFromHole = entry - hole & mask;
            if (distanceFromHome >= distanceFromHole) {
                table[hole] = table[entry];
                hole = entry;
            }
            entry = entry + 1 & mask;
        }
        table[hole] = 0;
    }

    private static long pack(int tag, int block) {
        return (long) tag << 32 | block + 1;
    }

    private static int tag(long packed) {
        return (int) (packed >>> 32);
    }
}
