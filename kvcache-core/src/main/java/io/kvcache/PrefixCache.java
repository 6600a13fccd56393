package io.kvcache;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.agrona.collections.IntArrayList;
import org.jspecify.annotations.Nullable;

/**
 * Blocks by what they hold: sequences adopt cached prefixes, publish full blocks, and what nobody holds any more stays cached
 * until its time is over or its memory is needed.
 *
 * <p>Not thread-safe: guarded by the lock of the {@link SequencePool}.
 */
final class PrefixCache {
    // A published block is in one of two states. Referenced: by tables, and by one pin at most. Unreferenced: cached;
    // if
    // no published block continues it, it is a leaf and stands in the eviction order. Whoever references a block
    // references its parent too, so that peeling leaves reaches every unreferenced block.
    private final int tokensPerBlock;
    private final int minimumPartialHit;
    private final BlockMemory memory;
    private final BlockPool blocks;
    private final PrefixIndex index;
    private final EvictionOrder order;
    private final BlockRetention retention = new BlockRetention();
    private final SplittableRandom jitter;

    private final List<Partition> partitions = new ArrayList<>();
    private @Nullable PrefixRoot[] roots = new PrefixRoot[0]; // [nodes of the index]
    private final List<Partition> withFloor = new ArrayList<>();
    private final LeafGroups commonLeaves = new LeafGroups(); // of all partitions without a quota
    private final List<Partition> withOwnLeaves = new ArrayList<>();
    private long floorBlocks;

    // [blocks]
    private @Nullable Partition[] owners = new Partition[0]; // whose keys and values are in a block; null: zeros
    private long[] released = new long[0];
    private long releases;
    private int unreferencedBlocks;

    // A pin counts on its block and on every block before it.
    private final BitSet explicitPins = new BitSet();
    private int[] pins = new int[0]; // pinned children, and one for an explicit pin

    // Erased while in use: overwritten after the last release, outside the lock. Until then they are not free.
    private final BitSet toOverwrite = new BitSet();
    private final IntArrayList overwriteNow = new IntArrayList();
    private volatile boolean erasedReady;

    private long now;

    /**
     * Makes an empty cache over a pool.
     *
     * @param minimumPartialHit a block that matches in fewer of its first tokens is not copied
     * @param seed of jitter
     */
    PrefixCache(
            int tokensPerBlock,
            int minimumPartialHit,
            BlockMemory memory,
            BlockPool blocks,
            PrefixIndex index,
            EvictionPolicy policy,
            long seed) {
        this.tokensPerBlock = tokensPerBlock;
        this.minimumPartialHit = minimumPartialHit;
        this.memory = memory;
        this.blocks = blocks;
        this.index = index;
        this.order = new EvictionOrder(policy);
        this.jitter = new SplittableRandom(seed);
    }

    /** Sets the time of what follows, in nanoseconds since the cache was built; it never runs backwards. */
    void advanceTo(long nanos) {
        now = Math.max(now, nanos);
    }

    // ---- partitions and roots ----

    /**
     * Makes a partition.
     *
     * @throws IllegalArgumentException if the cache is too small for its floor beside those of the others, or its ceiling for
     *     one block
     */
    Partition newPartition(String name, NamespaceOptions options) {
        boolean quota = Partition.hasQuota(options);
        Partition partition =
                new Partition(name, options, memory.blockBytes(), quota ? new LeafGroups() : commonLeaves);
        if (partition.ceilingBlocks < 1) {
            throw new IllegalArgumentException("ceiling too small for one block: namespace=" + name + " ceilingBytes="
                    + options.ceilingBytes() + " blockBytes=" + memory.blockBytes());
        }
        if (floorBlocks + partition.floorBlocks > memory.maximumBlocks()) {
            throw new IllegalArgumentException("cache too small for all floors: namespace=" + name + " floorBlocks="
                    + partition.floorBlocks + " otherFloorBlocks=" + floorBlocks + " maximumBlocks="
                    + memory.maximumBlocks());
        }
        floorBlocks += partition.floorBlocks;
        newRoot(partition, List.of());
        partitions.add(partition);
        if (quota) {
            withOwnLeaves.add(partition);
        }
        if (partition.floorBlocks > 0) {
            withFloor.add(partition);
        }
        return partition;
    }

