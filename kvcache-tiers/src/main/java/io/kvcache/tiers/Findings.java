package io.kvcache.tiers;

import java.util.BitSet;
import org.jspecify.annotations.Nullable;

/**
 * What was found in the slots of a segment that had been there before.
 *
 * <p>Not thread-safe.
 */
final class Findings {
    /**
     * A block.
     *
     * @param key of the block
     * @param generation of its header
     * @param expiryMillis the millisecond since 1970 from which it is over
     */
    record Finding(KeyPrint key, long generation, long expiryMillis) {}

    // Neither found nor blank: damaged or unreadable, and lost. The slot is used again all the same.
    private final @Nullable Finding[] found;
    private final BitSet blank; // slots whose header holds zeros

    Findings(int slots) {
        this.found = new @Nullable Finding[slots];
        this.blank = new BitSet(slots);
    }

    void putBlank(int slot) {
        blank.set(slot);
    }

    void put(int slot, BlockHeader header) {
        found[slot] =
                new Finding(KeyPrint.of(header.key()), header.generation(), BlockHeader.expiryMillis(header.note()));
    }

    @Nullable
    Finding get(int slot) {
        return found[slot];
    }

    boolean isBlank(int slot) {
        return blank.get(slot);
    }
}
