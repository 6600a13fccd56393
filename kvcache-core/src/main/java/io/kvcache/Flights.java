package io.kvcache;

import java.util.ArrayList;
import java.util.Arrays;
import org.agrona.collections.Int2IntCounterMap;
import org.agrona.collections.IntArrayList;
import org.jspecify.annotations.Nullable;

/**
 * The blocks that are being computed, found like published ones: by parent and tokens, through a fingerprint.
 *
 * <p>Not thread-safe: guarded by the lock of the {@link SequencePool}.
 */
final class Flights {
    private final int tokensPerBlock;
    private final BlockHash byFingerprint = new BlockHash(); // ids
    private final Int2IntCounterMap parents = new Int2IntCounterMap(0);
    private final IntArrayList spares = new IntArrayList();
    private final IntArrayList grounded = new IntArrayList(); // ids of flights whose parent has left
    private final ArrayList<Flight> flights = new ArrayList<>(); // [ids]

    Flights(int tokensPerBlock) {
        this.tokensPerBlock = tokensPerBlock;
    }

    boolean isEmpty() {
        return byFingerprint.size() == 0;
    }

    /** The flight for the block of tokens at {@code from}, or null. */
    @Nullable
    Flight find(int parent, long fingerprint, int[] source, int from) {
        int tag = PrefixIndex.tag(fingerprint);
        int entry = byFingerprint.entry(tag);
        for (int id = byFingerprint.block(entry); id != BlockPool.NONE; id = byFingerprint.block(entry)) {
            Flight flight = flights.get(id);
            if (flight.parent == parent
                    && Arrays.equals(flight.tokens, 0, tokensPerBlock, source, from, from + tokensPerBlock)) {
                return flight;
            }
            entry = byFingerprint.entryAfter(entry, tag);
        }
        return null;
    }

    /** Makes a flight without members for a block of which there is none. */
    Flight add(int parent, long fingerprint, int[] source, int from) {
        Flight flight = spares.isEmpty() ? create() : flights.get(spares.popInt());
        flight.parent = parent;
        flight.fingerprint = fingerprint;
        System.arraycopy(source, from, flight.tokens, 0, tokensPerBlock);
        byFingerprint.add(PrefixIndex.tag(fingerprint), flight.id);
        parents.incrementAndGet(parent);
        return flight;
    }

    private Flight create() {
        Flight flight = new Flight(flights.size(), tokensPerBlock);
        flights.add(flight);
        return flight;
    }

    /** Ends a flight: it is not found any more. Its members are still listed in it. */
    void end(Flight flight) {
        byFingerprint.remove(PrefixIndex.tag(flight.fingerprint), flight.id);
        parents.decrementAndGet(flight.parent);
    }

    /** Takes back a flight that has ended and has no members. */
    void give(Flight flight) {
        spares.pushInt(flight.id);
    }

    /** Says that a block, or a root, has left: what was to be published below it will not be. */
    void parentLeft(int node) {
        if (parents.get(node) == 0) {
            return;
        }
        for (int id = 0; id < flights.size(); id++) {
            Flight flight = flights.get(id);
            if (flight.parent == node && flight.first() != null && !grounded.containsInt(flight.id)) {
                grounded.pushInt(flight.id);
            }
        }
    }

    /** A flight whose parent has left, or null. */
    @Nullable
    Flight takeGrounded() {
        return grounded.isEmpty() ? null : flights.get(grounded.popInt());
    }
}
