package io.kvcache;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.Set;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Copies blocks to tiers after they were published. A block that waits for that is not held, so that a slow store takes no memory
 * from sequences, and evicting never waits for one.
 *
 * <p>Thread-safe where it says so; otherwise guarded by the lock of the {@link SequencePool}.
 */
final class WriteBehind {
    // A copy is checked like a sequence lock (Lameter, 2005), without a reference:
    //
    //   under the lock   the block is published under number n
    //   without          it is copied to memory of the writer
    //   under the lock   it is still published under number n: nobody has written to it meanwhile
    //   without          the copy goes to the store
    //
    // Otherwise the copy is thrown away. The lock orders the reads of the copy before whatever its next owner writes.
    // So neither a copy nor a stalled store ever stands in the way of a reserve.
    private final Object lock;
    private final BlockMemory memory;
    private final PrefixCache prefixes;
    private final KeySource keySource;
    private final Tiers tiers;
    private final @Nullable EventQueue events;
    private final LongSupplier clock;
    private final Runnable afterChange;
    private final Runnable afterUnlock;
    private final ArrayDeque<MemorySegment> spares = new ArrayDeque<>(); // [blockBytes] each

    /**
     * Makes it without tasks.
     *
     * @param clock nanoseconds since the cache was built; not read under the lock
     * @param afterChange called under the lock when something has changed
     * @param afterUnlock called when it is not held any more
     */
    WriteBehind(
            Object lock,
            BlockMemory memory,
            PrefixCache prefixes,
            KeySource keySource,
            Tiers tiers,
            @Nullable EventQueue events,
            LongSupplier clock,
            Runnable afterChange,
            Runnable afterUnlock) {
        this.lock = lock;
        this.memory = memory;
        this.prefixes = prefixes;
        this.keySource = keySource;
        this.tiers = tiers;
        this.events = events;
        this.clock = clock;
        this.afterChange = afterChange;
        this.afterUnlock = afterUnlock;
    }

    /** A block on its way: what its name is built from, and what goes with it. */
    private record Write(int block, long number, KeyChain chain, Retention retention) {
        String namespace() {
            return chain.root().partition.name;
        }
    }

    /** Sees to it that what waits is copied, as far as tiers take blocks now; the lock is held. */
    void plan(long now) {
        for (Tier tier : tiers.all()) {
            while (tier.writers < Math.min(tier.options.threads(), tier.queue.size()) && tier.admitsStores(now)) {
                tier.writers++;
                tiers.plan(tier, tier.storers(), () -> drain(tier), () -> refused(tier));
            }
        }
    }

    private void refused(Tier tier) {
        synchronized (lock) {
            tier.writers--;
        }
    }

    /** Copies blocks until none waits, or the tier takes none; in a thread of the tier. */
    private void drain(Tier tier) {
        try {
            MemorySegment copy = takeMemory();
            for (Write write = take(tier); write != null; write = take(tier)) {
                store(tier, write, copy);
            }
            giveMemory(copy);
        } finally {
            synchronized (lock) {
                tier.writers--;
                afterChange.run();
            }
            afterUnlock.run();
        }
    }

    private MemorySegment takeMemory() {
        synchronized (lock) {
            if (!spares.isEmpty()) {
                return spares.pop();
            }
        }
        return Arena.ofAuto().allocate(memory.blockBytes(), BlockMemory.CHUNK_ALIGNMENT_BYTES);
    }

    /** Keeps memory for another time; what was copied to it may be erased meanwhile. */
    private void giveMemory(MemorySegment copy) {
        copy.fill((byte) 0);
        synchronized (lock) {
            spares.push(copy);
        }
    }

    private @Nullable Write take(Tier tier) {
        if (!tier.entersStore()) {
            return null;
        }
        synchronized (lock) {
            WriteQueue queue = tier.queue;
            while (queue.size() > 0) {
                int block = queue.block();
                long number = queue.number();
                queue.removeFirst();
                if (!prefixes.tiers().holds(block, number)) {
                    tier.lostBlocks++;
                } else {
                    Write write = describe(block);
                    if (tier.erasures().beginStore(write.namespace())) {
                        return write;
                    }
                    tier.droppedBlocks++;
                    prefixes.tiers().notCopied(block, tier);
                }
            }
        }
        tier.leavesStore();
        return null;
    }

