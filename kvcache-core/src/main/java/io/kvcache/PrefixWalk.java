package io.kvcache;

/**
 * Where a search along the tokens of a prompt has come to. One object serves search after search.
 *
 * <p>Not thread-safe: guarded by the lock of the {@link SequencePool}.
 */
final class PrefixWalk {
    /** The last published block that matches in full, or the root. */
    int node;

    /** The fingerprint of the node. */
    long fingerprint;

    /** Positions up to the end of the node. */
    int position;

    /** A block below the node that matches in its first tokens, or {@link BlockPool#NONE}. */
    int partial;

    /** How many tokens of it match. */
    int partialTokens;

    /** Blocks found that could have been reclaimed until then. */
    int reclaimable;

    /** Whether the next block was not there, or nobody asked for it. */
    boolean missing;

    /** Whether the search ended because memory is guaranteed to others. */
    boolean withheld;

    /** Starts at a root, or behind a published block. */
    void start(int newNode, long newFingerprint, int newPosition) {
        node = newNode;
        fingerprint = newFingerprint;
        position = newPosition;
        partial = BlockPool.NONE;
        partialTokens = 0;
        reclaimable = 0;
        missing = true;
        withheld = false;
    }

    /** Tokens found from position 0 on. */
    int matched() {
        return position + partialTokens;
    }
}