    private PrefixRoot root(Partition partition, List<Identity> identities) {
        PrefixRoot root = partition.roots.get(identities);
        return root != null ? root : newRoot(partition, identities);
    }

    private PrefixRoot newRoot(Partition partition, List<Identity> identities) {
        PrefixRoot root = new PrefixRoot(partition, identities, index.newRoot());
        partition.roots.put(identities, root);
        int entry = PrefixIndex.rootEntry(root.node);
        if (entry >= roots.length) {
            roots = Arrays.copyOf(roots, Math.max(entry + 1, 2 * roots.length));
        }
        roots[entry] = root;
        return root;
    }

    /** Forgets a root on which nothing hangs any more, unless it is the plain one that most sequences begin at. */
    private void dropIfUnused(PrefixRoot root) {
        boolean plain = root.identities.isEmpty() && !root.retired;
        int entry = PrefixIndex.rootEntry(root.node);
        if (!plain && root.sequences == 0 && index.firstChild(root.node) == BlockPool.NONE && roots[entry] == root) {
            roots[entry] = null;
            root.partition.roots.remove(root.identities, root);
            index.dropRoot(root.node);
        }
    }

    // ---- look up ----

    /** How many tokens of a prompt {@link #open} would find. */
    int probe(Partition partition, List<Identity> identities, int[] prompt) {
        PrefixRoot root = partition.roots.get(identities);
        return root == null ? 0 : match(root, prompt, null);
    }

    /**
     * Starts a fresh table with the longest cached prefix of a prompt that leaves at least one token to compute. A block that
     * matches only in part becomes the table's last one, like any shared block after a cut inside it: the next reserve
     * copies what matched.
     */
    void open(Partition partition, int[] prompt, OpenOptions options, BlockTable table) {
        Retention wanted = options.retention() != null ? options.retention() : partition.options.retention();
        PrefixRoot root = root(partition, options.identities());
        root.sequences++;
        table.open(root, options.publish(), options.label(), wanted, life(wanted));
        order.policy().opened(now);
        int matched = options.lookup() ? match(root, prompt, table) : 0;
        table.adopt(prompt, matched);
        partition.opened++;
        partition.promptTokens += prompt.length;
        partition.hitTokens += matched;
    }

    /** Makes a fresh table equal to another one, sharing its blocks. */
    void fork(BlockTable source, BlockTable table) {
        table.copyFrom(source);
        source.shareTail();
        source.root().sequences++;
        for (int i = 0; i < table.count(); i++) {
            blocks.retain(table.block(i));
        }
    }

    private int match(PrefixRoot root, int[] prompt, @Nullable BlockTable into) {
        long room = withFloor.isEmpty() ? Long.MAX_VALUE : room(root.partition);
        int most = prompt.length - 1;
        int parent = root.node;
        long fingerprint = index.fingerprint(parent);
        int matched = 0;
        while (matched + tokensPerBlock <= most) {
            fingerprint = index.childFingerprint(fingerprint, prompt, matched);
            int block = index.find(fingerprint, parent, prompt, matched);
            if (block == BlockPool.NONE) {
                break;
            }
            room -= blocks.references(block) == 0 ? 1 : 0;
            if (room < 0 || isOver(block, into != null)) {
                return matched;
            }
            take(block, into);
            parent = block;
            matched += tokensPerBlock;
        }
        int count = Math.min(tokensPerBlock, most - matched);
        int partial = index.findLongest(parent, prompt, matched, count);
        int partialTokens = partial == BlockPool.NONE ? 0 : index.matching(partial, prompt, matched, count);
        if (partialTokens == 0 || partialTokens < minimumPartialHit) {
            return matched;
        }
        room -= blocks.references(partial) == 0 ? 1 : 0;
        if (room < 0 || isOver(partial, into != null)) {
            return matched;
        }
        take(partial, into);
        return matched + partialTokens;
    }

    /** Whether the time of a block is over, which ends a search; then it leaves with all that continues it. */
    private boolean isOver(int block, boolean remove) {
        boolean over = retention.isExpired(block, now);
        if (over && remove) {
            expire(block);
        }
        return over;
    }

    private void take(int block, @Nullable BlockTable into) {
        if (into != null) {
            reference(block);
            order.policy().touched(block, into.label(), now);
            into.append(block);
        }
    }

