package io.kvcache;

import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Brings what tiers hold of prompts into memory. A load is a sequence that reads in place of computing: it holds the cached prefix,
 * leads the flight of the block that it will publish next, and reserves room block by block. Whoever needs the same blocks
 * follows, and takes up what has arrived, by {@link SingleFlight}. A load ends when nothing more is found, when it is refused memory,
 * when nobody follows, or when it gets no further for as long as a call of its tier may take: then the first follower computes.
 *
 * <p>Thread-safe where it says so; otherwise guarded by the lock of the {@link SequencePool}.
 */
final class Loads {
    // locate: asks tier after tier, each in its own thread, how far it holds the path. What one holds is read at once,
    // while all are asked for what comes behind it.
    //
    // read: as many tasks as the tier has threads take the next block, reserve room for it, and read; blocks are
    // published in order. Stores are called without the lock. After a few blocks a task goes to the end of the queue,
    // so that a long prompt does not keep others waiting.
    //
    // What is being read when its load ends stays with the load until the call returns: nobody else may get that
    // memory before.
    private static final int BLOCKS_IN_A_ROW = 8;
    private static final int MOST_LOADS = 256;

    private final Object lock;
    private final int tokensPerBlock;
    private final BlockMemory memory;
    private final PrefixCache prefixes;
    private final SlotReserver reserver;
    private final SingleFlight flights;
    private final KeySource keySource;
    private final Tiers tiers;
    private final LongSupplier clock;
    private final Runnable afterChange;
    private final Runnable afterUnlock;

    private final List<Load> loads = new ArrayList<>(); // in the order in which they began
    private final List<Load> lingering = new ArrayList<>(); // over, but something is still being read
    private final ArrayDeque<BlockTable> spareTables = new ArrayDeque<>();

    /**
     * Makes it without loads.
     *
     * @param clock nanoseconds since the cache was built; not read under the lock
     * @param afterChange called under the lock when something may have been given back
     * @param afterUnlock called when it is not held any more
     */
    Loads(
            Object lock,
            int tokensPerBlock,
            BlockMemory memory,
            PrefixCache prefixes,
            SlotReserver reserver,
            SingleFlight flights,
            KeySource keySource,
            Tiers tiers,
            LongSupplier clock,
            Runnable afterChange,
            Runnable afterUnlock) {
        this.lock = lock;
        this.tokensPerBlock = tokensPerBlock;
        this.memory = memory;
        this.prefixes = prefixes;
        this.reserver = reserver;
        this.flights = flights;
        this.keySource = keySource;
        this.tiers = tiers;
        this.clock = clock;
        this.afterChange = afterChange;
        this.afterUnlock = afterUnlock;
    }

    // ---- begin and end, under the lock ----

    /**
     * Begins to load what comes behind the cached prefix of a prompt, unless somebody computes or loads that already.
     *
     * @param walk where the look-up ended; its node and position are as before afterwards
     */
    void begin(Partition partition, int[] prompt, OpenOptions options, PrefixWalk walk) {
        boolean wanted = options.lookup() && options.publish() && walk.missing && !walk.withheld;
        boolean possible = loads.size() < MOST_LOADS && tiers.admitsLoads(prefixes.now());
        if (wanted && possible && walk.position + tokensPerBlock <= prompt.length) {
            PrefixRoot root = prefixes.root(partition, options.identities());
            int position = walk.position;
            int node = position == 0 ? root.node : walk.node;
            walk.start(node, prefixes.fingerprint(node), position);
            prefixes.followToEnd(prompt, partition);
            if (walk.missing && walk.position + tokensPerBlock <= prompt.length && !flights.isUnderWay(walk, prompt)) {
                begin(root, prompt, walk);
            }
            walk.start(node, prefixes.fingerprint(node), position);
            prefixes.dropIfUnused(root);
        }
    }

    private void begin(PrefixRoot root, int[] prompt, PrefixWalk walk) {
        int node = walk.node;
        int first = walk.position / tokensPerBlock;
        int end = prompt.length / tokensPerBlock;
        BlockTable table = spareTables.isEmpty() ? new BlockTable(tokensPerBlock) : spareTables.pop();
        table.prepare(end);
        table.prepareTokens(end * tokensPerBlock);
        prefixes.openForLoad(root, node, prompt, walk.position, table);
        flights.begin(table, prompt, walk);
        byte[] digest = node < 0 ? null : prefixes.tiers().digest(node);
        int[] tokens = Arrays.copyOf(prompt, end * tokensPerBlock);
        Load load = new Load(root, table, tokens, digest, first, end, tiers.all()[0], prefixes.now());
        loads.add(load);
        locateFrom(load, 0);
        if (load.isDone()) { // no tier may be asked after all
            end(load);
        }
    }

