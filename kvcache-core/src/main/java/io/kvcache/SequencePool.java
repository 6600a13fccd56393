package io.kvcache;

import java.io.IOException;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.agrona.concurrent.EpochClock;
import org.agrona.concurrent.NanoClock;
import org.jspecify.annotations.Nullable;

/**
 * Opens, forks and closes sequences over one block pool: holds the lock of all bookkeeping, the list of open sequences
 * (the leak detector) and the tables to be used again.
 *
 * <p>Thread-safe.
 */
final class SequencePool {
    /** Views die with their sequence. */
    static final String GUARD_PROPERTY = "io.kvcache.guard";

    /** Leak reports say where a sequence was opened. */
    static final String TRACE_PROPERTY = "io.kvcache.trace";

    private static final BlockTable[] NO_BATCH = {};

    /** How long a cache that closes waits for what goes to its tiers. */
    private static final long CLOSE_NANOS = TimeUnit.SECONDS.toNanos(2);

    /** A clock that stands still just before a deadline does not make a wait spin. */
    private static final long SHORTEST_WAIT_NANOS = 100_000;

    final KvLayout layout;
    final BlockMemory memory;
    final BlockCodec codec;

    // What follows, and all that it uses, is guarded by the lock. It is never held during a copy of K/V, while memory
    // grows, or while code of others runs (a policy apart). Each call that takes it ends with afterChange, still under
    // the lock, and afterUnlock.
    private final Object lock = new Object();
    private final BlockPool blocks;
    private final PrefixCache prefixes;
    private final Sessions sessions;
    private final SlotReserver reserver;
    private final Admission admission;
    private final SingleFlight flights;
    private final ArrayDeque<BlockTable> spareTables = new ArrayDeque<>();
    private BlockTable[] spareBatch = NO_BATCH;
    private @Nullable Sequence firstOpen;
    private int openSequences;
    private long opened;
    private boolean closed;
    private volatile boolean freeWhenIdle;
    private final List<String> leaks = new ArrayList<>(); // not yet reported

    // What goes to tiers and comes from them. Waiting for that is waiting for a change.
    private final Tiers tiers;
    private final Loads loads;
    private final WriteBehind writeBehind;
    private long changes;
    private int awaiting; // threads that are told of changes

    private final @Nullable EventQueue events;
    private final NanoClock clock;
    private final EpochClock wallClock;
    private final long start;
    private final boolean guarded = Boolean.getBoolean(GUARD_PROPERTY);
    private final boolean traced = Boolean.getBoolean(TRACE_PROPERTY);

    SequencePool(
            KvLayout layout,
            BlockMemory memory,
            BlockPool blocks,
            PrefixCache prefixes,
            int maximumSequences,
            @Nullable EventQueue events,
            NanoClock clock,
            EpochClock wallClock,
            String model) {
        this.layout = layout;
        this.memory = memory;
        this.blocks = blocks;
        this.prefixes = prefixes;
        this.codec = new BlockCodec(layout, memory);
        this.sessions = new Sessions(prefixes, layout.tokensPerBlock());
        this.reserver = new SlotReserver(prefixes, sessions, blocks, memory, codec);
        this.admission = new Admission(layout, maximumSequences, prefixes);
        this.flights = admission.flights();
        this.events = events;
        this.clock = clock;
        this.wallClock = wallClock;
        this.start = clock.nanoTime();
        this.tiers = new Tiers(this::now, wallClock, events);
        KeySource keys = new KeySource(model, layout);
        this.loads = new Loads(
                lock,
                layout.tokensPerBlock(),
                memory,
                prefixes,
                reserver,
                flights,
                keys,
                tiers,
                this::now,
                this::afterChange,
                this::afterUnlock);
        this.writeBehind = new WriteBehind(
                lock, memory, prefixes, keys, tiers, events, this::now, this::afterChange, this::afterUnlock);
    }

    /** Nanoseconds since the cache was built. The clock is the embedder's: it is not read under the lock. */
    long now() {
        return clock.nanoTime() - start;
    }

