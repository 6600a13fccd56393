package io.kvcache.tiers;

import java.io.IOException;
import java.nio.file.Path;
import java.util.BitSet;
import java.util.List;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Says which slot is whose: the bookkeeping of a {@link DiskStore}, all of it under one lock, none of it with any
 * I/O. Callers read and write what they were given here, and say when they are done.
 *
 * <p>Thread-safe.
 */
final class SlotLedger {
    private static final int NONE = SlotTable.NONE;

    // Generations and stamps are numbers of one sequence. It starts above all of earlier runs, so that blocks found
    // late in recovery are older than those stored or used before that: 2^40 steps a run, 2^23 runs.
    private static final int RUN_SHIFT = 40;

    /** The last run, which only a damaged file makes it to. */
    static final long MOST_RUNS = Long.MAX_VALUE >> RUN_SHIFT;

    private final DiskCounters counters;

    private final ReentrantLock lock = new ReentrantLock(); // guards what follows
    private final Condition changed = lock.newCondition();
    private final SlotBook book;
    private final SlotTable table; // of the book
    private final DiskSpace space;
    private long nextSegment;
    private boolean growing; // a call is creating or deleting a segment
    private boolean erasing;
    private int calls;
    private boolean closed;

    SlotLedger(DiskOptions options, long run, DiskCounters counters) {
        this.book = new SlotBook(run << RUN_SHIFT);
        this.table = book.table;
        this.space = new DiskSpace(options.maximumBytes(), options.segmentBytes());
        this.counters = counters;
    }

    // Calls

    /** Begins a call, to be ended by {@link #leave}. Files stay open until then. */
    void enter() throws IOException {
        lock.lock();
        try {
            if (closed) {
                throw new IOException("store is closed");
            }
            calls++;
        } finally {
            lock.unlock();
        }
    }

    /**
     * Ends a call and returns whether the caller has to let go of everything: the store is closed, and no call is
     * left.
     */
    boolean leave() {
        lock.lock();
        try {
            calls--;
            changed.signalAll();
            return closed && calls == 0;
        } finally {
            lock.unlock();
        }
    }

    /** Lets no call begin any more, and begins a last one, unless that was done before. */
    boolean close() {
        lock.lock();
        try {
            boolean first = !closed;
            closed = true;
            calls += first ? 1 : 0;
            changed.signalAll();
            return first;
        } finally {
            lock.unlock();
        }
    }

    boolean isClosed() {
        lock.lock();
        try {
            return closed;
        } finally {
            lock.unlock();
        }
    }

    /** Waits until no other call is under way, or the time is over. */
    void awaitOtherCalls(long nanos) {
        lock.lock();
        try {
            awaitFor(nanos, () -> calls == 1);
        } finally {
            lock.unlock();
        }
    }

    List<Segment> segments() {
        lock.lock();
        try {
            return book.segments();
        } finally {
            lock.unlock();
        }
    }

    // To read

    /** How many blocks are there, from the first one on. */
    int held(List<KeyPrint> path, long nowMillis) {
        lock.lock();
        try {
            int count = 0;
            while (count < path.size() && isHeld(table.find(path.get(count)), nowMillis)) {
                count++;
            }
            return count;
        } finally {
            lock.unlock();
        }
    }

    private boolean isHeld(int entry, long nowMillis) {
        return entry != NONE && nowMillis < table.expiries[entry];
    }

    /** Begins to read a block, if it is there. Until {@link #unpin} it stays what it is. */
    @Nullable
    Slot pin(KeyPrint key) {
        lock.lock();
        try {
            int entry = table.find(key);
            if (entry == NONE) {
                return null;
            }
            book.pin(entry);
            return book.slot(entry);
        } finally {
            lock.unlock();
        }
    }

    /** Ends to read a block and returns whether the caller has to bury it: it was dropped, and nobody else reads it. */
    boolean unpin(Slot slot) {
        lock.lock();
        try {
            changed.signalAll();
            return book.unpin(slot.entry());
        } finally {
            lock.unlock();
        }
    }

    /** Lets a block that the caller reads be found no more, and returns whether it could be found until now. */
    boolean drop(Slot slot) {
        lock.lock();
        try {
            return hide(slot.entry());
        } finally {
            lock.unlock();
        }
    }

    /** Does the same to a block that is damaged or cannot be read. */
    boolean dropDamaged(Slot slot) {
        lock.lock();
        try {
            book.damaged(slot.entry());
            return hide(slot.entry());
        } finally {
            lock.unlock();
        }
    }

    private boolean hide(int entry) {
        boolean live = table.states[entry] == SlotTable.LIVE;
        if (live) {
            book.hide(entry);
        }
        return live;
    }