    /** Ends a load: the first of those who follow it computes. */
    private void end(Load load) {
        if (load.over) {
            return;
        }
        load.over = true;
        loads.remove(load);
        BlockTable table = load.table;
        flights.end(table);
        while (table.count() > 0) {
            int at = table.count() - 1;
            int block = table.removeLast();
            if (load.isUnderWay(at)) {
                load.kept.addInt(block);
            } else {
                release(load, block);
            }
        }
        prefixes.letGo(load.root);
        table.close();
        spareTables.push(table);
        if (load.isReading()) {
            lingering.add(load);
        }
    }

    /** Gives a block back; one of a namespace that was erased meanwhile is overwritten first. */
    private void release(Load load, int block) {
        if (load.root.retired) {
            prefixes.overwriteLater(block);
        }
        prefixes.release(block);
    }

    private void giveUp(Load load) {
        synchronized (lock) {
            end(load);
            afterChange.run();
        }
        afterUnlock.run();
    }

    /**
     * Ends loads that have got no further for too long.
     *
     * @return whether there were any: others may go on
     */
    boolean expire(long now) {
        boolean any = false;
        for (int i = loads.size() - 1; i >= 0; i--) {
            Load load = loads.get(i);
            Tier awaited = load.awaited();
            if (now - load.since > awaited.options.deadlineNanos()) {
                awaited.loadIsLate(load.since, now);
                end(load);
                any = true;
            }
        }
        return any;
    }

    /** In how many nanoseconds {@link #expire} may have something to do. */
    long untilNextExpiry(long now) {
        long next = Long.MAX_VALUE;
        for (int i = 0; i < loads.size(); i++) {
            Load load = loads.get(i);
            next = Math.min(next, load.awaited().options.deadlineNanos() - (now - load.since));
        }
        return next;
    }

    /** Ends all loads. */
    void endAll() {
        while (!loads.isEmpty()) {
            end(loads.getLast());
        }
    }

    /** Whether no store is reading into memory, and none is going to. */
    boolean isIdle() {
        return loads.isEmpty() && lingering.isEmpty();
    }

    // ---- find out what the tiers hold ----

    /** Asks the first tier, from one on, that may be asked now. If there is none, no more is found. */
    private void locateFrom(Load load, int index) {
        Tier tier = tiers.enterLoad(index, prefixes.now());
        if (tier == null) {
            load.located();
            return;
        }
        load.ask(tier);
        plan(load, tier, () -> locate(load, tier));
    }

    private void plan(Load load, Tier tier, Runnable work) {
        tiers.plan(tier, tier.loaders(), tier.counted(work), () -> {
            tier.uncount();
            giveUp(load);
        });
    }

    /** Asks a tier how far it holds the path; in a thread of the tier, without the lock. */
    private void locate(Load load, Tier tier) {
        List<BlockKey> path = nameBlocks(load);
        if (path.isEmpty()) {
            tier.leavesLoad(clock.getAsLong());
            return;
        }
        int held = tier.held(path);
        long now = clock.getAsLong();
        synchronized (lock) {
            prefixes.advanceTo(now);
            if (!load.over) {
                load.since = now;
                located(load, tier, held);
            }
            afterChange.run();
        }
        afterUnlock.run();
    }

    /** Returns the names of what no tier is known to hold yet; of nothing if the load is over. */
    private List<BlockKey> nameBlocks(Load load) {
        BlockKey[] keys = null;
        synchronized (lock) {
            if (load.over) {
                return List.of();
            }
            if (load.isNamed()) {
                return load.missing();
            }
        }
        if (load.digest == null) {
            keys = keySource.keys(load.root, null, load.tokens, 0, load.end);
            keys = Arrays.copyOfRange(keys, load.first, load.end);
        } else {
            keys = keySource.keys(
                    load.root, load.digest, load.tokens, load.first * tokensPerBlock, load.end - load.first);
        }
        synchronized (lock) {
            load.name(keys);
            return load.missing();
        }
    }

    /** A tier holds the next few blocks: they are read, while it is found out what comes behind them. */
    private void located(Load load, Tier tier, int held) {
        boolean idle = !load.hasNext();
        load.found(tier, held);
        if (idle && load.hasNext()) {
            for (int i = 0; i < tier.options.threads(); i++) {
                planRead(load, tier);
            }
        }
        if (!load.isLocated() && held > 0 && tiers.all().length > 1) {
            locateFrom(load, 0);
        } else if (!load.isLocated()) {
            locateFrom(load, held > 0 ? tiers.all().length : tier.index + 1);
        }
        if (load.isDone()) {
            end(load);
        }
    }