    /**
     * The nanoseconds of a patience, as many as a long counts.
     *
     * @throws IllegalArgumentException if it is negative
     */
    static long nanos(Duration patience) {
        if (patience.isNegative()) {
            throw new IllegalArgumentException("must not be negative: patience=" + patience);
        }
        boolean endless = patience.compareTo(Duration.ofNanos(Long.MAX_VALUE)) >= 0;
        return endless ? Long.MAX_VALUE : patience.toNanos();
    }

    /** The lock is held, and something may have been given back: others may go on. */
    private void afterChange() {
        flights.settle();
        admission.choose(openSequences);
        if (!tiers.isEmpty()) {
            writeBehind.plan(prefixes.now());
        }
        changes++;
        if (awaiting > 0) {
            lock.notifyAll();
        }
    }

    /** The lock is not held any more: does what takes time. */
    private void afterUnlock() {
        overwriteErased();
        tiers.submit();
        if (events != null) {
            events.deliver();
        }
        if (freeWhenIdle) {
            freeIfIdle();
        }
    }

    /** Frees the memory of a closed cache once no store reads into it any more. */
    private void freeIfIdle() {
        synchronized (lock) {
            if (loads.isIdle()) {
                freeWhenIdle = false;
                memory.close();
            }
        }
    }

    Partition newPartition(String name, NamespaceOptions options) {
        synchronized (lock) {
            return prefixes.newPartition(name, options);
        }
    }

    // ---- open ----

    /** Blocks that a partition could hold at most. */
    int mostBlocks(Partition partition) {
        synchronized (lock) {
            return (int) Math.min(prefixes.ledger().most(partition), Integer.MAX_VALUE);
        }
    }

    /** Whether {@link #openInTime} would open a sequence now. */
    boolean hasRoom(Partition partition, int[] prompt, OpenOptions options) {
        long now = now();
        synchronized (lock) {
            checkOpen();
            prefixes.advanceTo(now);
            return admission.couldFit(partition, prompt, options)
                    && admission.mayOpen(null, partition, prompt, options, true, openSequences);
        }
    }

    /** How many tokens of a prompt {@link #open} would find cached. */
    int probe(Partition partition, int[] prompt, OpenOptions options) {
        long now = now();
        synchronized (lock) {
            prefixes.advanceTo(now);
            return prefixes.probe(partition, prompt, options, prompt.length - 1).matched();
        }
    }

    /** Opens a sequence that starts with the longest cached prefix of a prompt; one token is left to compute. */
    Sequence open(Partition partition, int[] prompt, OpenOptions options) {
        long now = now();
        Sequence sequence;
        synchronized (lock) {
            checkOpen();
            checkSlot();
            prefixes.advanceTo(now);
            sequence = start(partition, prompt, options, prompt.length - 1, prefixes.lastNumber(), true);
            afterChange();
        }
        afterUnlock();
        return sequence;
    }

    /**
     * Starts a sequence.
     *
     * @param most positions that may be found
     * @param since the number of the newest block when it was asked for
     * @param mayLoad whether tiers are asked for what is missing
     */
    private Sequence start(
            Partition partition, int[] prompt, OpenOptions options, int most, long since, boolean mayLoad) {
        BlockTable table = takeTable(prompt.length);
        table.askedAt(since);
        Sequence sequence = newSequence(partition.name, table);
        PrefixWalk walk = prefixes.open(partition, prompt, options, most, table);
        int matched = walk.matched();
        MissReason reason = prefixes.missReason(walk, prompt, options);
        boolean missing = walk.missing && reason != MissReason.NONE && reason != MissReason.DISABLED;
        if (missing && mayLoad && !tiers.isEmpty()) {
            loads.begin(partition, prompt, options, walk);
        }
        if (missing && flights.begin(table, prompt, walk) && !flights.followsLoad(table)) {
            reason = MissReason.IN_FLIGHT;
        }
        table.missed(reason, matched);
        partition.traffic.opened(prompt.length, Math.min(matched, prompt.length - 1), reason);
        link(sequence);
        return sequence;
    }