    /** Notes that a block that the caller reads was used. */
    void touch(Slot slot) {
        lock.lock();
        try {
            if (table.states[slot.entry()] == SlotTable.LIVE) {
                book.use(slot.entry());
            }
        } finally {
            lock.unlock();
        }
    }

    // To write

    /** Begins to store a block, to be ended by {@link #end}; null if there is one already that lives as long. */
    @Nullable
    Storing begin(KeyPrint key, long expiryMillis) {
        lock.lock();
        try {
            int entry = table.find(key);
            if (entry != NONE && table.expiries[entry] == expiryMillis) {
                book.use(entry);
                return null;
            }
            NamespaceSlots namespace = book.reference(key.namespace());
            return new Storing(key, namespace, namespace.erasures, expiryMillis);
        } finally {
            lock.unlock();
        }
    }

    /** Whether the namespace was erased since the call began. */
    boolean isOvertaken(Storing storing) {
        lock.lock();
        try {
            return storing.isOvertaken();
        } finally {
            lock.unlock();
        }
    }

    void end(Storing storing) {
        lock.lock();
        try {
            book.dereference(storing.namespace());
        } finally {
            lock.unlock();
        }
    }

    /**
     * Says how to get a slot. Waits as long as another call changes which segments there are, if it cannot go on
     * without.
     */
    Step next(SlotShape shape, Storing storing, long nowNanos) {
        lock.lock();
        try {
            SlotRings rings = book.ringsOf(shape);
            while (true) {
                Step step = storing.isOvertaken() ? new Step.Decline() : stepOrWait(rings, storing, nowNanos);
                if (step != null) {
                    return step;
                }
                changed.awaitUninterruptibly();
            }
        } finally {
            lock.unlock();
        }
    }

    private @Nullable Step stepOrWait(SlotRings rings, Storing storing, long nowNanos) {
        boolean mayGrow = !space.isPaused(nowNanos);
        int entry = freeSlot(rings, nowNanos);
        if (entry == NONE && mayGrow && space.room(rings.shape) > 0) {
            return growing ? null : grow(rings.shape);
        }
        if (entry == NONE) {
            Segment older = mayGrow ? olderThanAny(rings, nowNanos) : null;
            if (older != null) {
                detach(older);
                return new Step.Delete(older);
            }
            entry = book.evict(rings);
            counters.evicted.add(entry == NONE ? 0 : 1);
        }
        if (entry == NONE) {
            entry = table.first(rings.failed);
        }
        if (entry != NONE) {
            return new Step.Use(book.give(entry, storing));
        }
        if (rings.segments > 0 || !space.couldHold(rings.shape)) {
            return new Step.Decline();
        }
        if (!mayGrow || !space.mayDelete(nowNanos)) {
            return new Step.Fail();
        }
        return growing ? null : deleteOther(rings.shape);
    }

    /** A segment of another shape that was used before any block of this shape, so that it goes before them; or null. */
    private @Nullable Segment olderThanAny(SlotRings rings, long nowNanos) {
        int oldest = book.leastRecentlyUsed(rings);
        if (oldest == NONE
                || growing
                || !book.hasOthers(rings)
                || !space.mayDelete(nowNanos)
                || !space.couldHold(rings.shape)) {
            return null;
        }
        Segment other = leastRecentlyUsedOther(rings.shape);
        return other != null && other.lastUsed < table.stamps[oldest] ? other : null;
    }

    private @Nullable Segment leastRecentlyUsedOther(SlotShape shape) {
        return book.leastRecentlyUsed(segment -> !segment.shape().equals(shape));
    }

    private int freeSlot(SlotRings rings, long nowNanos) {
        int entry = table.first(rings.free);
        boolean rested = nowNanos - rings.lastFailure >= DiskSpace.PAUSE_NANOS;
        return entry == NONE && rested ? table.first(rings.failed) : entry;
    }

    private Step grow(SlotShape shape) {
        int slots = space.room(shape);
        growing = true;
        space.reserve(shape, slots);
        return new Step.Grow(nextSegment++, slots);
    }

