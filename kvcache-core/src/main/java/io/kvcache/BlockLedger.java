package io.kvcache;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Whose the blocks are, who holds them, and how many more each partition could get.
 *
 * <p>Not thread-safe: guarded by the lock of the {@link SequencePool}.
 */
final class BlockLedger {
    // A block that is not free is in one of three states, and each is counted, in all and for its partition:
    //
    //   held          by a sequence or a pin
    //   yielding      by sessions only: they are given up before a reserve is refused
    //   unreferenced  by nobody, but published: it is cached
    //
    // The last two are reclaimable. Giving up a reclaimable block moves it to free memory, which changes neither what a
    // partition could get nor what is withheld from it. So a request is granted or refused by counting alone.
    private final BlockMemory memory;
    private final BlockPool blocks;
    private final List<Partition> partitions = new ArrayList<>();
    private final List<Partition> withFloor = new ArrayList<>();
    private long floorBlocks;

    // [blocks]
    private @Nullable Partition[] owners = new Partition[0]; // whose keys and values are in a block; null: zeros
    private int[] yielding = new int[0]; // references of sessions; empty while there was no session
    private int unreferencedBlocks;
    private int yieldingBlocks;
    private int promisedBlocks;

    BlockLedger(BlockMemory memory, BlockPool blocks) {
        this.memory = memory;
        this.blocks = blocks;
    }

    // ---- partitions ----

    /**
     * Takes a partition in.
     *
     * @throws IllegalArgumentException if the cache is too small for its floor beside those of the others, or its ceiling for
     *     one block
     */
    void add(Partition partition) {
        if (partition.ceilingBlocks < 1) {
            throw new IllegalArgumentException("ceiling too small for one block: namespace=" + partition.name
                    + " ceilingBytes=" + partition.options.ceilingBytes() + " blockBytes=" + memory.blockBytes());
        }
        if (floorBlocks + partition.floorBlocks > memory.maximumBlocks()) {
            throw new IllegalArgumentException("cache too small for all floors: namespace=" + partition.name
                    + " floorBlocks=" + partition.floorBlocks + " otherFloorBlocks=" + floorBlocks
                    + " maximumBlocks=" + memory.maximumBlocks());
        }
        floorBlocks += partition.floorBlocks;
        partitions.add(partition);
        if (partition.floorBlocks > 0) {
            withFloor.add(partition);
        }
    }

    List<Partition> partitions() {
        return partitions;
    }

    boolean hasFloors() {
        return !withFloor.isEmpty();
    }

    /** Blocks that the cache can have. */
    int mostBlocks() {
        return memory.maximumBlocks();
    }

    /** Blocks that a partition could have at most, however long it waits. */
    long most(Partition partition) {
        return Math.min(memory.maximumBlocks() - floorBlocks + partition.floorBlocks, partition.ceilingBlocks);
    }

    // ---- what could be had ----

    /** How many blocks a partition can get: free, still to come from memory, or reclaimable and not guaranteed to others. */
    long obtainable(Partition partition) {
        return Math.min(room(partition), partition.belowCeiling());
    }

    /** The same, whatever its own ceiling says. */
    long room(Partition partition) {
        long room = (long) blocks.reachable() - promisedBlocks + unreferencedBlocks + yieldingBlocks;
        for (int i = 0; i < withFloor.size(); i++) { // an iterator would be garbage on the hottest path
            Partition other = withFloor.get(i);
            room -= other == partition ? 0 : other.withheldBlocks();
        }
        return room;
    }

    /** Counts blocks as a partition's before it has them, while the needs of several sequences are added up. */
    void promise(Partition partition, int count) {
        partition.blocks += count;
        promisedBlocks += count;
    }

    /** Takes a promise back. */
    void unpromise(Partition partition, int count) {
        partition.blocks -= count;
        promisedBlocks -= count;
    }

    /** Makes room in the arrays, so that handing out more blocks cannot fail half-way. */
    void prepare(int more) {
        int wanted = blocks.prepare(more);
        if (wanted > owners.length) {
            owners = Arrays.copyOf(owners, grown(owners.length, wanted));
        }
    }

    /** Blocks that there is room for in arrays by block. */
    int capacity() {
        return owners.length;
    }

    static int grown(int capacity, int wanted) {
        return (int) Math.min(Math.max(wanted + 64L, capacity * 3L / 2), Integer.MAX_VALUE - 8);
    }

    // ---- allocate, hold, let go ----

    Partition owner(int block) {
        Partition owner = owners[block];
        if (owner == null) {
            throw new IllegalStateException("block has no owner: block=" + block);
        }
        return owner;
    }

    /**
     * Hands a free block to a partition.
     *
     * @param after a block that the new one should follow in memory, or {@link BlockPool#NONE}
     * @param table notes a block that holds keys and values of another partition: it must be cleared before anybody reads it
     */
    int allocate(Partition partition, int after, BlockTable table) {
        int block = blocks.allocate(after);
        Partition before = owners[block];
        if (before != null && before != partition) {
            table.mustClear(block);
        }
        owners[block] = partition;
        partition.blocks++;
        return block;
    }

    /** Returns a block that nobody holds, to be handed out again. */
    void free(int block) {
        owner(block).blocks--;
        blocks.free(block);
    }