    /**
     * Opens a sequence as soon as there is a slot, nobody else is computing what it needs next, and there is room for the rest of
     * its prompt, which it gets.
     *
     * @param patience how long to wait, in nanoseconds
     * @return the sequence; or null if there was no slot or no room in time
     */
    @Nullable
    Sequence openInTime(Partition partition, int[] prompt, OpenOptions options, long patience)
            throws InterruptedException {
        long first = now();
        long deadline = patience > Long.MAX_VALUE - first ? Long.MAX_VALUE : first + patience;
        Waiter waiter = null;
        long since = -1; // not looked yet
        try {
            for (long now = first; ; now = now()) {
                int backed = 0;
                long patienceLeft = deadline - now;
                Sequence sequence = null;
                synchronized (lock) {
                    checkOpen();
                    admission.checkFits(partition, prompt, options);
                    prefixes.advanceTo(now);
                    boolean due = now >= deadline;
                    if (!tiers.isEmpty()) {
                        expireLoads(now);
                        if (since < 0 && !due) {
                            loads.begin(partition, prompt, options, admission.probe(partition, prompt, options));
                        }
                        patienceLeft = Math.min(patienceLeft, loads.untilNextExpiry(now));
                    }
                    since = since < 0 ? prefixes.lastNumber() : since;
                    if (admission.mayOpen(waiter, partition, prompt, options, due, openSequences)) {
                        backed = admission.memoryNeeded(partition, blocks.used());
                        if (backed <= memory.blocks()) {
                            sequence = startWithRoom(partition, prompt, options, since);
                            admission.remove(waiter);
                            afterChange();
                        }
                    } else if (due) {
                        partition.traffic.timeouts++;
                        return null;
                    } else {
                        waiter = waiter == null ? admission.arrive(partition, prompt, options, deadline) : waiter;
                        admission.lookAgain(waiter, openSequences);
                    }
                }
                tiers.submit();
                if (sequence != null) {
                    finish(sequence.table());
                    return sequence;
                }
                if (backed > 0) {
                    memory.ensure(backed);
                } else if (waiter != null) {
                    waiter.park(patienceLeft);
                }
            }
        } finally {
            if (waiter != null) {
                leave(waiter, now() - first);
            }
            afterUnlock();
        }
    }

    private Sequence startWithRoom(Partition partition, int[] prompt, OpenOptions options, long since) {
        Sequence sequence = start(partition, prompt, options, admission.mostTokens(), since, false);
        BlockTable table = sequence.table();
        int wanted = admission.wantedBlocks(prompt, options);
        if (!reserver.plan(table, wanted)) {
            throw new IllegalStateException("invariant broken: a prompt that fits gets its room: wantedBlocks=" + wanted
                    + " obtainable=" + prefixes.ledger().obtainable(partition));
        }
        reserver.cancel(table);
        reserver.clear();
        reserver.take(table, wanted);
        table.reserve(prompt.length + options.room() - table.length());
        table.takeTailReplaced(); // nobody has a view of it yet
        return sequence;
    }

    private void leave(Waiter waiter, long waitedNanos) {
        synchronized (lock) {
            waiter.partition.traffic.waited(waitedNanos);
            admission.remove(waiter);
            afterChange();
        }
    }

    /** Opens a sequence that shares every block of {@code source}, which has no slots reserved. */
    Sequence fork(String namespace, BlockTable source) {
        synchronized (lock) {
            checkOpen();
            checkSlot();
            return fork(source, namespace);
        }
    }

    private Sequence fork(BlockTable source, String namespace) {
        BlockTable table = takeTable(source.length());
        table.prepare(source.count());
        Sequence sequence = newSequence(namespace, table);
        prefixes.fork(source, table);
        link(sequence);
        return sequence;
    }

    // ---- reserve, publish, adopt, truncate, close ----

    /**
     * Gives a table {@code wanted} blocks, the last of which it can write.
     *
     * @return whether there was room; if not, nothing has changed
     */
    boolean reserve(BlockTable table, int wanted) {
        long now = now();
        boolean taken = false;
        while (!taken) {
            int backed;
            synchronized (lock) {
                prefixes.advanceTo(now);
                if (!reserver.plan(table, wanted)) {
                    refuse(table);
                    break;
                }
                backed = takeBack(table);
                taken = backed <= memory.blocks();
                if (taken) {
                    take(table, wanted);
                }
            }
            if (!taken) {
                memory.ensure(backed);
            }
        }
        if (taken) {
            finish(table);
        }
        afterUnlock();
        return taken;
    }