    /** Adds a segment that was created. */
    void attach(Segment segment) {
        lock.lock();
        try {
            book.add(segment);
            growing = false;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /**
     * Says that a segment could not be created.
     *
     * @param left a part of the file that is still there, or null
     * @return whether there are other slots of the shape
     */
    boolean growthFailed(SlotShape shape, int slots, @Nullable Path left, long nowNanos) {
        lock.lock();
        try {
            growing = false;
            space.creatingFailed(shape, slots, left, nowNanos);
            counters.growthFailures.increment();
            changed.signalAll();
            return book.ringsOf(shape).segments > 0;
        } finally {
            lock.unlock();
        }
    }

    /**
     * Says that the caller has written a block, which can be found from now on.
     *
     * @return a slot that the caller has to bury: the one that this block takes the place of; the caller's own if the
     *     namespace was erased, or there is a later block of the same key; or null
     */
    @Nullable
    Slot publish(Slot slot, Storing storing) {
        int entry = slot.entry();
        lock.lock();
        try {
            book.written(entry);
            if (storing.isOvertaken()) {
                return book.slot(entry);
            }
            slot.segment().users--; // owns it no more, unless there is a later one
            changed.signalAll();
            return book.show(entry, storing.key(), storing.expiryMillis());
        } finally {
            lock.unlock();
        }
    }

    /** Gives a slot back whose header in the file was overwritten, and all of it if it was wiped. */
    void release(Slot slot, boolean wiped) {
        lock.lock();
        try {
            if (wiped) {
                book.wiped(slot.entry());
            }
            book.release(slot.entry(), book.ringsOf(slot.segment().shape()).free, true);
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /** Gives a slot back that could not be written, for a while the last one to be taken. */
    void releaseFailed(Slot slot, boolean headerCleared, long nowNanos) {
        lock.lock();
        try {
            SlotRings rings = book.ringsOf(slot.segment().shape());
            rings.lastFailure = nowNanos;
            book.release(slot.entry(), rings.failed, headerCleared);
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    // To delete

    private Step deleteOther(SlotShape wanted) {
        Segment victim = leastRecentlyUsedOther(wanted);
        if (victim == null) {
            return new Step.Decline();
        }
        detach(victim);
        return new Step.Delete(victim);
    }

    private void detach(Segment segment) {
        growing = true;
        counters.evicted.add(book.remove(segment));
    }

    /** The least recently used segment, for the caller to delete, if there is more than there may be. */
    @Nullable
    Segment excess(long nowNanos) {
        lock.lock();
        try {
            awaitNotGrowing();
            Segment victim =
                    space.isExceeded() && space.mayDelete(nowNanos) ? book.leastRecentlyUsed(segment -> true) : null;
            if (victim != null) {
                detach(victim);
            }
            return victim;
        } finally {
            lock.unlock();
        }
    }

    /** Says that a segment was deleted, or could not be, so that its file is still there. */
    void deleted(Segment segment, boolean gone, long nowNanos) {
        lock.lock();
        try {
            space.deleted(segment, gone, nowNanos);
            growing = false;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /** Files that nobody may touch, whatever is in them. */
    List<Path> keptFiles() {
        lock.lock();
        try {
            return space.keptFiles();
        } finally {
            lock.unlock();
        }
    }

    /** Files that could not be deleted and are to be. */
    List<Path> orphans() {
        lock.lock();
        try {
            return space.orphans();
        } finally {
            lock.unlock();
        }
    }

    void orphanDeleted(Path path) {
        lock.lock();
        try {
            space.orphanDeleted(path);
        } finally {
            lock.unlock();
        }
    }

    /** Waits until no segment is being created or deleted. */
    void awaitSegments() {
        lock.lock();
        try {
            awaitNotGrowing();
        } finally {
            lock.unlock();
        }
    }

    private void awaitNotGrowing() {
        while (growing) {
            changed.awaitUninterruptibly();
        }
    }

    // To remove and erase

    /** Takes a block away, once nobody reads it; null if it is not there. To be buried by the caller. */
    @Nullable
    Slot take(KeyPrint key) throws IOException {
        lock.lock();
        try {
            awaitRecovery();
            int entry = table.find(key);
            if (entry == NONE) {
                return null;
            }
            book.hide(entry);
            book.own(entry);
            while (table.readers[entry] > 0) {
                changed.awaitUninterruptibly();
            }
            return book.slot(entry);
        } finally {
            lock.unlock();
        }
    }

    /**
     * Takes all slots that may hold bytes of a namespace, once nobody reads or writes them; what is being stored of
     * it will not be. To be wiped by the caller, who says when by {@link #endErase}.
     */
    Erasure beginErase(String name) throws IOException {
        lock.lock();
        try {
            awaitRecovery();
            while (erasing) {
                changed.awaitUninterruptibly();
            }
            erasing = true;
            NamespaceSlots namespace = book.namespace(name);
            if (namespace != null) {
                namespace.erasures++;
            }
            BitSet taken = new BitSet(); // entries
            hideAll(namespace, taken);
            for (Segment segment : book.segments()) {
                for (int slot = 0; slot < segment.entries.length; slot++) {
                    takeToWipe(segment, slot, namespace, taken);
                }
            }
            List<Segment> unsynced = book.segments().stream()
                    .filter(segment -> segment.sync.isDirty())
                    .toList();
            unsynced.forEach(segment -> segment.users++);
            return new Erasure(taken.stream().mapToObj(book::slot).toList(), unsynced);
        } finally {
            lock.unlock();
        }
    }

    private void hideAll(@Nullable NamespaceSlots namespace, BitSet taken) {
        for (Segment segment : book.segments()) {
            for (int entry : segment.entries) {
                if (table.states[entry] == SlotTable.LIVE && table.owners[entry] == namespace) {
                    counters.erased.increment();
                    taken.set(entry, book.hideAndOwn(entry));
                }
            }
        }
    }

    private void takeToWipe(Segment segment, int slot, @Nullable NamespaceSlots namespace, BitSet taken) {
        int entry = segment.entries[slot];
        if (!segment.detached && taken.get(entry)) {
            return;
        }
        // A slot that another call has for itself may get bytes of the namespace, or keep some.
        while (!segment.detached && isInUse(entry)) {
            changed.awaitUninterruptibly();
        }
        // What can be found was stored after the erase began.
        if (!segment.detached && table.states[entry] == SlotTable.FREE && book.mayHold(entry, namespace)) {
            book.takeFree(entry);
            taken.set(entry);
        }
    }

    private boolean isInUse(int entry) {
        return table.states[entry] == SlotTable.OWNED || table.states[entry] == SlotTable.DYING;
    }

    void endErase(Erasure erasure) {
        lock.lock();
        try {
            erasure.unsynced().forEach(segment -> segment.users--);
            erasing = false;
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    // To recover

    /** Says which files there are, to be looked through. */
    void beginRecovery(List<FileAccess.Entry> files, long firstNewSegment) {
        lock.lock();
        try {
            nextSegment = firstNewSegment;
            files.forEach(space::recover);
        } finally {
            lock.unlock();
        }
    }

    /**
     * Adds a segment that was looked through. Returns slots to be buried: of two blocks with one key, the older one.
     */
    List<Slot> recovered(Segment segment, Findings findings) {
        lock.lock();
        try {
            space.recovered(segment);
            return book.add(segment, findings);
        } finally {
            lock.unlock();
        }
    }

    /** Says that a file was looked through, and what has become of it. */
    void settle(Path path, DiskSpace.Fate fate) {
        lock.lock();
        try {
            space.settle(path, fate);
        } finally {
            lock.unlock();
        }
    }

    /** Says that everything has been done about a file that was there. */
    void endRecovery(Path path) {
        lock.lock();
        try {
            space.endRecovery(path);
            if (space.recoveringFiles() == 0) {
                book.sort();
            }
            changed.signalAll();
        } finally {
            lock.unlock();
        }
    }

    /** Waits until everything that was there has been found, or the time is over. */
    void awaitRecovery(long nanos) {
        lock.lock();
        try {
            awaitFor(nanos, () -> space.recoveringFiles() == 0);
        } finally {
            lock.unlock();
        }
    }

    private void awaitRecovery() throws IOException {
        while (space.recoveringFiles() > 0 && !closed) {
            changed.awaitUninterruptibly();
        }
        if (closed) {
            throw new IOException("store was closed");
        }
    }

    /** Waits under the lock, whatever interrupts come. */
    private void awaitFor(long nanos, BooleanSupplier condition) {
        boolean interrupted = false;
        long left = nanos;
        while (left > 0 && !condition.getAsBoolean()) {
            try {
                left = changed.awaitNanos(left);
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    // To look at

    DiskStats stats() {
        lock.lock();
        try {
            return new DiskStats(
                    space.maximumBytes(),
                    space.usedBytes(),
                    book.blocks(),
                    book.segments().size(),
                    space.recoveringFiles(),
                    counters.stored.sum(),
                    counters.declined.sum(),
                    counters.evicted.sum(),
                    counters.expired.sum(),
                    counters.corrupt.sum(),
                    counters.erased.sum(),
                    counters.hits.sum(),
                    counters.misses.sum(),
                    counters.bytesWritten.sum(),
                    counters.bytesRead.sum(),
                    counters.growthFailures.sum());
        } finally {
            lock.unlock();
        }
    }

    /** Checks, while no call is under way, that every slot is where it belongs and every byte is counted. */
    void verify() {
        lock.lock();
        try {
            if (growing || erasing) {
                throw new IllegalStateException(
                        "invariant broken: no call is under way: growing=" + growing + " erasing=" + erasing);
            }
            space.verify(book.verify());
        } finally {
            lock.unlock();
        }
    }
}
