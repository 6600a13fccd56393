package io.kvcache;

import java.util.LinkedHashSet;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The queue of callers who wait to open a sequence: who may go next, and whether there is a slot and room.
 *
 * <p>Not thread-safe: guarded by the lock of the {@link SequencePool}.
 */
final class Admission {
    // A waiter follows somebody who computes what it needs (it is listed in a flight), or it is queued. Whenever
    // something was given back, the first in the queue that could go is chosen and woken; only when it has opened, or
    // given up, is the next one chosen. It opens with its own thread, since memory may have to grow for it. Nobody
    // overtakes, with two exceptions that harm nobody: who waits for the ceiling of its own namespace lets other
    // namespaces pass, and who asks for no more than its guaranteed floor passes those for whom there is no room.
    private final KvLayout layout;
    private final int maximumSequences;
    private final PrefixCache prefixes;
    private final BlockLedger ledger;
    private final SingleFlight flights;
    private final Set<Waiter> waiters = new LinkedHashSet<>(); // queued or following
    private @Nullable Waiter first;
    private @Nullable Waiter last;
    private @Nullable Waiter chosen;
    private int mostTokens; // of the prompt that may open now
    private int newBlocks; // likewise, those that it needs besides cached ones
    private boolean slotWanted; // by the first that could go otherwise
    private long tickets;

    /** What keeps a waiter from opening. */
    private enum Standing {
        READY,
        FOLLOWS,
        NO_SLOT,
        AT_CEILING,
        NO_ROOM
    }

    Admission(KvLayout layout, int maximumSequences, PrefixCache prefixes) {
        this.layout = layout;
        this.maximumSequences = maximumSequences;
        this.prefixes = prefixes;
        this.ledger = prefixes.ledger();
        this.flights = new SingleFlight(layout.tokensPerBlock(), prefixes, this::queue);
    }

    SingleFlight flights() {
        return flights;
    }

    int maximumSequences() {
        return maximumSequences;
    }

    int waiting() {
        return waiters.size();
    }

    /** Whether there is a slot that nobody waits for. */
    boolean hasSlot(int openSequences) {
        return !slotWanted && openSequences + (chosen == null ? 0 : 1) < maximumSequences;
    }

    // ---- the queue ----

    /** Takes in a caller who cannot open at once. */
    Waiter arrive(Partition partition, int[] prompt, OpenOptions options, long deadline) {
        Waiter waiter = new Waiter(partition, prompt, options, deadline, ++tickets);
        waiters.add(waiter);
        if (!flights.await(waiter, probe(partition, prompt, options))) {
            queue(waiter);
        }
        return waiter;
    }

    /** Lets a waiter who could not open park until it is woken; somebody else may be able to go. */
    void lookAgain(Waiter waiter, int openSequences) {
        waiter.looked();
        if (chosen == waiter) {
            chosen = null;
        }
        choose(openSequences);
    }

    /** Lets a waiter queue, at the place that its arrival gives it. */
    void queue(Waiter waiter) {
        Waiter next = first;
        if (last != null && last.cameBefore(waiter)) {
            next = null;
        }
        while (next != null && next.cameBefore(waiter)) {
            next = next.later;
        }
        Waiter before = next == null ? last : next.earlier;
        waiter.queued = true;
        waiter.earlier = before;
        waiter.later = next;
        if (before == null) {
            first = waiter;
        } else {
            before.later = waiter;
        }
        if (next == null) {
            last = waiter;
        } else {
            next.earlier = waiter;
        }
    }