    /** Takes a plan back, to be taken at once; returns how many blocks must have memory for it. */
    private int takeBack(BlockTable table) {
        int backed = reserver.memoryNeeded();
        reserver.cancel(table);
        reserver.clear();
        return backed;
    }

    private void take(BlockTable table, int wanted) {
        reserver.take(table, wanted);
        flights.resume(table);
        afterChange();
    }

    /** Counts a refusal, and lets others compute what this sequence has no memory for. */
    private void refuse(BlockTable table) {
        table.root().partition.traffic.refusals++;
        flights.leave(table.claim);
        afterChange();
    }

    /** Fills the blocks that a reserve has taken, without the lock. */
    private void finish(BlockTable table) {
        int superfluous = reserver.finish(table);
        if (superfluous != BlockPool.NONE) {
            release(superfluous);
        }
    }

    /**
     * Gives every table of a batch its slots, or none of them.
     *
     * @param batch the first {@code count} are to have their {@link BlockTable#wantedSlots}, where those are more than they have
     * @throws IllegalArgumentException if a table is there twice
     */
    boolean reserve(BlockTable[] batch, int count) {
        long now = now();
        boolean taken = false;
        while (!taken) {
            int backed = 0;
            synchronized (lock) {
                prefixes.advanceTo(now);
                boolean fits;
                try {
                    fits = planAll(batch, count);
                    backed = reserver.memoryNeeded();
                } finally {
                    cancelAll(batch, count);
                }
                if (!fits) {
                    refuse(batch, count);
                    break;
                }
                taken = backed <= memory.blocks();
                for (int i = 0; taken && i < count; i++) {
                    if (batch[i].wantsMore()) {
                        take(batch[i], wantedBlocks(batch[i]));
                    }
                }
            }
            if (!taken) {
                memory.ensure(backed);
            }
        }
        for (int i = 0; taken && i < count; i++) {
            finish(batch[i]);
        }
        afterUnlock();
        return taken;
    }

    private int wantedBlocks(BlockTable table) {
        return layout.blocksFor(table.length() + table.wantedSlots);
    }

    private boolean planAll(BlockTable[] batch, int count) {
        for (int i = 0; i < count; i++) {
            if (batch[i].planned) {
                throw new IllegalArgumentException("a sequence is in the batch twice: index=" + i + " batch=" + count);
            }
            if (batch[i].wantsMore() && !reserver.plan(batch[i], wantedBlocks(batch[i]))) {
                return false;
            }
        }
        return true;
    }

    private void cancelAll(BlockTable[] batch, int count) {
        for (int i = 0; i < count; i++) {
            if (batch[i].planned) {
                reserver.cancel(batch[i]);
            }
        }
        reserver.clear();
    }

    private void refuse(BlockTable[] batch, int count) {
        for (int i = 0; i < count; i++) {
            if (batch[i].wantsMore()) {
                refuse(batch[i]);
            }
        }
    }

    /** An array for the tables of a batch, to be given back; its contents are anything. */
    BlockTable[] takeBatch(int count) {
        synchronized (lock) {
            BlockTable[] batch = spareBatch;
            spareBatch = NO_BATCH;
            return batch.length >= count ? batch : new BlockTable[count];
        }
    }

    /** Takes back an array for batches. */
    void giveBatch(BlockTable[] batch) {
        synchronized (lock) {
            spareBatch = batch;
        }
    }

    /** Publishes what is full; returns whether the table took over an equal block. */
    boolean publish(BlockTable table) {
        long now = now();
        boolean replaced;
        synchronized (lock) {
            prefixes.advanceTo(now);
            int first = table.published();
            replaced = prefixes.publish(table);
            flights.published(table, first);
            afterChange();
        }
        afterUnlock();
        return replaced;
    }

    /** Takes up what others have published of the table's prompt; returns by how many tokens it has grown. */
    int adopt(BlockTable table) {
        long now = now();
        int gained;
        synchronized (lock) {
            prefixes.advanceTo(now);
            loads.expire(now);
            gained = flights.adopt(table);
            afterChange();
        }
        afterUnlock();
        return gained;
    }

