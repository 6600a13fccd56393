package io.kvcache.tiers;

/**
 * The measures of a slot, which holds one block in a file.
 *
 * <p>Thread-safe: immutable.
 *
 * @param payloadBytes size of a block
 * @param headerBytes size of the header, in whole pages
 */
record SlotShape(long payloadBytes, int headerBytes) {
    // A slot consists of whole pages. The header comes last: it is written, and read, after what it vouches for.
    //
    //   | payload, payloadBytes | padding, zeros | header, headerBytes |
    //   0                                        headerOffset          slotBytes
    static final int PAGE_BYTES = 4096;

    /** Longest header: what fits into one piece of scratch memory. */
    static final int MOST_HEADER_BYTES = Scratch.PIECE_BYTES;

    /** Room for a namespace's name beside the tokens: 256 characters of two bytes. */
    private static final int NAMESPACE_BYTES = 512;

    SlotShape {
        if (payloadBytes <= 0) {
            throw new IllegalArgumentException("must be positive: payloadBytes=" + payloadBytes);
        }
        if (headerBytes <= 0 || headerBytes > MOST_HEADER_BYTES || headerBytes % PAGE_BYTES != 0) {
            throw new IllegalArgumentException(
                    "must be pages of " + PAGE_BYTES + ", up to " + MOST_HEADER_BYTES + ": headerBytes=" + headerBytes);
        }
    }

    /** The shape for blocks of a size and up to so many tokens; with more tokens than any header holds, the largest. */
    static SlotShape of(long payloadBytes, int tokens) {
        long wanted = BlockHeader.TOKENS + (long) tokens * Integer.BYTES + NAMESPACE_BYTES;
        return new SlotShape(payloadBytes, (int) Math.min(wholePages(wanted), MOST_HEADER_BYTES));
    }

    /** Whether a header holds so many tokens and the namespace. */
    boolean fits(int tokens, String namespace) {
        long tokenBytes = (long) tokens * Integer.BYTES;
        return BlockHeader.TOKENS + tokenBytes + (long) namespace.length() * Character.BYTES <= headerBytes;
    }

    long headerOffset() {
        return wholePages(payloadBytes);
    }

    long slotBytes() {
        return headerOffset() + headerBytes;
    }

    static long wholePages(long bytes) {
        return (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    }
}