    // ---- read ----

    private void planRead(Load load, Tier tier) {
        plan(load, tier, () -> read(load, tier));
    }

    /** A block that is to be read: its index in the path, its number, and whether somebody else's rows are in it. */
    private record Target(int at, int block, boolean foreign) {}

    /** Reads a few blocks from a tier; in a thread of the tier. */
    private void read(Load load, Tier tier) {
        for (int i = 0; i < BLOCKS_IN_A_ROW; i++) {
            Target target = take(load, tier);
            if (target == null) {
                return;
            }
            int block = target.block;
            if (target.foreign) {
                memory.clear(block); // a read that fails half-way leaves what was there
            }
            MemorySegment segment = memory.segment(block).asSlice(memory.offset(block), memory.blockBytes());
            BlockNote note = null;
            try {
                note = tier.load(load.key(target.at), segment);
            } finally {
                finish(load, tier, target, note);
            }
        }
        synchronized (lock) {
            planNextRead(load);
        }
        tiers.submit();
    }

    private void planNextRead(Load load) {
        if (!load.over && load.hasNext()) {
            planRead(load, load.source(load.next));
        }
    }

    /** Takes the next block of a load, with room for it; null: there is none, or another tier has it. */
    private @Nullable Target take(Load load, Tier tier) {
        while (true) {
            int backed;
            Target target = null;
            long now = clock.getAsLong();
            synchronized (lock) {
                prefixes.advanceTo(now);
                if (load.over || !load.hasNext()) {
                    return null;
                }
                if (load.source(load.next) != tier) {
                    planNextRead(load);
                    backed = 0;
                } else if (!flights.leadsOthers(load.table) || !reserver.plan(load.table, load.table.count() + 1)) {
                    end(load);
                    afterChange.run();
                    backed = 0;
                } else {
                    backed = reserver.memoryNeeded();
                    reserver.cancel(load.table);
                    reserver.clear();
                    target = backed <= memory.blocks() ? take(load) : null;
                }
            }
            afterUnlock.run();
            if (target != null || backed == 0) {
                return target;
            }
            try {
                memory.ensure(backed);
            } catch (BlockMemoryException e) {
                giveUp(load);
                return null;
            }
        }
    }

    private Target take(Load load) {
        BlockTable table = load.table;
        reserver.take(table, table.count() + 1);
        table.reserve(table.count() * tokensPerBlock - table.length());
        int block = table.lastBlock();
        boolean foreign = table.takeToClear() != BlockPool.NONE;
        afterChange.run();
        return new Target(load.take(), block, foreign);
    }

    /** Takes in what a call of a store has brought, and publishes what is complete now. */
    private void finish(Load load, Tier tier, Target target, @Nullable BlockNote note) {
        long now = clock.getAsLong();
        long wallMillis = tier.wallMillis();
        synchronized (lock) {
            prefixes.advanceTo(now);
            load.read(target.at, note);
            if (load.over) {
                load.kept.removeInt(target.block);
                release(load, target.block);
                if (!load.isReading()) {
                    lingering.remove(load);
                }
            } else {
                load.since = now;
                publish(load, wallMillis);
            }
            afterChange.run();
        }
        afterUnlock.run();
    }

    private void publish(Load load, long wallMillis) {
        BlockTable table = load.table;
        for (BlockNote note = load.nextNote(); note != null; note = load.nextNote()) {
            int at = load.committed;
            if (!note.finite()) {
                memory.markNotFinite(table.block(at));
            }
            Partition partition = load.root.partition;
            Tier source = load.source(at);
            int priority = partition.options.retention().priority();
            table.bring(source.index, note.left(wallMillis, priority));
            table.commit(load.tokens, at * tokensPerBlock, tokensPerBlock);
            prefixes.publish(table);
            if (table.published() == at) { // the block before it has left, or the namespace was erased
                end(load);
                return;
            }
            int block = table.block(at);
            prefixes.tiers()
                    .keepDigest(block, prefixes.number(block), load.key(at).digestUncopied());
            load.committed++;
            source.broughtBlock();
            flights.published(table, at);
        }
        if (load.isDone()) {
            end(load);
        }
    }

    // ---- facts ----

    /** Counts the references that loads hold. */
    void count(int[] held) {
        for (Load load : loads) {
            load.table.verify();
            for (int at = 0; at < load.table.count(); at++) {
                held[load.table.block(at)]++;
            }
        }
        for (Load load : lingering) {
            for (int at = 0; at < load.kept.size(); at++) {
                held[load.kept.getInt(at)]++;
            }
        }
    }
}