    /**
     * Whether a caller may open now.
     *
     * @param waiter who has waited; null: nobody yet
     * @param due whether it will not wait any longer, not even for what another sequence is computing
     */
    boolean mayOpen(
            @Nullable Waiter waiter,
            Partition partition,
            int[] prompt,
            OpenOptions options,
            boolean due,
            int openSequences) {
        boolean inTurn = waiter == null ? first == null : waiter == chosen;
        if (due ? !mayPassAll(waiter, partition, prompt, options, openSequences) : !inTurn) {
            return false;
        }
        PrefixWalk walk = probe(partition, prompt, options);
        if (!due && follows(waiter, partition, prompt, options, walk)) {
            return false;
        }
        return standing(partition, prompt, options, openSequences, walk) == Standing.READY;
    }

    /** Whether a sequence is computing what a caller needs next; one that waits follows it then. */
    private boolean follows(
            @Nullable Waiter waiter, Partition partition, int[] prompt, OpenOptions options, PrefixWalk walk) {
        if (flights.isEmpty()) {
            return false;
        }
        boolean follows =
                waiter == null ? flights.isComputed(partition, prompt, options, walk) : flights.await(waiter, walk);
        if (follows && waiter != null) {
            unqueue(waiter);
        }
        if (!follows) {
            probe(partition, prompt, options); // the walk has gone on meanwhile
        }
        return follows;
    }

    /** Searches a prompt, changing nothing. */
    PrefixWalk probe(Partition partition, int[] prompt, OpenOptions options) {
        return prefixes.probe(partition, prompt, options, prompt.length - 1);
    }

    /** Whether nobody who came before is overtaken; see above who may pass. */
    private boolean mayPassAll(
            @Nullable Waiter waiter, Partition partition, int[] prompt, OpenOptions options, int openSequences) {
        Waiter before = first;
        while (before != null && (waiter == null || before.cameBefore(waiter))) {
            Waiter next = before.later;
            Standing standing = before.partition == partition ? Standing.READY : standing(before, openSequences);
            boolean passes = standing == Standing.AT_CEILING
                    || standing == Standing.FOLLOWS
                    || (standing == Standing.NO_ROOM && isWithinFloor(partition, prompt, options));
            if (!passes) {
                return false;
            }
            before = next;
        }
        return true;
    }

    private void unqueue(Waiter waiter) {
        if (!waiter.queued) {
            return;
        }
        waiter.queued = false;
        if (waiter.earlier == null) {
            first = waiter.later;
        } else {
            waiter.earlier.later = waiter.later;
        }
        if (waiter.later == null) {
            last = waiter.earlier;
        } else {
            waiter.later.earlier = waiter.earlier;
        }
        waiter.earlier = null;
        waiter.later = null;
    }

    /** Forgets a waiter, if there is one: it has opened, or given up. A second call does nothing. */
    void remove(@Nullable Waiter waiter) {
        if (waiter == null) {
            return;
        }
        if (chosen == waiter) {
            chosen = null;
        }
        unqueue(waiter);
        flights.leave(waiter.claim);
        waiters.remove(waiter);
    }

    /** Wakes those whose deadline has come by the clock of the cache. */
    void wakeOverdue(long now) {
        for (Waiter waiter : waiters) {
            if (waiter.deadline <= now) {
                waiter.wake();
            }
        }
    }

    void wakeAll() {
        waiters.forEach(Waiter::wake);
    }

    /** Finds out who can go next, if anybody, and wakes it. */
    void choose(int openSequences) {
        if (chosen != null) {
            return;
        }
        slotWanted = false;
        boolean roomShort = false;
        Waiter waiter = first;
        while (waiter != null) {
            Waiter next = waiter.later;
            if (!comesBehindItsOwn(waiter)
                    && (!roomShort || isWithinFloor(waiter.partition, waiter.prompt, waiter.options))) {
                Standing standing = standing(waiter, openSequences);
                if (standing == Standing.READY) {
                    chosen = waiter;
                    waiter.wake();
                    return;
                }
                slotWanted = standing == Standing.NO_SLOT;
                if (slotWanted || (standing == Standing.NO_ROOM && !ledger.hasFloors())) {
                    return;
                }
                roomShort |= standing == Standing.NO_ROOM;
            }
            waiter = next;
        }
    }

