package io.kvcache.tiers;

import java.util.Arrays;
import java.util.Objects;
import org.agrona.collections.Long2LongHashMap;
import org.jspecify.annotations.Nullable;

/**
 * What memory knows of each slot, in flat arrays by the number of its entry: about 110 bytes a slot. Finds blocks by
 * chains of equal fingerprints, and keeps slots in rings.
 *
 * <p>Not thread-safe: guarded by the lock of the {@link SlotLedger}.
 */
final class SlotTable {
    /** The number of no entry. */
    static final int NONE = 0;

    // What a slot is to the calls:
    //
    //              take                   publish
    //   FREE  ------------->  OWNED  ------------------>  LIVE, in a chain and in the ring of its shape
    //     ^                   ^  |                         |     |
    //     |      release      |  |                         |     | dropped while it is read
    //     +-------------------|--+                         |     v
    //                         +---- evicted, dropped ------+   DYING
    //                         +---- the last reader leaves ------+
    //
    // An owner has the slot for itself, but may have to wait for readers who came before.
    static final byte FREE = 0;
    static final byte OWNED = 1;
    static final byte LIVE = 2;
    static final byte DYING = 3;

    private static final int FIRST_CAPACITY = 64;
    private static final int DIGEST_LONGS = 4;

    // Entries that are not in use form a stack through newer. Entries of a ring are linked through older and newer;
    // an entry that is no slot closes it. An entry is in one ring at most.
    private @Nullable Segment[] segments = new @Nullable Segment[FIRST_CAPACITY];
    private int[] slots = new int[FIRST_CAPACITY];
    private int[] older = new int[FIRST_CAPACITY];
    private int[] newer = new int[FIRST_CAPACITY];
    private int created; // entry 0 is none
    private int unused = NONE;

    private final Long2LongHashMap chains = new Long2LongHashMap(NONE); // fingerprint -> first entry
    private int[] chained = new int[FIRST_CAPACITY]; // next entry of the same fingerprint
    private long[] digests = new long[FIRST_CAPACITY * DIGEST_LONGS];
    private long[] tokens = new long[FIRST_CAPACITY]; // hash of the tokens

    byte[] states = new byte[FIRST_CAPACITY];
    int[] readers = new int[FIRST_CAPACITY];

    @Nullable
    NamespaceSlots[] owners = new @Nullable NamespaceSlots[FIRST_CAPACITY]; // whose bytes are in the slot

    boolean[] mixed = new boolean[FIRST_CAPACITY]; // bytes of any other namespace may be there, too
    boolean[] clean = new boolean[FIRST_CAPACITY]; // whether the header in the file holds zeros for sure
    long[] generations = new long[FIRST_CAPACITY];
    long[] stamps = new long[FIRST_CAPACITY]; // grow from use to use
    long[] expiries = new long[FIRST_CAPACITY]; // the millisecond since 1970 from which the block is over

    /** Makes an entry for a slot: free, in no ring. */
    int add(Segment segment, int slot) {
        int entry = newEntry();
        segments[entry] = segment;
        slots[entry] = slot;
        return entry;
    }

    /** Makes an empty ring, known by the number of the entry that closes it. */
    int newRing() {
        int ring = newEntry();
        older[ring] = ring;
        newer[ring] = ring;
        return ring;
    }

    private int newEntry() {
        if (unused != NONE) {
            int entry = unused;
            unused = newer[entry];
            return entry;
        }
        int entry = ++created;
        if (entry == slots.length) {
            grow(entry + (entry >> 1));
        }
        return entry;
    }

    private void grow(int capacity) {
        segments = Arrays.copyOf(segments, capacity);
        slots = Arrays.copyOf(slots, capacity);
        older = Arrays.copyOf(older, capacity);
        newer = Arrays.copyOf(newer, capacity);
        chained = Arrays.copyOf(chained, capacity);
        digests = Arrays.copyOf(digests, capacity * DIGEST_LONGS);
        tokens = Arrays.copyOf(tokens, capacity);
        states = Arrays.copyOf(states, capacity);
        readers = Arrays.copyOf(readers, capacity);
        owners = Arrays.copyOf(owners, capacity);
        mixed = Arrays.copyOf(mixed, capacity);
        clean = Arrays.copyOf(clean, capacity);
        generations = Arrays.copyOf(generations, capacity);
        stamps = Arrays.copyOf(stamps, capacity);
        expiries = Arrays.copyOf(expiries, capacity);
    }

    /** Forgets an entry that is in no chain and no ring. */
    void forget(int entry) {
        segments[entry] = null;
        owners[entry] = null;
        mixed[entry] = false;
        clean[entry] = false;
        states[entry] = FREE;
        readers[entry] = 0;
        newer[entry] = unused;
        unused = entry;
    }

    Segment segment(int entry) {
        return Objects.requireNonNull(segments[entry]);
    }

    int slot(int entry) {
        return slots[entry];
    }

    /** Puts an entry behind all others of a ring. */
    void append(int ring, int entry) {
        int last = older[ring];
        older[entry] = last;
        newer[entry] = ring;
        newer[last] = entry;
        older[ring] = entry;
    }

    /** Takes an entry out of its ring. */
    void unlink(int entry) {
        newer[older[entry]] = newer[entry];
        older[newer[entry]] = older[entry];
    }

    /** The first entry of a ring, or {@link #NONE}. */
    int first(int ring) {
        return after(ring, ring);
    }

    /** The entry of a ring that follows another, or {@link #NONE}. */
    int after(int ring, int entry) {
        return newer[entry] == ring ? NONE : newer[entry];
    }

    /** How many entries a ring has; counts them. */
    int size(int ring) {
        int count = 0;
        for (int entry = first(ring); entry != NONE; entry = after(ring, entry)) {
            count++;
        }
        return count;
    }

    /** Lets a block be found by its key. */
    void chain(int entry, KeyPrint key) {
        int at = entry * DIGEST_LONGS;
        digests[at] = key.digest0();
        digests[at + 1] = key.digest1();
        digests[at + 2] = key.digest2();
        digests[at + 3] = key.digest3();
        tokens[entry] = key.tokens();
        chained[entry] = (int) chains.put(key.fingerprint(), entry);
    }

    /** Lets a block be found no more. */
    void unchain(int entry) {
        long fingerprint = digests[entry * DIGEST_LONGS];
        int at = (int) chains.get(fingerprint);
        if (at != entry) {
            while (chained[at] != entry) {
                at = chained[at];
            }
            chained[at] = chained[entry];
        } else if (chained[entry] != NONE) {
            chains.put(fingerprint, chained[entry]);
        } else {
            chains.remove(fingerprint);
        }
    }

    /** The block that has a key, or {@link #NONE}. */
    int find(KeyPrint key) {
        int entry = (int) chains.get(key.fingerprint());
        while (entry != NONE && !matches(entry, key)) {
            entry = chained[entry];
        }
        return entry;
    }

    private boolean matches(int entry, KeyPrint key) {
        int at = entry * DIGEST_LONGS;
        NamespaceSlots owner = owners[entry];
        return digests[at] == key.digest0()
                && digests[at + 1] == key.digest1()
                && digests[at + 2] == key.digest2()
                && digests[at + 3] == key.digest3()
                && tokens[entry] == key.tokens()
                && owner != null
                && owner.name.equals(key.namespace());
    }
}