    private void reference(int block) {
        if (blocks.references(block) == 0) {
            if (order.contains(block)) {
                leaveOrder(block);
            }
            owner(block).unreferencedBlocks--;
            unreferencedBlocks--;
            retention.referenced(block);
        }
        blocks.retain(block);
    }

    // ---- publish ----

    /**
     * Publishes the full blocks of a table that are not yet. Where an equal block is published already, the table takes that one
     * and its own goes back. A block is published only beneath a published one; where that has left meanwhile, the table
     * publishes nothing any more.
     *
     * @return whether a block of the table was replaced
     */
    boolean publish(BlockTable table) {
        int first = table.published();
        int parent = first == 0 ? table.root().node : table.block(first - 1);
        if (first == 0 ? table.root().retired : !index.isPublished(parent)) {
            table.stopPublishing();
            return false;
        }
        boolean replaced = false;
        long fingerprint = index.fingerprint(parent);
        for (int at = first; table.canPublish(); at++) {
            int from = at * tokensPerBlock;
            fingerprint = index.childFingerprint(fingerprint, table.tokens(), from);
            int equal = index.find(fingerprint, parent, table.tokens(), from);
            if (equal == BlockPool.NONE || isOver(equal, true)) {
                int own = table.block(at);
                index.publish(fingerprint, parent, own, table.tokens(), from);
                retention.give(own, table.retention(), table.life(), now);
                order.policy().published(own, fingerprint, at, table.label(), now);
            } else {
                replace(table, at, equal);
                replaced = true;
            }
            parent = table.block(at);
            table.advancePublished();
        }
        return replaced;
    }

    private void replace(BlockTable table, int at, int equal) {
        int own = table.block(at);
        reference(equal);
        order.policy().touched(equal, table.label(), now);
        table.replace(at, equal);
        release(own);
    }

    // ---- allocate and release ----

    /** How many blocks a partition can get: free, still to come from memory, or cached and not guaranteed to others. */
    long obtainable(Partition partition) {
        return Math.min(room(partition), partition.belowCeiling());
    }

    private long room(Partition partition) {
        long room = (long) blocks.reachable() + unreferencedBlocks;
        for (Partition other : withFloor) {
            if (other != partition) {
                room -= other.withheldBlocks();
            }
        }
        return room;
    }

    /**
     * Says how many blocks must have memory before a partition can get {@code needed}: more than there are now means that
     * memory has to grow first. What is cached is evicted only when memory cannot grow any more, or at the ceiling.
     */
    int memoryFor(Partition partition, int needed) {
        long wanted = (long) blocks.used() + needed - Math.max(0, aboveCeiling(partition, needed));
        return (int) Math.min(wanted, memory.maximumBlocks());
    }

    private static long aboveCeiling(Partition partition, int needed) {
        return (long) partition.blocks + needed - partition.ceilingBlocks;
    }

    /** Evicts what is missing, and no more, until a partition can have {@code needed} blocks; they are {@link #obtainable}. */
    void makeAvailable(Partition partition, int needed) {
        ensureCapacity(blocks.prepare(needed));
        for (long missing = aboveCeiling(partition, needed); missing > 0; missing--) {
            evict(order.victim(partition.leaves));
        }
        for (int missing = needed - blocks.available(); missing > 0; missing--) {
            evict(victim(partition));
        }
    }

    /** The next to go: what others, and this partition, have borrowed; if there is nothing, what this partition has. */
    private int victim(Partition partition) {
        int best = better(BlockPool.NONE, commonLeaves);
        for (Partition other : withOwnLeaves) {
            if (other.hasBorrowed()) {
                best = better(best, other.leaves);
            }
        }
        return best != BlockPool.NONE ? best : order.victim(partition.leaves);
    }

    private int better(int best, LeafGroups leaves) {
        int band = leaves.lowestBand();
        if (band < 0 || (best != BlockPool.NONE && retention.band(best) < band)) {
            return best;
        }
        int candidate = order.victim(leaves);
        boolean wins = best == BlockPool.NONE || retention.band(best) > band || released[candidate] < released[best];
        return wins ? candidate : best;
    }

    private void evict(int block) {
        owner(block).evictedBlocks++;
        unpublish(block, true);
    }

