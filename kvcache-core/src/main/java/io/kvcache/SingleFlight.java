package io.kvcache;

import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Lets a prefix that several callers need at once be computed once: the sequence that comes first leads, block by block, and the
 * others take up what it publishes. When it closes, or is refused memory, the one that has waited longest takes over.
 *
 * <p>Not thread-safe: guarded by the lock of the {@link SequencePool}.
 */
final class SingleFlight {
    // A claim is listed in the flight of the block that it needs next. When that block is published, the flight has
    // landed and each of its claims moves on, in the same order, as far as its tokens go along with what is published:
    // to the flight of the next block, or, if nobody computes that, sequences lead a flight of their own, and waiters
    // queue to open. A leader that leaves makes the next sequence the leader by leaving the list; where only waiters
    // are left they queue, the first of them that opens leads, and the others come back as they find out.
    private final int tokensPerBlock;
    private final PrefixCache prefixes;
    private final Flights flights;
    private final Consumer<Waiter> queue;
    private final Claim scratch;

    /**
     * Makes it for a cache.
     *
     * @param queue takes a waiter who need not wait for anybody's computing any more
     */
    SingleFlight(int tokensPerBlock, PrefixCache prefixes, Consumer<Waiter> queue) {
        this.tokensPerBlock = tokensPerBlock;
        this.prefixes = prefixes;
        this.flights = prefixes.flights();
        this.queue = queue;
        this.scratch = new Claim(null, null);
    }

    /**
     * Claims the rest of a prompt for a table that was opened with it, if that has full blocks.
     *
     * @param walk where the look-up ended
     * @return whether another sequence is computing the next block
     */
    boolean begin(BlockTable table, int[] prompt, PrefixWalk walk) {
        if (!table.shares() || walk.position + tokensPerBlock > prompt.length || table.root().retired) {
            return false;
        }
        table.claim.begin(prompt, walk);
        join(table.claim, prefixes.advance(table.claim, table.root().partition));
        return follows(table);
    }

    /** Whether a sequence, or a load, is computing the block of a prompt behind a walk along full blocks. */
    boolean isUnderWay(PrefixWalk walk, int[] prompt) {
        return !flights.isEmpty()
                && flights.find(walk.node, prefixes.nextFingerprint(walk, prompt), prompt, walk.position) != null;
    }

    /** Whether a table leads, and others follow. */
    boolean leadsOthers(BlockTable table) {
        Flight flight = table.claim.flight;
        return flight != null
                && flight.leader() == table.claim
                && (table.claim.newer != null || flight.firstWaiter != null);
    }

    /** Whether what a table follows is a load. */
    boolean followsLoad(BlockTable table) {
        Flight flight = table.claim.flight;
        Claim leader = flight == null ? null : flight.leader();
        return leader != null && leader.table != null && leader.table != table && leader.table.isLoad();
    }

    /** Whether nobody is computing anything that others could need. */
    boolean isEmpty() {
        return flights.isEmpty();
    }

    /**
     * Lets a waiter follow if a sequence is computing the block that it needs next.
     *
     * @param walk where the look-up of its prompt ended
     * @return whether it follows
     */
    boolean await(Waiter waiter, PrefixWalk walk) {
        if (waiter.claim.flight != null) {
            return true; // somebody else has found out already
        }
        Flight flight = locate(waiter.claim, waiter.partition, waiter.prompt, waiter.options, walk);
        if (flight != null) {
            flight.add(waiter.claim);
            Claim leader = flight.leader();
            if (leader != null && leader.table != null && leader.table.isLoad()) {
                waiter.wake(); // it must look again when the load is late
            }
        }
        return flight != null;
    }

    /** Whether a sequence is computing what a prompt needs next. */
    boolean isComputed(Partition partition, int[] prompt, OpenOptions options, PrefixWalk walk) {
        boolean computed = locate(scratch, partition, prompt, options, walk) != null;
        scratch.giveBack();
        return computed;
    }

    private @Nullable Flight locate(
            Claim claim, Partition partition, int[] prompt, OpenOptions options, PrefixWalk walk) {
        if (flights.isEmpty() || !options.lookup() || walk.position + tokensPerBlock > prompt.length) {
            return null;
        }
        claim.borrow(prompt, walk);
        claim.moveTo(prefixes.advance(claim, partition));
        return claim.hasNext(tokensPerBlock) ? find(claim, prefixes.nextFingerprint(claim)) : null;
    }

    private @Nullable Flight find(Claim claim, long fingerprint) {
        return flights.find(claim.node(), fingerprint, claim.tokens(), claim.position() - claim.offset());
    }

    /** Lists the claim of a sequence where it stands now; it leads if it is the first one there. */
    private void join(Claim claim, PrefixWalk walk) {
        claim.moveTo(walk);
        if (!walk.missing || !claim.hasNext(tokensPerBlock)) {
            return;
        }
        long fingerprint = prefixes.nextFingerprint(claim);
        Flight flight = find(claim, fingerprint);
        if (flight == null) {
            flight = flights.add(claim.node(), fingerprint, claim.tokens(), claim.position() - claim.offset());
        }
        flight.add(claim);
    }

