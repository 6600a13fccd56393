package io.kvcache;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * What somebody needs next: the full blocks of a prompt behind a published one. A sequence has a claim to what it is going to
 * compute, and a caller who waits to open has one to what it hopes to find.
 *
 * <p>Not thread-safe: guarded by the lock of the {@link SequencePool}.
 */
final class Claim {
    private static final int[] NONE = {};

    /** The table of the sequence whose claim it is; null: a waiter's. */
    final @Nullable BlockTable table;

    /** Who waits; null: a sequence's claim. */
    final @Nullable Waiter waiter;

    private int[] tokens = NONE;
    private int offset; // position of tokens[0]
    private int end; // tokens are known up to here

    // The next block begins at position, below a published block or a root.
    private int node;
    private long fingerprint;
    private int position;

    /** Where it is listed, with its neighbours there; null: nowhere. */
    @Nullable
    Flight flight;

    @Nullable
    Claim older;

    @Nullable
    Claim newer;

    Claim(@Nullable BlockTable table, @Nullable Waiter waiter) {
        this.table = table;
        this.waiter = waiter;
    }

    /** Claims what comes behind a walk; keeps the prompt, which must not change meanwhile. */
    void borrow(int[] prompt, PrefixWalk walk) {
        tokens = prompt;
        offset = 0;
        end = prompt.length;
        moveTo(walk);
    }

    /** Claims what comes behind a walk; copies the rest of the prompt. */
    void begin(int[] prompt, PrefixWalk walk) {
        offset = walk.position;
        end = prompt.length;
        if (tokens.length < end - offset) {
            tokens = new int[Math.max(end - offset, 2 * tokens.length)];
        }
        System.arraycopy(prompt, offset, tokens, 0, end - offset);
        moveTo(walk);
    }

    void moveTo(PrefixWalk walk) {
        node = walk.node;
        fingerprint = walk.fingerprint;
        position = walk.position;
    }

    /** Gives everything up, and a borrowed prompt back. */
    void giveBack() {
        end();
        tokens = NONE;
    }

    /** Gives everything up. */
    void end() {
        end = 0;
        position = 0;
    }

    /** Whether there is a full block to come. */
    boolean hasNext(int tokensPerBlock) {
        return position + tokensPerBlock <= end;
    }

    /** Tokens of the prompt, the one at {@link #offset} first; up to {@link #tokensEnd}. */
    int[] tokens() {
        return tokens;
    }

    int offset() {
        return offset;
    }

    /** The position behind the last known token; 0 when there is no claim. */
    int tokensEnd() {
        return end;
    }

    int node() {
        return node;
    }

    long fingerprint() {
        return fingerprint;
    }

    /** The position where the next block begins. */
    int position() {
        return position;
    }

    /** Whether committed tokens are those that were announced. */
    boolean announced(int[] committed, int from, int to) {
        return from >= offset && to <= end && Arrays.equals(committed, from, to, tokens, from - offset, to - offset);
    }
}