    boolean follows(BlockTable table) {
        return follows(table, false);
    }

    /** Whether a tier is being asked for the block that a table needs next. */
    boolean isLoading(BlockTable table) {
        return follows(table, true);
    }

    private boolean follows(BlockTable table, boolean loadsOnly) {
        long now = now();
        boolean follows;
        synchronized (lock) {
            prefixes.advanceTo(now);
            expireLoads(now);
            follows = loadsOnly ? flights.followsLoad(table) : flights.follows(table);
        }
        afterUnlock();
        return follows;
    }

    /**
     * Takes up what others publish of the table's prompt until nobody is computing or loading the next block.
     *
     * @param patience how long to wait, in nanoseconds
     * @return by how many tokens the table has grown
     */
    int await(BlockTable table, long patience) throws InterruptedException {
        long first = now();
        long deadline = patience > Long.MAX_VALUE - first ? Long.MAX_VALUE : first + patience;
        int gained = 0;
        for (long now = first; ; now = now()) {
            long seen;
            long left = deadline - now;
            boolean follows;
            synchronized (lock) {
                prefixes.advanceTo(now);
                expireLoads(now);
                int taken = flights.adopt(table);
                if (taken > 0) {
                    gained += taken;
                    afterChange(); // not every time: those who wait would wake each other
                }
                follows = flights.follows(table);
                left = Math.min(left, loads.untilNextExpiry(now));
                seen = changes;
            }
            afterUnlock();
            if (!follows || now >= deadline) {
                return gained;
            }
            awaitChange(seen, left);
        }
    }

    /** Ends loads that are late, and lets others go on. */
    private void expireLoads(long now) {
        if (loads.expire(now)) {
            afterChange();
        }
    }

    /** Waits until something has changed since, or for some time. */
    private void awaitChange(long seen, long nanos) throws InterruptedException {
        synchronized (lock) {
            awaiting++;
            try {
                if (changes == seen) {
                    TimeUnit.NANOSECONDS.timedWait(lock, Math.max(nanos, SHORTEST_WAIT_NANOS));
                }
            } finally {
                awaiting--;
            }
        }
    }

    // ---- tiers ----

    /** Adds a tier below the others. */
    void addTier(TierOptions options) {
        Tier tier;
        synchronized (lock) {
            checkOpen();
            tier = tiers.add(options);
            prefixes.tiers().use(tiers.all());
            tiers.plan(tier, tier.loaders(), tier::open, () -> {});
        }
        tiers.submit();
    }

    /** How many tokens of those that a table has taken up came from a tier since its sequence asked. */
    int loadedTokens(BlockTable table, String tier) {
        return table.loadedTokens(tiers.index(tier));
    }

    /**
     * Waits until nothing is on its way to or from tiers.
     *
     * @param patience how long to wait, in nanoseconds
     * @return whether all that waited has got there
     */
    boolean flush(long patience) throws InterruptedException {
        long first = System.nanoTime();
        for (long left = patience; ; left = patience - (System.nanoTime() - first)) {
            long now = now();
            boolean idle;
            long seen;
            synchronized (lock) {
                prefixes.advanceTo(now);
                expireLoads(now);
                writeBehind.plan(now);
                idle = writeBehind.isIdle() && loads.isIdle();
                seen = changes;
            }
            afterUnlock();
            if (idle || left <= 0) {
                return idle;
            }
            awaitChange(
                    seen, Math.min(left, Breaker.FIRST_PAUSE_NANOS)); // then a tier that was left alone may be tried
        }
    }

