package io.kvcache;

import org.jspecify.annotations.Nullable;

/**
 * What is needed to compute the keys of consecutive blocks of a path, taken together under the lock, so that hashing needs none.
 *
 * <p>Not thread-safe: belongs to the thread that has taken it.
 */
final class KeyChain {
    private final PrefixRoot root;
    private final byte @Nullable [] digest; // of the block before the first one; null: it follows the root
    private final int[] tokens; // [blocks][tokensPerBlock]
    private final int[] blocks;
    private final long[] numbers; // of the blocks
    private BlockKey[] keys = new BlockKey[0];

    KeyChain(PrefixRoot root, byte @Nullable [] digest, int[] tokens, int[] blocks, long[] numbers) {
        this.root = root;
        this.digest = digest;
        this.tokens = tokens;
        this.blocks = blocks;
        this.numbers = numbers;
    }

    PrefixRoot root() {
        return root;
    }

    /** Computes the keys; without the lock. Returns that of the last block. */
    BlockKey compute(KeySource source) {
        keys = source.keys(root, digest, tokens, 0, blocks.length);
        return keys[keys.length - 1];
    }

    /** Keeps what was computed. */
    void keep(TierLedger ledger) {
        for (int i = 0; i < keys.length; i++) {
            ledger.keepDigest(blocks[i], numbers[i], keys[i].digestUncopied());
        }
    }
}
