package io.kvcache;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
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
    final BlockCodec codec;

    private final boolean guarded = Boolean.getBoolean(GUARD_PROPERTY);
    private final boolean traced = Boolean.getBoolean(TRACE_PROPERTY);
    private final ArrayDeque<BlockTable> spareTables = new ArrayDeque<>();
    private @Nullable Sequence firstOpen;
    private int openSequences;
    private long opened;
    private boolean closed;

    SequencePool(KvLayout layout, BlockMemory memory) {
        this.layout = layout;
        this.memory = memory;
        this.blocks = new BlockPool(memory);
        this.codec = new BlockCodec(layout, memory);
    }

    /** Opens an empty sequence whose table has room for {@code expectedTokens}. */
    Sequence open(String namespace, int expectedTokens) {
        synchronized (lock) {
            BlockTable table = takeTable();
            table.prepare(layout.blocksFor(expectedTokens));
            return register(namespace, table);
        }
    }

    /** Opens a sequence that shares every block of {@code source}, which has no slots reserved. */
    Sequence fork(String namespace, BlockTable source) {
        synchronized (lock) {
            BlockTable table = takeTable();
            table.copyFrom(source);
            for (int index = 0; index < table.count(); index++) {
                blocks.retain(table.block(index));
            }
            source.shareTail();
            return register(namespace, table);
        }
    }

    /** Takes back the blocks and the table of a sequence that is closing. */
    void close(Sequence sequence, BlockTable table) {
        synchronized (lock) {
            releaseBeyond(table, 0);
            table.truncate(0);
            spareTables.push(table);
            unlink(sequence);
        }
    }

    /** Releases the blocks behind the first {@code kept}, last one first. The lock is held. */
    void releaseBeyond(BlockTable table, int kept) {
        while (table.count() > kept) {
            blocks.release(table.removeLast());
        }
    }

    private BlockTable takeTable() {
        if (closed) {
            throw new IllegalStateException("cache is closed");
        }
        BlockTable spare = spareTables.poll();
        return spare != null ? spare : new BlockTable(layout.tokensPerBlock());
    }

    private Sequence register(String namespace, BlockTable table) {
        Throwable openedAt = traced ? new Throwable("opened here") : null;
        Sequence sequence =
                new Sequence(this, table, ++opened, namespace, guarded ? new ViewGuard() : null, openedAt, firstOpen);
        if (firstOpen != null) {
            firstOpen.previousOpen = sequence;
        }
        firstOpen = sequence;
        openSequences++;
        return sequence;
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
                    blocks.used(),
                    memory.blocks(),
                    memory.maximumBlocks(),
                    memory.blockBytes(),
                    memory.maximumBytes());
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
            blocks.verify(held);
        }
    }

    /**
     * Closes what is open and frees the memory.
     *
     * @return a description of each sequence that was still open, oldest first; nothing when closed before
     */
    List<String> close() {
        List<String> leaks = new ArrayList<>();
        synchronized (lock) {
            if (closed) {
                return leaks;
            }
            closed = true;
            while (firstOpen != null) {
                leaks.addFirst(firstOpen.describe());
                firstOpen.close();
            }
            memory.close();
        }
        return leaks;
    }
}