    /** Says that a block holds zeros: whoever gets it next need not clear it. */
    void forgetOwner(int block) {
        owners[block] = null;
    }

    boolean isHeld(int block) {
        return blocks.references(block) > 0;
    }

    boolean hasOneHolder(int block) {
        return blocks.references(block) == 1;
    }

    /** Whether one sequence holds a block, and nobody else but sessions. */
    boolean hasOneHolderBesideSessions(int block) {
        return blocks.references(block) - yieldingReferences(block) == 1;
    }

    /** Whether nobody but sessions, or nobody at all, holds a block. */
    boolean isReclaimable(int block) {
        return !isHeld(block) || isYielding(block);
    }

    private boolean isYielding(int block) {
        return block < yielding.length && yielding[block] > 0 && yielding[block] == blocks.references(block);
    }

    /** Adds a reference. */
    void retain(int block) {
        if (isYielding(block)) {
            countYielding(block, -1);
        } else if (!isHeld(block)) {
            countUnreferenced(block, -1);
        }
        blocks.retain(block);
    }

    /**
     * Drops a reference.
     *
     * @return whether it was the last one: the caller {@link #keep keeps} the block cached, or frees it
     */
    boolean release(int block) {
        int left = blocks.release(block);
        if (isYielding(block)) {
            countYielding(block, 1);
        }
        return left == 0;
    }

    /** Adds a reference of a session. */
    void retainForSession(int block) {
        if (block >= yielding.length) {
            yielding = Arrays.copyOf(yielding, owners.length);
        }
        boolean before = isYielding(block);
        blocks.retain(block);
        yielding[block]++;
        countYielding(block, (isYielding(block) ? 1 : 0) - (before ? 1 : 0));
    }

    /** Drops a reference of a session; see {@link #release}. */
    boolean releaseForSession(int block) {
        boolean before = isYielding(block);
        yielding[block]--;
        int left = blocks.release(block);
        countYielding(block, (isYielding(block) ? 1 : 0) - (before ? 1 : 0));
        return left == 0;
    }

    /** Says that a block without holders stays cached. */
    void keep(int block) {
        countUnreferenced(block, 1);
    }

    /** Says that a cached block leaves; it is to be freed. */
    void discard(int block) {
        countUnreferenced(block, -1);
    }

    private void countUnreferenced(int block, int change) {
        owner(block).unreferencedBlocks += change;
        unreferencedBlocks += change;
    }

    private void countYielding(int block, int change) {
        owner(block).yieldingBlocks += change;
        yieldingBlocks += change;
    }

    int unreferencedBlocks() {
        return unreferencedBlocks;
    }

    /**
     * Checks the counts.
     *
     * @param held [blocks] references as counted by walking over all holders
     * @param ofSessions [blocks] how many of these are sessions'
     * @param cached [blocks] whether a block that nobody holds is published
     * @param waiting [blocks] whether a block that nobody holds waits to be overwritten
     */
    void verify(int[] held, int[] ofSessions, boolean[] cached, boolean[] waiting) {
        require(promisedBlocks == 0, "promises are kept or taken back", promisedBlocks, 0);
        boolean[] kept = new boolean[held.length];
        int[] owned = new int[partitions.size()];
        int[] unreferenced = new int[partitions.size()];
        int[] yieldingOnes = new int[partitions.size()];
        for (int block = 0; block < Math.min(held.length, owners.length); block++) {
            kept[block] = held[block] == 0 && (cached[block] || waiting[block]);
            require(ofSessions[block] == yieldingReferences(block), "sessions hold blocks", ofSessions[block], block);
            if (held[block] > 0 || kept[block]) {
                int owner = partitions.indexOf(owner(block));
                owned[owner]++;
                unreferenced[owner] += held[block] == 0 && cached[block] ? 1 : 0;
                yieldingOnes[owner] += held[block] > 0 && held[block] == ofSessions[block] ? 1 : 0;
            }
        }
        int allUnreferenced = 0;
        int allYielding = 0;
        for (int i = 0; i < owned.length; i++) {
            Partition partition = partitions.get(i);
            require(partition.blocks == owned[i], "blocks of a namespace are counted", partition.blocks, owned[i]);
            require(
                    partition.unreferencedBlocks == unreferenced[i],
                    "cached blocks are counted",
                    partition.unreferencedBlocks,
                    unreferenced[i]);
            require(
                    partition.yieldingBlocks == yieldingOnes[i],
                    "blocks of sessions are counted",
                    partition.yieldingBlocks,
                    yieldingOnes[i]);
            require(
                    partition.blocks <= partition.ceilingBlocks,
                    "a ceiling holds",
                    partition.blocks,
                    partition.ceilingBlocks);
            allUnreferenced += unreferenced[i];
            allYielding += yieldingOnes[i];
        }
        require(
                allUnreferenced == unreferencedBlocks,
                "all cached blocks are counted",
                allUnreferenced,
                unreferencedBlocks);
        require(allYielding == yieldingBlocks, "all blocks of sessions are counted", allYielding, yieldingBlocks);
        blocks.verify(held, kept);
    }

    private int yieldingReferences(int block) {
        return block < yielding.length ? yielding[block] : 0;
    }

    private static void require(boolean holds, String rule, int left, int right) {
        if (!holds) {
            throw new IllegalStateException("invariant broken: " + rule + ": left=" + left + " right=" + right);
        }
    }
}