    /**
     * Whether the one table that holds a published block can write it itself, if there is no room for a copy: otherwise a hit
     * inside the last block that fits could never go on.
     */
    boolean canTakeOver(int block) {
        return block != BlockPool.NONE
                && index.isPublished(block)
                && index.isLeaf(block)
                && blocks.references(block) == 1;
    }

    /** Gives a published block up for the table that holds it: an eviction that loses no more than what does not match. */
    void takeOver(int block) {
        evict(block);
    }

    /**
     * Hands a block to a partition; there is one {@link #makeAvailable available}.
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

    private void ensureCapacity(int wanted) {
        if (wanted > owners.length) {
            int capacity = (int) Math.min(Math.max(wanted + 64L, owners.length * 3L / 2), Integer.MAX_VALUE - 8);
            long[] grown = Arrays.copyOf(released, capacity);
            owners = Arrays.copyOf(owners, capacity);
            released = grown;
        }
    }

    /** Drops a reference: the last one leaves a published block cached and frees any other. */
    void release(int block) {
        if (blocks.release(block) > 0) {
            return;
        }
        if (!index.isPublished(block)) {
            free(block);
            return;
        }
        owner(block).unreferencedBlocks++;
        unreferencedBlocks++;
        released[block] = ++releases;
        retention.released(block, now);
        if (index.isLeaf(block)) {
            enterOrder(block);
        }
    }

    /** Releases the blocks of a table behind the first {@code kept}, last one first. */
    void releaseBeyond(BlockTable table, int kept) {
        while (table.count() > kept) {
            release(table.removeLast());
        }
    }

    /** Releases all blocks of a table, last one first, and lets go of its root. */
    void close(BlockTable table) {
        PrefixRoot root = table.root();
        releaseBeyond(table, 0);
        root.sequences--;
        dropIfUnused(root);
    }

    /** Says that a table that will be closed will not be continued: what it shares with nobody goes first. */
    void doNotContinue(BlockTable table) {
        int child = BlockPool.NONE;
        for (int i = table.published() - 1; i >= 0; i--) {
            int block = table.block(i);
            boolean unshared = index.isPublished(block)
                    && blocks.references(block) == 1
                    && index.firstChild(block) == child
                    && (child == BlockPool.NONE || index.isOnlyChild(child));
            if (!unshared) {
                return;
            }
            retention.doNotContinue(block);
            child = block;
        }
    }

    private void free(int block) {
        if (toOverwrite.get(block)) {
            toOverwrite.clear(block);
            overwriteNow.pushInt(block);
            erasedReady = true;
        } else {
            owner(block).blocks--;
            blocks.free(block);
        }
    }

    private void enterOrder(int block) {
        order.add(block, owner(block).leaves, retention.band(block), released[block]);
    }

    private void leaveOrder(int block) {
        order.remove(block, owner(block).leaves, retention.band(block));
    }

    private Partition owner(int block) {
        Partition owner = owners[block];
        if (owner == null) {
            throw new IllegalStateException("block has no owner: block=" + block);
        }
        return owner;
    }

    // ---- take out ----

    /** Takes a leaf out of the index. It is free, unless sequences hold it: then it is theirs alone. */
    private void unpublish(int block, boolean evicted) {
        unpin(block);
        boolean cached = blocks.references(block) == 0;
        if (cached) {
            leaveOrder(block);
        }
        int parent = index.parent(block);
        index.remove(block);
        retention.forget(block);
        order.policy().removed(block, evicted);
        if (cached) {
            owner(block).unreferencedBlocks--;
            unreferencedBlocks--;
            free(block);
        }
        if (parent < 0) {
            dropIfUnused(rootOf(parent));
        } else if (index.isLeaf(parent) && blocks.references(parent) == 0 && !order.contains(parent)) {
            enterOrder(parent);
        }
    }

    private PrefixRoot rootOf(int node) {
        PrefixRoot root = roots[PrefixIndex.rootEntry(node)];
        if (root == null) {
            throw new IllegalStateException("root is not in use: node=" + node);
        }
        return root;
    }

