package io.kvcache;

/**
 * Remembers why and when blocks have left, by their fingerprints, the newest ones up to a bound: the answer to "why was this not
 * found?". Exact up to collisions of 64-bit fingerprints.
 *
 * <p>Not thread-safe: guarded by the lock of the {@link SequencePool}.
 */
@SuppressWarnings("EnumOrdinal") // two bits of a number: no garbage on the way
final class RemovedBlocks {
    private static final int CAUSE_BITS = 2;
    private static final RemovalCause[] CAUSES = RemovalCause.values();
    private static final int FEWEST = 1 << 10;
    private static final int MOST = 1 << 16; // what fits near the processor: it is looked up for every block published

    private final GhostTable ghosts;

    /**
     * Makes an empty memory; it grows with what it remembers, 48 bytes a block at most.
     *
     * @param maximumBlocks of the cache: as many are remembered, within reason
     */
    RemovedBlocks(int maximumBlocks) {
        ghosts = new GhostTable(Math.clamp(maximumBlocks, FEWEST, MOST));
    }

    /** Remembers a block that leaves; it was {@link #takeEvicted taken} when it was published. */
    void add(long fingerprint, RemovalCause cause, long now) {
        ghosts.put(fingerprint, now << CAUSE_BITS | cause.ordinal());
    }

    /** Why the block with this fingerprint is missing. */
    MissReason reason(long fingerprint) {
        long ghost = ghosts.get(fingerprint);
        if (ghost == GhostTable.NONE) {
            return MissReason.NEVER_SEEN;
        }
        return switch (cause(ghost)) {
            case CAPACITY -> MissReason.EVICTED;
            case EXPIRED -> MissReason.EXPIRED;
            case EXPLICIT -> MissReason.ERASED;
        };
    }

    /**
     * Forgets a block that is published again.
     *
     * @return how long ago it was evicted, in nanoseconds, or -1 if it was not
     */
    long takeEvicted(long fingerprint, long now) {
        long ghost = ghosts.take(fingerprint);
        return ghost != GhostTable.NONE && cause(ghost) == RemovalCause.CAPACITY ? now - (ghost >> CAUSE_BITS) : -1;
    }

    private static RemovalCause cause(long ghost) {
        return CAUSES[(int) ghost & (1 << CAUSE_BITS) - 1];
    }
}