    /** Whether somebody of the same namespace is queued before: nobody overtakes there. */
    private static boolean comesBehindItsOwn(Waiter waiter) {
        for (Waiter before = waiter.earlier; before != null; before = before.earlier) {
            if (before.partition == waiter.partition) {
                return true;
            }
        }
        return false;
    }

    private boolean isWithinFloor(Partition partition, int[] prompt, OpenOptions options) {
        int held = partition.blocks - partition.reclaimableBlocks();
        return held + wantedBlocks(prompt, options) <= partition.floorBlocks;
    }

    /** What keeps a waiter; one that can follow leaves the queue for the flight. */
    private Standing standing(Waiter waiter, int openSequences) {
        PrefixWalk walk = probe(waiter.partition, waiter.prompt, waiter.options);
        if (follows(waiter, waiter.partition, waiter.prompt, waiter.options, walk)) {
            return Standing.FOLLOWS;
        }
        return standing(waiter.partition, waiter.prompt, waiter.options, openSequences, walk);
    }

    // ---- a slot and room ----

    /** What keeps a prompt from being opened with room for all of it, nobody else considered. */
    private Standing standing(
            Partition partition, int[] prompt, OpenOptions options, int openSequences, PrefixWalk walk) {
        if (openSequences >= maximumSequences) {
            return Standing.NO_SLOT;
        }
        long obtainable = ledger.obtainable(partition);
        long needed = needed(walk, prompt, options);
        boolean whole = needed <= obtainable;
        boolean withoutPartial = walk.partial != BlockPool.NONE && ledger.isReclaimable(walk.partial);
        long fewest = needed - (withoutPartial ? 1 : 0);
        if (fewest > obtainable) {
            return fewest > partition.belowCeiling() ? Standing.AT_CEILING : Standing.NO_ROOM;
        }
        mostTokens = whole ? prompt.length - 1 : walk.position;
        newBlocks = wantedBlocks(prompt, options) - walk.position / layout.tokensPerBlock();
        return Standing.READY;
    }

    /**
     * How many positions of the prompt that {@link #mayOpen may open now} may be looked up so that the rest fits: a block that
     * matches only in part is done without where it would have to be kept beside its copy and there is no room for both.
     */
    int mostTokens() {
        return mostTokens;
    }

    /** How many blocks must have memory before the prompt that {@link #mayOpen may open now} can be opened. */
    int memoryNeeded(Partition partition, int usedBlocks) {
        long wanted = (long) usedBlocks + newBlocks - partition.aboveCeiling(newBlocks);
        return (int) Math.min(wanted, ledger.mostBlocks());
    }

    private long needed(PrefixWalk walk, int[] prompt, OpenOptions options) {
        return (long) wantedBlocks(prompt, options) - walk.position / layout.tokensPerBlock() + walk.reclaimable;
    }

    /** Blocks for a prompt and what is to be reserved behind it. */
    int wantedBlocks(int[] prompt, OpenOptions options) {
        return layout.blocksFor(prompt.length + options.room());
    }

    /**
     * Refuses what could never be opened.
     *
     * @throws IllegalArgumentException with the numbers
     */
    void checkFits(Partition partition, int[] prompt, OpenOptions options) {
        if (!couldFit(partition, prompt, options)) {
            throw new IllegalArgumentException("prompt and room can never fit: promptTokens=" + prompt.length
                    + " room=" + options.room() + " tokensPerBlock=" + layout.tokensPerBlock() + " mostBlocks="
                    + ledger.most(partition));
        }
    }

    /** Whether a prompt and its room could be opened, were nobody else's open. */
    boolean couldFit(Partition partition, int[] prompt, OpenOptions options) {
        return options.room() <= Integer.MAX_VALUE - 8 - prompt.length
                && wantedBlocks(prompt, options) <= ledger.most(partition);
    }
}