    private Write describe(int block) {
        return new Write(block, prefixes.number(block), prefixes.tiers().chain(block), prefixes.retention(block));
    }

    private void store(Tier tier, Write write, MemorySegment copy) {
        boolean stored = false;
        try {
            boolean finite = copy(write, copy);
            if (isStillThere(write)) {
                BlockNote note = new BlockNote(finite, write.retention, tier.wallMillis());
                stored = tier.store(write.chain.compute(keySource), note, copy);
            } else {
                tier.leavesStore();
                lost(tier);
            }
        } catch (IllegalStateException e) { // the cache was closed, and its memory is gone
            tier.leavesStore();
        } finally {
            tier.erasures().endStore(write.namespace());
        }
        finish(tier, write, stored);
    }

    private void lost(Tier tier) {
        synchronized (lock) {
            tier.lostBlocks++;
        }
    }

    /** Copies a block; returns whether it holds finite elements only. What it returns and copies counts if the block is still there. */
    private boolean copy(Write write, MemorySegment copy) {
        MemorySegment.copy(memory.segment(write.block), memory.offset(write.block), copy, 0, memory.blockBytes());
        return memory.isFinite(write.block);
    }

    private boolean isStillThere(Write write) {
        synchronized (lock) {
            return prefixes.tiers().holds(write.block, write.number);
        }
    }

    private void finish(Tier tier, Write write, boolean stored) {
        long now = clock.getAsLong();
        synchronized (lock) {
            prefixes.advanceTo(now);
            write.chain.keep(prefixes.tiers());
            boolean there = prefixes.tiers().holds(write.block, write.number);
            if (there && !stored) {
                prefixes.tiers().notCopied(write.block, tier);
            } else if (there && events != null) {
                events.offloaded(write.chain.root().partition, write.number, tier.name());
            }
            afterChange.run();
        }
        afterUnlock.run();
    }

    /** Whether nothing waits for a tier that takes blocks, or is on its way; the lock is held. */
    boolean isIdle() {
        boolean idle = true;
        for (Tier tier : tiers.all()) {
            idle &= tier.queue.size() == 0 && tier.writers == 0;
        }
        return idle;
    }

    /** Forgets what waits; the lock is held. */
    void dropAll() {
        for (Tier tier : tiers.all()) {
            tier.droppedBlocks += tier.queue.size();
            tier.queue.clear();
        }
    }

    /**
     * Copies all that is published in some namespaces to a store, in the calling thread.
     *
     * @return how many blocks the store took
     * @throws IOException if the store fails
     */
    int copyTo(BlockStore store, Set<String> namespaces, long wallMillis) throws IOException {
        int[] published;
        long[] numbers;
        synchronized (lock) {
            published = prefixes.publishedBlocks(namespaces);
            numbers = new long[published.length];
            for (int i = 0; i < published.length; i++) {
                numbers[i] = prefixes.number(published[i]);
            }
        }
        MemorySegment copy = takeMemory();
        int stored = 0;
        for (int i = 0; i < published.length; i++) {
            Write write;
            synchronized (lock) {
                write = prefixes.tiers().holds(published[i], numbers[i]) ? describe(published[i]) : null;
            }
            boolean finite = write != null && copy(write, copy);
            if (write != null && isStillThere(write)) {
                BlockNote note = new BlockNote(finite, write.retention, wallMillis);
                BlockKey key = write.chain.compute(keySource);
                boolean taken = store.store(key, note, copy);
                if (finishCopy(write)) {
                    store.remove(key);
                } else {
                    stored += taken ? 1 : 0;
                }
            }
        }
        giveMemory(copy);
        return stored;
    }

    /** Keeps what was computed for a block that was copied; returns whether its namespace was erased meanwhile. */
    private boolean finishCopy(Write write) {
        synchronized (lock) {
            write.chain.keep(prefixes.tiers());
            return write.chain.root().retired;
        }
    }
}