    /** Lets tiers end what they are at, for a bounded time, and closes their stores. */
    private void closeTiers() {
        if (tiers.isEmpty()) {
            return;
        }
        synchronized (lock) {
            loads.endAll();
            afterChange();
        }
        try {
            flush(CLOSE_NANOS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        synchronized (lock) {
            writeBehind.dropAll();
        }
        tiers.close();
    }

    /** Copies what is published in some namespaces to a store; see {@link KvCache#copyTo}. */
    int copyTo(BlockStore store, Set<String> namespaces) throws IOException {
        synchronized (lock) {
            checkOpen();
        }
        return writeBehind.copyTo(store, namespaces, Math.max(0, wallClock.time()));
    }

    /**
     * Cuts a table.
     *
     * @return whether blocks went back
     */
    boolean truncate(BlockTable table, int length) {
        int count = table.count();
        int kept = layout.blocksFor(length);
        boolean cutsPublished = length < table.published() * layout.tokensPerBlock();
        if (kept == count && !cutsPublished) {
            table.truncate(length);
            return false;
        }
        long now = now();
        synchronized (lock) {
            prefixes.advanceTo(now);
            table.truncate(length);
            if (cutsPublished) {
                flights.end(table);
            }
            prefixes.releaseBeyond(table, kept);
            afterChange();
        }
        afterUnlock();
        return kept < count;
    }

    /**
     * Drops committed tokens, and lets those behind move up as reserved ones, into blocks of the table's own.
     *
     * @return whether there was room; if not, nothing has changed
     */
    boolean discard(BlockTable table, int from, int to) {
        int moving = table.length() - to;
        int end = layout.blocksFor(from + moving);
        int first = moving == 0 ? end : table.indexOf(from);
        long now = now();
        boolean taken = false;
        while (!taken) {
            int backed;
            synchronized (lock) {
                prefixes.advanceTo(now);
                if (!reserver.planOwn(table, first, end)) {
                    table.root().partition.traffic.refusals++;
                    return false;
                }
                backed = takeBack(table);
                taken = backed <= memory.blocks();
                if (taken) {
                    reserver.takeOwn(table, first, end);
                    table.discard(from, moving);
                    flights.end(table);
                    afterChange();
                }
            }
            if (!taken) {
                memory.ensure(backed);
            }
        }
        finishDiscard(table, to);
        return true;
    }

    /** Fills the blocks that a discard has taken, without the lock, and gives back those that it needs no more. */
    private void finishDiscard(BlockTable table, int to) {
        long now = now();
        reserver.finish(table);
        reserver.move(table, to);
        synchronized (lock) {
            prefixes.advanceTo(now);
            reserver.releaseBefore(table);
            afterChange();
        }
        afterUnlock();
    }

    /** Drops a reference that a copy has made superfluous. */
    private void release(int block) {
        long now = now();
        synchronized (lock) {
            prefixes.advanceTo(now);
            prefixes.release(block);
            afterChange();
        }
        afterUnlock();
    }

    /**
     * Takes back the blocks and the table of a sequence that is closing.
     *
     * @param continued whether somebody may open its prefix again
     * @return whether it was open
     */
    boolean close(Sequence sequence, boolean continued) {
        long now = now();
        synchronized (lock) {
            BlockTable table = sequence.detach();
            if (table == null) {
                return false;
            }
            prefixes.advanceTo(now);
            if (!continued) {
                prefixes.doNotContinue(table);
            }
            flights.end(table);
            prefixes.close(table);
            table.close();
            spareTables.push(table);
            unlink(sequence);
            afterChange();
        }
        afterUnlock();
        return true;
    }

    // ---- retain, store, erase, maintain ----

    RetentionOutcome retain(BlockTable table, int from, int to, Retention wanted) {
        long now = now();
        RetentionOutcome outcome;
        synchronized (lock) {
            prefixes.advanceTo(now);
            outcome = prefixes.retain(table, from, to, wanted);
            afterChange();
        }
        afterUnlock();
        return outcome;
    }

    /** Stores a sequence by key; see {@link Namespace#put}. */
    boolean put(Partition partition, String key, BlockTable table, Retention retention) {
        long now = now();
        boolean stored;
        synchronized (lock) {
            checkOpen();
            if (table.root().partition != partition) {
                throw new IllegalArgumentException("sequence belongs to another namespace: namespace=" + partition.name
                        + " sequenceNamespace=" + table.root().partition.name);
            }
            prefixes.advanceTo(now);
            stored = sessions.put(key, table, retention);
            afterChange();
        }
        afterUnlock();
        return stored;
    }

    /** Opens a sequence that continues a stored one; null if there is none. */
    @Nullable
    Sequence get(Partition partition, String key) {
        long now = now();
        Sequence sequence;
        synchronized (lock) {
            checkOpen();
            checkSlot();
            prefixes.advanceTo(now);
            Session session = sessions.get(partition, key);
            sequence = session == null ? null : fork(session.table, partition.name);
            afterChange();
        }
        afterUnlock();
        return sequence;
    }

    /** Forgets a stored sequence; returns whether there was one. */
    boolean remove(Partition partition, String key) {
        long now = now();
        boolean removed;
        synchronized (lock) {
            checkOpen();
            prefixes.advanceTo(now);
            removed = sessions.remove(partition, key);
            afterChange();
        }
        afterUnlock();
        return removed;
    }

    List<String> keys(Partition partition) {
        long now = now();
        synchronized (lock) {
            prefixes.advanceTo(now);
            return List.copyOf(sessions.keys(partition));
        }
    }

    /** Unpublishes all that a partition has published, and overwrites it if asked. */
    Erasure retire(Partition partition, boolean overwrite) {
        Erasure erasure;
        long now = now();
        synchronized (lock) {
            checkOpen();
            prefixes.advanceTo(now);
            int waiting = prefixes.blocksToOverwrite();
            int gone = sessions.dropAll(partition, overwrite) + prefixes.retire(partition, overwrite);
            int ready = prefixes.blocksToOverwrite() - waiting;
            erasure = new Erasure(ready, gone - ready);
            tiers.mustErase(partition.name);
            afterChange();
        }
        afterUnlock();
        List<String> unreached = tiers.erase(partition.name);
        return new Erasure(erasure.erasedBlocks(), erasure.deferredBlocks(), unreached);
    }

    /** Overwrites and frees erased blocks that nobody holds, without the lock while it writes. */
    private void overwriteErased() {
        if (!prefixes.mayHaveErased()) {
            return;
        }
        int block = BlockPool.NONE;
        do {
            synchronized (lock) {
                if (block != BlockPool.NONE) {
                    prefixes.freeErased(block);
                    afterChange();
                }
                block = closed ? BlockPool.NONE : prefixes.takeErased();
            }
            if (block != BlockPool.NONE) {
                memory.clear(block);
            }
        } while (block != BlockPool.NONE);
    }

    /** One step of maintenance; see {@link KvCache#maintain}. */
    int maintain(int limit) {
        long now = now();
        int handled;
        synchronized (lock) {
            checkOpen();
            prefixes.advanceTo(now);
            handled = prefixes.maintain(limit);
            handled += handled < limit ? sessions.maintain(limit - handled) : 0;
            loads.expire(now);
            afterChange();
            admission.wakeOverdue(now);
        }
        afterUnlock();
        return handled;
    }

    // ---- facts ----

    NamespaceStats stats(Partition partition) {
        synchronized (lock) {
            return partition.stats();
        }
    }

    CacheStats stats() {
        synchronized (lock) {
            Traffic traffic = Traffic.NONE;
            int published = 0;
            int pinned = 0;
            int overwritten = 0;
            for (Partition partition : prefixes.ledger().partitions()) {
                traffic = traffic.plus(partition.traffic.snapshot());
                published += partition.publishedBlocks;
                pinned += partition.pinnedBlocks;
                overwritten += partition.overwrittenBlocks;
            }
            int cached = prefixes.ledger().unreferencedBlocks();
            return new CacheStats(
                    openSequences,
                    admission.waiting(),
                    sessions.size(),
                    blocks.used() - cached - overwritten,
                    published - cached,
                    cached,
                    pinned,
                    memory.blocks(),
                    memory.maximumBlocks(),
                    memory.blockBytes(),
                    memory.maximumBytes(),
                    events == null ? 0 : events.lost(),
                    events == null ? 0 : events.failures(),
                    traffic,
                    tiers.stats());
        }
    }

    /**
     * What can be found now; see {@link KvCache#contents}. Memory for the copy is taken without the lock, for a few blocks more than
     * there are, and again if too many have come meanwhile.
     */
    CacheContents contents() {
        if (events == null) {
            throw new IllegalStateException("contents are numbered by the events of a listener, say Builder.listener");
        }
        long number = -1; // not yet
        ContentsCopy copy;
        do {
            copy = new ContentsCopy(roomForContents(), layout.tokensPerBlock());
            synchronized (lock) {
                if (prefixes.copyTo(copy)) {
                    number = events.last();
                }
            }
        } while (number < 0);
        return new CacheContents(number, copy.blocks());
    }

    private int roomForContents() {
        synchronized (lock) {
            checkOpen();
            int published = prefixes.publishedBlocks();
            return (int) Math.min(memory.maximumBlocks(), published + published / 8L);
        }
    }

    private void checkOpen() {
        if (closed) {
            throw new IllegalStateException("cache is closed");
        }
    }

    /** Whoever does not wait needs a slot that nobody waits for. */
    private void checkSlot() {
        if (!admission.hasSlot(openSequences)) {
            throw new IllegalStateException("no slot for another sequence, open with a deadline to wait: openSequences="
                    + openSequences + " maximumSequences=" + admission.maximumSequences() + " waitingOpens="
                    + admission.waiting());
        }
    }

    /** A table with room for a prompt: adopting one cannot fail half-way. */
    private BlockTable takeTable(int tokens) {
        BlockTable spare = spareTables.poll();
        BlockTable table = spare != null ? spare : new BlockTable(layout.tokensPerBlock());
        table.prepare(layout.blocksFor(tokens));
        table.prepareTokens(tokens);
        return table;
    }

    private Sequence newSequence(String namespace, BlockTable table) {
        Throwable openedAt = traced ? new Throwable("opened here") : null;
        return new Sequence(this, table, ++opened, namespace, guarded ? new ViewGuard() : null, openedAt);
    }

    private void link(Sequence sequence) {
        sequence.start();
        sequence.nextOpen = firstOpen;
        if (firstOpen != null) {
            firstOpen.previousOpen = sequence;
        }
        firstOpen = sequence;
        openSequences++;
    }

    private void unlink(Sequence sequence) {
        if (sequence.previousOpen == null) {
            firstOpen = sequence.nextOpen;
        } else {
            sequence.previousOpen.nextOpen = sequence.nextOpen;
        }
        if (sequence.nextOpen != null) {
            sequence.nextOpen.previousOpen = sequence.previousOpen;
        }
        openSequences--;
    }

    /** Recounts everything; see {@link KvCache#verify()}. */
    void verify() {
        synchronized (lock) {
            int[] held = new int[memory.blocks()];
            int counted = 0;
            for (Sequence sequence = firstOpen; sequence != null; sequence = sequence.nextOpen) {
                counted++;
                BlockTable table = sequence.table();
                table.verify();
                flights.verify(table);
                for (int index = 0; index < table.count(); index++) {
                    held[table.block(index)]++;
                }
            }
            if (counted != openSequences) {
                throw new IllegalStateException("invariant broken: open sequences are listed: counted=" + counted
                        + " openSequences=" + openSequences);
            }
            loads.count(held);
            int[] ofSessions = new int[held.length];
            sessions.verify(held, ofSessions);
            prefixes.verify(held, ofSessions);
        }
    }

    /**
     * Closes what is open and frees the memory. Whoever waits to open is told. What waits to be copied to tiers is copied, for a
     * bounded time; memory that a store is still reading into is freed when it is done.
     *
     * @return a description of each sequence that was still open, oldest first; nothing when closed before
     * @throws IllegalStateException if memory is in use by native code; nothing is lost, and another call frees it
     */
    List<String> close() {
        Sequence open;
        do {
            synchronized (lock) {
                closed = true;
                admission.wakeAll();
                open = firstOpen;
                if (open != null) {
                    leaks.addFirst(open.describe());
                }
            }
            if (open != null) {
                open.close();
            }
        } while (open != null);
        closeTiers();
        synchronized (lock) {
            freeWhenIdle = !loads.isIdle();
            if (!freeWhenIdle) {
                memory.close();
            }
            List<String> reported = List.copyOf(leaks);
            leaks.clear();
            return reported;
        }
    }
}
