package io.kvcache;

/**
 * Makes room in block tables: plans what reserves need, takes the blocks, and fills those that replace shared ones. To plan is to
 * count: several tables can be planned, and then all of them, or none, be served. Likewise for tokens that move to other slots.
 *
 * <p>Not thread-safe: guarded by the lock of the {@link SequencePool}, {@link #finish} apart.
 */
final class SlotReserver {
    private final PrefixCache prefixes;
    private final Sessions sessions;
    private final BlockLedger ledger;
    private final BlockPool blocks;
    private final BlockMemory memory;
    private final BlockCodec codec;
    private long growth; // of the blocks in use by all that is planned

    SlotReserver(PrefixCache prefixes, Sessions sessions, BlockPool blocks, BlockMemory memory, BlockCodec codec) {
        this.prefixes = prefixes;
        this.sessions = sessions;
        this.ledger = prefixes.ledger();
        this.blocks = blocks;
        this.memory = memory;
        this.codec = codec;
    }

    /**
     * Counts what a table needs in order to have {@code wanted} blocks, and promises it. Every plan is {@link #cancel cancelled},
     * before the blocks are taken or in place of that.
     *
     * @return whether there is room beside what is planned already; if not, nothing has changed
     */
    boolean plan(BlockTable table, int wanted) {
        int shared = sharedTail(table);
        return plan(table, Math.max(0, wanted - table.count()) + (shared == BlockPool.NONE ? 0 : 1), shared);
    }

    /** Counts what a table needs in order to have its blocks from one index to another to itself, and promises it; see above. */
    boolean planOwn(BlockTable table, int first, int end) {
        int needed = 0;
        for (int index = first; index < end; index++) {
            needed += isOwn(table.block(index)) ? 0 : 1;
        }
        return plan(table, needed, BlockPool.NONE);
    }

    private boolean plan(BlockTable table, int more, int shared) {
        Partition partition = table.root().partition;
        int needed = more;
        long obtainable = Math.max(0, ledger.obtainable(partition)); // less than none: who needs none is not refused
        if (needed > obtainable && prefixes.canTakeOver(shared)) {
            needed--;
        }
        if (needed > obtainable) {
            return false;
        }
        int before = partition.aboveCeiling(0);
        ledger.promise(partition, needed);
        growth += needed - (partition.aboveCeiling(0) - before);
        table.planned = true;
        table.sharedTail = shared;
        table.neededBlocks = needed;
        return true;
    }

    /** Takes a plan back; it is still known to the table, to be {@link #take taken} at once. */
    void cancel(BlockTable table) {
        ledger.unpromise(table.root().partition, table.neededBlocks);
        table.planned = false;
    }

    /** Says that all plans are cancelled. */
    void clear() {
        growth = 0;
    }

    /**
     * How many blocks must have memory for what is planned: more than there are means that memory has to grow first. What is
     * cached is evicted only when memory cannot grow any more, or at a ceiling.
     */
    int memoryNeeded() {
        return (int) Math.min(blocks.used() + growth, memory.maximumBlocks());
    }

    private int sharedTail(BlockTable table) {
        int last = table.lastBlock();
        return table.mayShareTail() && !isOwn(last) ? last : BlockPool.NONE;
    }

    /** Whether nobody else holds a block, and nobody else can find it. */
    private boolean isOwn(int block) {
        return ledger.hasOneHolder(block) && !prefixes.isPublished(block);
    }

    /** Takes what was planned; memory has grown as needed. The table is to be {@link #finish finished} without the lock. */
    void take(BlockTable table, int wanted) {
        Partition partition = table.root().partition;
        int shared = table.sharedTail;
        boolean inPlace = shared != BlockPool.NONE && table.neededBlocks == Math.max(0, wanted - table.count());
        table.prepare(wanted);
        table.tailReplaced = shared != BlockPool.NONE && !inPlace;
        makeAvailable(partition, table.neededBlocks);
        if (inPlace) {
            sessions.giveUpHolders(partition, shared);
            prefixes.takeOver(shared);
            table.sharedTail = BlockPool.NONE;
        } else if (shared != BlockPool.NONE) {
            table.replace(table.count() - 1, ledger.allocate(partition, shared, table));
        }
        while (table.count() < wanted) {
            table.append(ledger.allocate(partition, table.lastBlock(), table));
        }
    }