    /** Whether another sequence is computing the block that this one needs next. */
    boolean follows(BlockTable table) {
        Flight flight = table.claim.flight;
        return flight != null && flight.leader() != table.claim;
    }

    /** Whether a table has a claim and is not listed: it was refused memory before. */
    boolean isAway(BlockTable table) {
        return table.claim.flight == null && table.claim.hasNext(tokensPerBlock);
    }

    /** Lists a table again that was refused memory and has got it now, or that has caught up. */
    void resume(BlockTable table) {
        if (!isAway(table)) {
            return;
        }
        PrefixWalk walk = prefixes.restart(table);
        if (walk == null) {
            table.claim.end();
        } else {
            join(table.claim, walk);
        }
    }

    /** Says that a table has published its blocks from {@code first} on. */
    void published(BlockTable table, int first) {
        Claim own = table.claim;
        int to = Math.min(table.published() * tokensPerBlock, own.tokensEnd());
        if (first * tokensPerBlock < to && !own.announced(table.tokens(), first * tokensPerBlock, to)) {
            end(table); // it has gone another way than its prompt said
        }
        if (flights.isEmpty()) {
            return;
        }
        int parent = first == 0 ? table.root().node : table.block(first - 1);
        for (int at = first; at < table.published(); at++) {
            int block = table.block(at);
            Flight flight = flights.find(parent, prefixes.fingerprint(block), table.tokens(), at * tokensPerBlock);
            if (flight != null) {
                land(flight);
            }
            parent = block;
        }
    }

    /** The block of a flight is published: everybody there moves on. */
    private void land(Flight flight) {
        flights.end(flight);
        for (Claim claim = flight.first(); claim != null; claim = flight.first()) {
            flight.remove(claim);
            if (claim.table != null) {
                moveOn(claim.table);
            } else if (claim.waiter != null) {
                moveOn(claim.waiter);
            }
        }
        flights.give(flight);
    }

    /** A table that has published the block itself goes on from there: it knows its own blocks. */
    private void moveOn(BlockTable table) {
        Claim claim = table.claim;
        if (table.published() * tokensPerBlock > claim.position()) {
            resume(table);
        } else {
            join(claim, prefixes.advance(claim, table.root().partition));
        }
    }

    private void moveOn(Waiter waiter) {
        if (!await(waiter, prefixes.advance(waiter.claim, waiter.partition))) {
            queue.accept(waiter);
        }
    }

    /** Takes a claim out of its flight, for now; if it led, the next one leads. */
    void leave(Claim claim) {
        Flight flight = claim.flight;
        if (flight == null) {
            return;
        }
        flight.remove(claim);
        if (flight.leader() == null) {
            flights.end(flight);
            for (Claim left = flight.first(); left != null; left = flight.first()) {
                flight.remove(left);
                if (left.waiter != null) {
                    queue.accept(left.waiter);
                }
            }
            flights.give(flight);
        }
    }

    /** Gives a table's claim up: it is closing, or does not compute its prompt any more. */
    void end(BlockTable table) {
        leave(table.claim);
        table.claim.end();
    }

    /**
     * Takes up what others have published of a table's prompt.
     *
     * @return tokens by which the table has grown
     */
    int adopt(BlockTable table) {
        Claim claim = table.claim;
        int boundary = table.published() * tokensPerBlock;
        boolean knowsMore = claim.tokensEnd() > table.length() && boundary >= claim.offset();
        if (!knowsMore || !claim.announced(table.tokens(), boundary, table.length())) {
            return 0;
        }
        int gained = prefixes.adopt(table, claim.tokens(), claim.offset(), claim.tokensEnd() - 1);
        resume(table);
        return gained;
    }

    /** Finds new places for those whose flight has lost the block that it stood behind. */
    void settle() {
        for (Flight flight = flights.takeGrounded(); flight != null; flight = flights.takeGrounded()) {
            if (flight.first() == null) {
                continue; // ended meanwhile
            }
            flights.end(flight);
            for (Claim claim = flight.first(); claim != null; claim = flight.first()) {
                flight.remove(claim);
                if (claim.table != null) {
                    resume(claim.table);
                } else if (claim.waiter != null) {
                    queue.accept(claim.waiter);
                }
            }
            flights.give(flight);
        }
    }

    /** Checks that a table's claim is where it says. */
    void verify(BlockTable table) {
        Flight flight = table.claim.flight;
        if (flight == null) {
            return;
        }
        boolean found = find(table.claim, prefixes.nextFingerprint(table.claim)) == flight;
        boolean listed = false;
        for (Claim claim = flight.firstSequence; claim != null; claim = claim.newer) {
            listed |= claim == table.claim;
        }
        if (!found || !listed || !prefixes.isNode(table.claim.node())) {
            throw new IllegalStateException(
                    "invariant broken: a claim is listed in the flight of its next block: found=" + found + " listed="
                            + listed + " position=" + table.claim.position());
        }
    }
}
