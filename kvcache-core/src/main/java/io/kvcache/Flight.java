package io.kvcache;

import org.jspecify.annotations.Nullable;

/**
 * A block that an open sequence is going to compute and publish, and everybody who needs it: the first sequence leads, the other
 * sequences and those who wait to open follow, longest first.
 *
 * <p>Not thread-safe: guarded by the lock of the {@link SequencePool}.
 */
final class Flight {
    final int id;
    final int[] tokens; // [tokensPerBlock]
    int parent;
    long fingerprint;

    @Nullable
    Claim firstSequence;

    @Nullable
    Claim lastSequence;

    @Nullable
    Claim firstWaiter;

    @Nullable
    Claim lastWaiter;

    Flight(int id, int tokensPerBlock) {
        this.id = id;
        this.tokens = new int[tokensPerBlock];
    }

    /** Who computes the block; null when there are only waiters left. */
    @Nullable
    Claim leader() {
        return firstSequence;
    }

    /** The first in the list, sequences before waiters. */
    @Nullable
    Claim first() {
        return firstSequence != null ? firstSequence : firstWaiter;
    }

    void add(Claim claim) {
        boolean waits = claim.waiter != null;
        Claim last = waits ? lastWaiter : lastSequence;
        claim.flight = this;
        claim.older = last;
        if (last != null) {
            last.newer = claim;
        } else if (waits) {
            firstWaiter = claim;
        } else {
            firstSequence = claim;
        }
        setLast(waits, claim);
    }

    void remove(Claim claim) {
        boolean waits = claim.waiter != null;
        Claim before = claim.older;
        Claim after = claim.newer;
        if (before != null) {
            before.newer = after;
        } else if (waits) {
            firstWaiter = after;
        } else {
            firstSequence = after;
        }
        if (after != null) {
            after.older = before;
        } else {
            setLast(waits, before);
        }
        claim.flight = null;
        claim.older = null;
        claim.newer = null;
    }

    private void setLast(boolean waits, @Nullable Claim claim) {
        if (waits) {
            lastWaiter = claim;
        } else {
            lastSequence = claim;
        }
    }
}