    /** Takes out a block with all that continues it, deepest first. */
    private int unpublishSubtree(int top, boolean overwrite) {
        int count = 0;
        int block = top;
        while (true) {
            int child = index.firstChild(block);
            if (child != BlockPool.NONE) {
                block = child;
                continue;
            }
            int parent = index.parent(block);
            if (overwrite) {
                toOverwrite.set(block);
            }
            unpublish(block, false);
            if (overwrite) {
                index.overwriteTokens(block);
            }
            count++;
            if (block == top) {
                return count;
            }
            block = parent;
        }
    }

    private void expire(int block) {
        Partition owner = owner(block);
        owner.expiredBlocks += unpublishSubtree(block, false);
    }

    /**
     * Lets what is due expire or fall back to its namespace's priority.
     *
     * @param limit blocks to look at
     * @return blocks looked at; fewer than the limit when no more are due
     */
    int maintain(int limit) {
        return retention.poll(now, limit, this::maintainBlock);
    }

    private void maintainBlock(int block) {
        if (retention.isExpired(block, now)) {
            expire(block);
            return;
        }
        if (retention.isPriorityOver(block, now)) {
            boolean ordered = order.contains(block);
            if (ordered) {
                leaveOrder(block);
            }
            retention.changePriority(block, owner(block).options.retention().priority());
            if (ordered) {
                enterOrder(block);
            }
            unpin(block);
        }
        retention.reschedule(block);
    }

    /**
     * Takes out all that a partition has published; sequences that are open publish nothing any more.
     *
     * @param overwrite whether to overwrite it: what is free is {@link #takeErased ready} for that, the rest when it is released
     * @return what is ready and what is deferred
     */
    Erasure retire(Partition partition, boolean overwrite) {
        List<PrefixRoot> retired = new ArrayList<>(partition.roots.values());
        partition.roots.clear();
        newRoot(partition, List.of());
        int count = 0;
        int readyBefore = overwriteNow.size();
        for (PrefixRoot root : retired) {
            root.retired = true;
            int child = index.firstChild(root.node);
            while (child != BlockPool.NONE) {
                int next = index.nextSibling(child);
                count += unpublishSubtree(child, overwrite);
                child = next;
            }
            dropIfUnused(root);
        }
        partition.erasedBlocks += count;
        int ready = overwriteNow.size() - readyBefore;
        return new Erasure(ready, count - ready);
    }

    /**
     * Whether anything may be there to {@link #takeErased take}. Needs no lock: who has made it so sees it, and does what is
     * to be done.
     */
    boolean mayHaveErased() {
        return erasedReady;
    }

    /** A block that nobody holds and that must be overwritten before it is free, or {@link BlockPool#NONE}. */
    int takeErased() {
        if (overwriteNow.isEmpty()) {
            erasedReady = false;
            return BlockPool.NONE;
        }
        return overwriteNow.popInt();
    }

    /** Frees a block that was {@link #takeErased taken} and is overwritten now. */
    void freeErased(int block) {
        owner(block).blocks--;
        owners[block] = null;
        blocks.free(block);
    }

    // ---- retain ----

    /** Retains the published blocks of a table that lie wholly in a range of positions, from the first one on. */
    RetentionOutcome retain(BlockTable table, int from, int to, Retention wanted) {
        int first = Math.ceilDiv(from, tokensPerBlock);
        int asked = Math.max(0, to / tokensPerBlock - first);
        double life = life(wanted);
        int retained = 0;
        while (retained < asked && retain(table, first + retained, wanted, life)) {
            retained++;
        }
        return RetentionOutcome.of(retained, asked);
    }

    private boolean retain(BlockTable table, int at, Retention wanted, double life) {
        int block = table.block(at);
        if (at >= table.published() || !index.isPublished(block) || (wanted.pinned() && !pin(block))) {
            return false;
        }
        if (!wanted.pinned()) {
            unpin(block);
        }
        retention.give(block, wanted, life, now);
        return true;
    }

    private double life(Retention wanted) {
        return wanted.jitter() == 0 ? 1 : 1 - wanted.jitter() * jitter.nextDouble();
    }

    private boolean isPinned(int block) {
        return block < pins.length && pins[block] > 0;
    }

