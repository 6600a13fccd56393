package io.kvcache;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
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

    /** Guards the block pool, the list of open sequences and the spare tables. Never held during a copy of K/V. */
    final Object lock = new Object();

    final KvLayout layout;
    final BlockMemory memory;
    final BlockPool blocks;
    final PrefixCache prefixes;
    final BlockCodec codec;

    private final NanoClock clock;
    private final long start;
    private final boolean guarded = Boolean.getBoolean(GUARD_PROPERTY);
    private final boolean traced = Boolean.getBoolean(TRACE_PROPERTY);
    private final ArrayDeque<BlockTable> spareTables = new ArrayDeque<>();
    private @Nullable Sequence firstOpen;
    private int openSequences;
    private long opened;
    private boolean closed;
    private final List<String> leaks = new ArrayList<>(); // not yet reported

    SequencePool(KvLayout layout, BlockMemory memory, BlockPool blocks, PrefixCache prefixes, NanoClock clock) {
        this.layout = layout;
        this.memory = memory;
        this.blocks = blocks;
        this.prefixes = prefixes;
        this.codec = new BlockCodec(layout, memory);
        this.clock = clock;
        this.start = clock.nanoTime();
    }

    /** Nanoseconds since the cache was built. The clock is the embedder's: it is not read under the lock. */
    long now() {
        return clock.nanoTime() - start;
    }

    Partition newPartition(String name, NamespaceOptions options) {
        synchronized (lock) {
            return prefixes.newPartition(name, options);
        }
    }

    /** How many tokens of a prompt {@link #open} would find cached. */
    int probe(Partition partition, int[] prompt, OpenOptions options) {
        long now = now();
        synchronized (lock) {
            prefixes.advanceTo(now);
            return options.lookup() ? prefixes.probe(partition, options.identities(), prompt) : 0;
        }
    }

    /** Opens a sequence that starts with the longest cached prefix of a prompt. */
    Sequence open(Partition partition, int[] prompt, OpenOptions options) {
        long now = now();
        synchronized (lock) {
            prefixes.advanceTo(now);
            BlockTable table = takeTable(prompt.length);
            Sequence sequence = newSequence(partition.name, table);
            prefixes.open(partition, prompt, options, table);
            link(sequence);
            return sequence;
        }
    }

    /** Opens a sequence that shares every block of {@code source}, which has no slots reserved. */
    Sequence fork(String namespace, BlockTable source) {
        synchronized (lock) {
            BlockTable table = takeTable(source.length());
            Sequence sequence = newSequence(namespace, table);
            prefixes.fork(source, table);
            link(sequence);
            return sequence;
        }
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
            prefixes.close(table);
            table.close();
            spareTables.push(table);
            unlink(sequence);
        }
        overwriteErased();
        return true;
    }

    /** Releases the blocks of a table behind the first {@code kept}, last one first. */
    void releaseBeyond(BlockTable table, int kept) {
        long now = now();
        synchronized (lock) {
            prefixes.advanceTo(now);
            prefixes.releaseBeyond(table, kept);
        }
        overwriteErased();
    }

    /** Publishes what is full; returns whether the table took over an equal block. */
    boolean publish(BlockTable table) {
        long now = now();
        boolean replaced;
        synchronized (lock) {
            prefixes.advanceTo(now);
            replaced = prefixes.publish(table);
        }
        if (replaced) {
            overwriteErased();
        }
        return replaced;
    }

    /** Drops a reference that a copy has made superfluous. */
    void release(int block) {
        long now = now();
        synchronized (lock) {
            prefixes.advanceTo(now);
            prefixes.release(block);
        }
        overwriteErased();
    }

    RetentionOutcome retain(BlockTable table, int from, int to, Retention wanted) {
        long now = now();
        synchronized (lock) {
            prefixes.advanceTo(now);
            return prefixes.retain(table, from, to, wanted);
        }
    }

    /** Unpublishes all that a partition has published, and overwrites it if asked. */
    Erasure retire(Partition partition, boolean overwrite) {
        Erasure erasure;
        long now = now();
        synchronized (lock) {
            checkOpen();
            prefixes.advanceTo(now);
            erasure = prefixes.retire(partition, overwrite);
        }
        overwriteErased();
        return erasure;
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
        }
        overwriteErased();
        return handled;
    }

    NamespaceStats stats(Partition partition) {
        synchronized (lock) {
            return partition.stats();
        }
    }

    private void checkOpen() {
        if (closed) {
            throw new IllegalStateException("cache is closed");
        }
    }

    /** A table with room for a prompt: adopting one cannot fail half-way. */
    private BlockTable takeTable(int tokens) {
        checkOpen();
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

    CacheStats stats() {
        synchronized (lock) {
            return new CacheStats(
                    openSequences,
                    blocks.used() - prefixes.cachedBlocks(),
                    prefixes.cachedBlocks(),
                    memory.blocks(),
                    memory.maximumBlocks(),
                    memory.blockBytes(),
                    memory.maximumBytes(),
                    prefixes.pinnedBlocks(),
                    prefixes.evictedBlocks(),
                    prefixes.expiredBlocks());
        }
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
                for (int index = 0; index < table.count(); index++) {
                    held[table.block(index)]++;
                }
            }
            if (counted != openSequences) {
                throw new IllegalStateException("invariant broken: open sequences are listed: counted=" + counted
                        + " openSequences=" + openSequences);
            }
            prefixes.verify(held);
        }
    }

    /**
     * Closes what is open and frees the memory.
     *
     * @return a description of each sequence that was still open, oldest first; nothing when closed before
     * @throws IllegalStateException if memory is in use by native code; nothing is lost, and another call frees it
     */
    List<String> close() {
        synchronized (lock) {
            closed = true;
            while (firstOpen != null) {
                leaks.addFirst(firstOpen.describe());
                firstOpen.close();
            }
            memory.close();
            List<String> reported = List.copyOf(leaks);
            leaks.clear();
            return reported;
        }
    }
}
