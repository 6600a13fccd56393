package io.kvcache;

import java.util.Arrays;
import java.util.BitSet;

/**
 * Evictable leaves that compete with each other, counted by band: the lowest band that has any is evicted first. Band 0 is what
 * will not be continued, the others are priorities.
 *
 * <p>Not thread-safe: guarded by the lock of the {@link SequencePool}.
 */
final class LeafGroups {
    static final int NOT_CONTINUED = 0;

    private static final int BANDS = 102;

    private final int[] groups = new int[BANDS]; // the policy's number of each band, or NONE while it has not come up
    private final int[] counts = new int[BANDS];
    private final BitSet filled = new BitSet(BANDS);

    LeafGroups() {
        Arrays.fill(groups, BlockPool.NONE);
    }

    static int bandOf(int priority) {
        return priority + 1;
    }

    int group(int band) {
        return groups[band];
    }

    void name(int band, int group) {
        groups[band] = group;
    }

    void add(int band) {
        if (counts[band]++ == 0) {
            filled.set(band);
        }
    }

    void remove(int band) {
        if (--counts[band] == 0) {
            filled.clear(band);
        }
    }

    /** The lowest band with leaves, or -1. */
    int lowestBand() {
        return filled.nextSetBit(0);
    }
}
