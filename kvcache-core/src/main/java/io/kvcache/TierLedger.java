package io.kvcache;

import java.util.Arrays;
import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;

/**
 * What is known of each published block for the sake of tiers: where it came from, where it is copied to or waits to be, and what
 * its name below memory is built from. Grows with the published blocks.
 *
 * <p>Not thread-safe: guarded by the lock of the {@link SequencePool}.
 */
final class TierLedger {
    private static final int USED_AGAIN = 1;
    private static final int RETAINED = 2;
    private static final int NOT_LOADED = -1;

    private final int tokensPerBlock;
    private final PrefixIndex index;
    private final IntFunction<PrefixRoot> rootOf;
    private Tier[] tiers = new Tier[0];

    // [blocks] for published ones
    private byte[] @Nullable [] digests = new byte[0][]; // of keys, where they were needed
    private byte[] uses = new byte[0];
    private byte[] origins = new byte[0]; // the tier that it was loaded from, or NOT_LOADED
    private int[] copied = new int[0]; // a bit for each tier that has it, or will get it

    /**
     * Makes an empty ledger.
     *
     * @param rootOf the root of a node below which nothing is a block
     */
    TierLedger(int tokensPerBlock, PrefixIndex index, IntFunction<PrefixRoot> rootOf) {
        this.tokensPerBlock = tokensPerBlock;
        this.index = index;
        this.rootOf = rootOf;
    }

    /** Takes tiers in, in place of those that it has, which come first among them. */
    void use(Tier[] newTiers) {
        tiers = newTiers;
    }

    /** The name of a tier. */
    String name(int tier) {
        return tiers[tier].name();
    }

    boolean isEmpty() {
        return tiers.length == 0;
    }

    // ---- what happens to blocks ----

    /**
     * Takes in a block that is published.
     *
     * @param origin the tier that it was loaded from, or a negative number
     */
    void published(int block, int origin) {
        if (isEmpty()) {
            return;
        }
        ensureCapacity(block);
        digests[block] = null;
        uses[block] = 0;
        origins[block] = (byte) Math.max(origin, NOT_LOADED);
        copied[block] = origin < 0 ? 0 : -1 << origin; // it goes up, not down again
        offer(block, StoreMoment.COMMIT);
    }

    /** Says that a sequence has found a block. */
    void used(int block) {
        note(block, USED_AGAIN);
    }

    /** Says that somebody wants a block to stay. */
    void retained(int block) {
        note(block, RETAINED);
    }

    private void note(int block, int use) {
        if (knows(block)) {
            uses[block] |= (byte) use;
            offer(block, StoreMoment.COMMIT); // to those, too, that have not taken it before
        }
    }

    /** Says that nobody holds a block any more. */
    void released(int block) {
        if (knows(block)) {
            offer(block, StoreMoment.RELEASE);
        }
    }

    /** Says that a block is published no more. */
    void removed(int block) {
        if (knows(block)) {
            digests[block] = null;
            origins[block] = NOT_LOADED;
        }
    }

    /** Lets a block wait to be copied to each tier that wants it now and has not got it. */
    private void offer(int block, StoreMoment moment) {
        for (Tier tier : tiers) {
            int bit = 1 << tier.index;
            if (tier.options.moment() == moment && (copied[block] & bit) == 0 && isWanted(block, tier.options.rule())) {
                if (tier.queue.offer(block, index.number(block))) {
                    copied[block] |= bit;
                } else {
                    tier.droppedBlocks++;
                }
            }
        }
    }

    private boolean isWanted(int block, StoreRule rule) {
        return switch (rule) {
            case ALL -> true;
            case SECOND_USE -> (uses[block] & USED_AGAIN) != 0;
            case RETAINED -> (uses[block] & RETAINED) != 0;
            case NONE -> false;
        };
    }

    /** Says that a tier has not got a block after all: it is offered again when it is found, or released. */
    void notCopied(int block, Tier tier) {
        copied[block] &= ~(1 << tier.index);
    }

    /** The tier that a published block was loaded from, or a negative number. */
    int origin(int block) {
        return knows(block) ? origins[block] : NOT_LOADED;
    }

    private boolean knows(int block) {
        return block < origins.length;
    }

    // ---- names below memory ----

    /** What the key of a published block is computed from, and those before it that nobody has needed yet. */
    KeyChain chain(int block) {
        int count = 1;
        int base = index.parent(block);
        while (base >= 0 && digest(base) == null) {
            count++;
            base = index.parent(base);
        }
        int[] tokens = new int[count * tokensPerBlock];
        int[] blocks = new int[count];
        long[] numbers = new long[count];
        int member = block;
        for (int at = count - 1; at >= 0; at--) {
            index.copyTokens(member, tokens, at * tokensPerBlock);
            blocks[at] = member;
            numbers[at] = index.number(member);
            member = index.parent(member);
        }
        int root = base;
        while (root >= 0) {
            root = index.parent(root);
        }
        return new KeyChain(rootOf.apply(root), base < 0 ? null : digests[base], tokens, blocks, numbers);
    }

    /** The digest of a published block's key, or null where nobody has needed it. */
    byte @Nullable [] digest(int block) {
        return knows(block) ? digests[block] : null;
    }

    /** Keeps the digest of a block, if that holds what it held when its number was read. */
    void keepDigest(int block, long number, byte[] digest) {
        if (knows(block) && holds(block, number)) {
            digests[block] = digest;
        }
    }

    /** Whether a block is still published as it was when its number was read. */
    boolean holds(int block, long number) {
        return index.isPublished(block) && index.number(block) == number;
    }

    private void ensureCapacity(int block) {
        int old = origins.length;
        if (block >= old) {
            int capacity = (int) Math.min(Math.max(block + 64L, old * 3L / 2), Integer.MAX_VALUE - 8);
            digests = Arrays.copyOf(digests, capacity);
            uses = Arrays.copyOf(uses, capacity);
            origins = Arrays.copyOf(origins, capacity);
            Arrays.fill(origins, old, capacity, (byte) NOT_LOADED);
            copied = Arrays.copyOf(copied, capacity);
        }
    }
}
