package io.kvcache;

/**
 * Makes room in block tables: plans what reserves need, takes the blocks, and fills those that replace shared ones. To plan is to
 * count: several tables can be planned, and then all of them, or none, be served.
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
        Partition partition = table.root().partition;
        int shared = sharedTail(table);
        int needed = Math.max(0, wanted - table.count()) + (shared == BlockPool.NONE ? 0 : 1);
        long obtainable = ledger.obtainable(partition);
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
        boolean shared = table.mayShareTail() && (!ledger.hasOneHolder(last) || prefixes.isPublished(last));
        return shared ? last : BlockPool.NONE;
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
}