    private boolean pin(int block) {
        if (explicitPins.get(block)) {
            return true;
        }
        if (pins.length < owners.length) {
            pins = Arrays.copyOf(pins, owners.length);
        }
        Partition owner = owner(block);
        int cost = 0;
        for (int ancestor = block; ancestor >= 0 && pins[ancestor] == 0; ancestor = index.parent(ancestor)) {
            cost++;
        }
        if (cost > owner.pinnableBlocks - owner.pinnedBlocks) {
            return false;
        }
        explicitPins.set(block);
        for (int ancestor = block; ancestor >= 0; ancestor = index.parent(ancestor)) {
            if (pins[ancestor]++ > 0) {
                break;
            }
            owner.pinnedBlocks++;
            reference(ancestor);
        }
        return true;
    }

    private void unpin(int block) {
        if (!explicitPins.get(block)) {
            return;
        }
        explicitPins.clear(block);
        Partition owner = owner(block);
        int ancestor = block;
        while (ancestor >= 0 && --pins[ancestor] == 0) {
            int parent = index.parent(ancestor);
            owner.pinnedBlocks--;
            release(ancestor);
            ancestor = parent;
        }
    }

    // ---- facts ----

    int cachedBlocks() {
        return unreferencedBlocks;
    }

    int pinnedBlocks() {
        return partitions.stream().mapToInt(partition -> partition.pinnedBlocks).sum();
    }

    long evictedBlocks() {
        return partitions.stream()
                .mapToLong(partition -> partition.evictedBlocks)
                .sum();
    }

    long expiredBlocks() {
        return partitions.stream()
                .mapToLong(partition -> partition.expiredBlocks)
                .sum();
    }

    boolean isPublished(int block) {
        return index.isPublished(block);
    }

    /** Checks the bookkeeping; {@code held} [blocks] counts the references of all tables, to which pins are added. */
    void verify(int[] held) {
        index.verify();
        retention.verify();
        boolean[] kept = new boolean[held.length];
        Map<Partition, int[]> counts = new HashMap<>(); // blocks, unreferenced, pinned
        int published = 0;
        int known = Math.min(held.length, owners.length);
        for (int block = 0; block < known; block++) {
            held[block] += isPinned(block) ? 1 : 0;
        }
        for (int block = 0; block < known; block++) {
            boolean cached = held[block] == 0 && index.isPublished(block);
            kept[block] = cached || overwriteNow.containsInt(block);
            if (held[block] > 0 || kept[block]) {
                int[] count = counts.computeIfAbsent(owner(block), owner -> new int[3]);
                count[0]++;
                count[1] += cached ? 1 : 0;
                count[2] += isPinned(block) ? 1 : 0;
            }
            boolean leaf = cached && index.isLeaf(block);
            require(order.contains(block) == leaf, "what can be evicted is a leaf that nobody holds", block);
            if (index.isPublished(block)) {
                published++;
                verifyPublished(block, held);
            }
        }
        require(published == index.size(), "published blocks exist", published);
        for (Partition partition : partitions) {
            int[] count = counts.getOrDefault(partition, new int[3]);
            require(partition.blocks == count[0], "blocks of a namespace are counted", partition.blocks);
            require(partition.unreferencedBlocks == count[1], "cached blocks are counted", count[1]);
            require(partition.pinnedBlocks == count[2], "pinned blocks are counted", count[2]);
            require(partition.blocks <= partition.ceilingBlocks, "a ceiling holds", partition.blocks);
            require(partition.pinnedBlocks <= partition.pinnableBlocks, "a budget holds", count[2]);
        }
        blocks.verify(held, kept);
    }

    private void verifyPublished(int block, int[] held) {
        int parent = index.parent(block);
        if (parent >= 0) {
            require(held[parent] >= Math.min(1, held[block]), "who holds a block holds its parent", block);
            require(owner(parent) == owner(block), "a path belongs to one namespace", block);
        } else {
            require(rootOf(parent).partition == owner(block), "a path belongs to its root's namespace", block);
            require(!rootOf(parent).retired, "nothing is published below a retired root", block);
        }
        if (block < pins.length) {
            int expected = explicitPins.get(block) ? 1 : 0;
            for (int child = index.firstChild(block); child != BlockPool.NONE; child = index.nextSibling(child)) {
                expected += pins[child] > 0 ? 1 : 0;
            }
            require(pins[block] == expected, "a pin counts on the blocks before it", block);
        }
    }

    private static void require(boolean holds, String rule, int operand) {
        if (!holds) {
            throw new IllegalStateException("invariant broken: " + rule + ": operand=" + operand);
        }
    }
}