    /**
     * Gives up what is missing, and no more: cached blocks first, then sessions; what namespaces have borrowed first, then what this
     * one has.
     */
    private void makeAvailable(Partition partition, int needed) {
        prefixes.prepare(needed);
        while (partition.aboveCeiling(needed) > 0) {
            giveUpOwn(partition);
        }
        while (needed > blocks.available()) {
            if (!prefixes.evictBorrowed() && !sessions.giveUpBorrowed()) {
                giveUpOwn(partition);
            }
        }
    }

    private void giveUpOwn(Partition partition) {
        if (!prefixes.evictOwn(partition) && !sessions.giveUpOwn(partition)) {
            throw new IllegalStateException(
                    "invariant broken: what is counted as reclaimable can be given up: namespace=" + partition.name
                            + " reclaimableBlocks=" + partition.reclaimableBlocks());
        }
    }

    /**
     * Overwrites what another namespace left in new blocks, before anybody can read it, and copies the rows of a shared last block
     * into the one that has taken its place. Takes time; the lock is not held. Our own reference keeps the source as it is.
     *
     * @return the shared block, to be released now, or {@link BlockPool#NONE}
     */
    int finish(BlockTable table) {
        for (int block = table.takeToClear(); block != BlockPool.NONE; block = table.takeToClear()) {
            memory.clear(block);
        }
        int shared = table.sharedTail;
        table.sharedTail = BlockPool.NONE;
        if (shared != BlockPool.NONE) {
            int length = table.length();
            codec.copy(shared, table.blockAt(length), table.slotAt(length));
        }
        return shared;
    }

    // ---- tokens that move down ----

    /**
     * Takes what was {@link #planOwn planned}: the table has its blocks from one index to another to itself then, and none behind them.
     * Those that it had before it holds until {@link #releaseBefore}.
     */
    void takeOwn(BlockTable table, int first, int end) {
        Partition partition = table.root().partition;
        makeAvailable(partition, table.neededBlocks);
        table.beginMove(first);
        for (int index = first; index < end; index++) {
            if (!isOwn(table.block(index))) {
                int after = index == 0 ? BlockPool.NONE : table.block(index - 1);
                table.replace(index, ledger.allocate(partition, after, table));
            }
        }
        while (table.count() > end) {
            table.removeLast();
        }
    }

    /**
     * Copies rows from where they were before into the table's reserved slots, and the rows before those in the first block. Takes time;
     * the lock is not held. In a block that stays, rows only move to slots before their own, so the first come first.
     *
     * @param position of the first row, before
     */
    void move(BlockTable table, int position) {
        int length = table.length();
        int kept = table.slotAt(length);
        if (kept > 0 && table.reserved() > 0 && table.blockBefore(length) != table.blockAt(length)) {
            codec.copy(table.blockBefore(length), table.blockAt(length), kept);
        }
        for (int done = 0; done < table.reserved(); ) {
            int from = position + done;
            int to = length + done;
            int run =
                    Math.min(table.reserved() - done, table.slotsFrom(Math.max(table.slotAt(from), table.slotAt(to))));
            codec.move(table.blockBefore(from), table.slotAt(from), run, table.blockAt(to), table.slotAt(to));
            done += run;
        }
    }

    /** Releases the blocks that the table has no more, last one first. What was to be overwritten is where it has moved, too. */
    void releaseBefore(BlockTable table) {
        boolean erased = false;
        while (table.beforeEnd() > table.movedFrom()) {
            int index = table.beforeEnd() - 1;
            int block = table.removeLastBefore();
            erased |= prefixes.isToBeOverwritten(block);
            if (index >= table.count() || table.block(index) != block) {
                prefixes.release(block);
            }
        }
        for (int index = table.movedFrom(); erased && index < table.count(); index++) {
            prefixes.overwriteLater(table.block(index));
        }
    }
}
