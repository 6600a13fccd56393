package io.kvcache;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Set;
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
    // if no published block continues it, it is a leaf and stands in the eviction order. Whoever references a block
    // references its parent too, so that peeling leaves reaches every unreferenced block. What sessions hold yields:
    // when no leaf is left, sessions are given up, which makes leaves.
    private final int tokensPerBlock;
    private final int minimumPartialHit;
    private final BlockMemory memory;
    private final BlockLedger ledger;
    private final PrefixIndex index;
    private final EvictionOrder order;
    private final Flights flights;
    private final RemovedBlocks removed;
    private final @Nullable EventQueue events;
    private final BlockRetention retention = new BlockRetention();
    private final Pins pins;
    private final SplittableRandom jitter;
    private final TierLedger tiers;

    private @Nullable PrefixRoot[] roots = new PrefixRoot[0]; // [nodes of the index]
    private final LeafGroups commonLeaves = new LeafGroups(); // of all partitions without a quota
    private final List<Partition> withOwnLeaves = new ArrayList<>();

    // [blocks]
    private long[] released = new long[0];
    private long releases;

    // Erased while in use: overwritten after the last release, outside the lock. Until then they are not free.
    private final BitSet toOverwrite = new BitSet();
    private final IntArrayList overwriteNow = new IntArrayList();
    private volatile boolean erasedReady;

    private final PrefixWalk walk = new PrefixWalk();
    private long now;

    /**
     * Makes an empty cache over a pool.
     *
     * @param minimumPartialHit a block that matches in fewer of its first tokens is not copied
     * @param events is told what enters and leaves the index; null: nobody listens
     * @param seed of jitter
     */
    PrefixCache(
            int tokensPerBlock,
            int minimumPartialHit,
            BlockMemory memory,
            BlockPool blocks,
            PrefixIndex index,
            EvictionPolicy policy,
            @Nullable EventQueue events,
            long seed) {
        this.tokensPerBlock = tokensPerBlock;
        this.minimumPartialHit = minimumPartialHit;
        this.memory = memory;
        this.index = index;
        this.ledger = new BlockLedger(memory, blocks);
        this.order = new EvictionOrder(policy);
        this.pins = new Pins(index, ledger, this::reference, this::release);
        this.flights = new Flights(tokensPerBlock);
        this.removed = new RemovedBlocks(memory.maximumBlocks());
        this.events = events;
        this.jitter = new SplittableRandom(seed);
        this.tiers = new TierLedger(tokensPerBlock, index, this::rootOf);
    }

    /** Sets the time of what follows, in nanoseconds since the cache was built; it never runs backwards. */
    void advanceTo(long nanos) {
        now = Math.max(now, nanos);
    }

    /** Nanoseconds since the cache was built. */
    long now() {
        return now;
    }

    /** What is being computed; see {@link SingleFlight}. */
    Flights flights() {
        return flights;
    }

    /** What is known of published blocks for the sake of tiers. */
    TierLedger tiers() {
        return tiers;
    }

    /** How many blocks each partition has and could get. */
    BlockLedger ledger() {
        return ledger;
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
        LeafGroups leaves = quota ? new LeafGroups() : commonLeaves;
        Partition partition = new Partition(name, ledger.partitions().size(), options, memory.blockBytes(), leaves);
        ledger.add(partition);
        newRoot(partition, List.of());
        if (quota) {
            withOwnLeaves.add(partition);
        }
        return partition;
    }

    /** Where paths with these identities begin. */
    PrefixRoot root(Partition partition, List<Identity> identities) {
        PrefixRoot root = partition.roots.get(identities);
        return root != null ? root : newRoot(partition, identities);
    }

    private PrefixRoot newRoot(Partition partition, List<Identity> identities) {
        List<String> name = new ArrayList<>(List.of(partition.name));
        identities.forEach(identity -> name.addAll(List.of(identity.kind(), identity.value())));
        PrefixRoot root = new PrefixRoot(partition, identities, index.newRoot(name));
        partition.roots.put(identities, root);
        int entry = PrefixIndex.rootEntry(root.node);
        if (entry >= roots.length) {
            roots = Arrays.copyOf(roots, Math.max(entry + 1, 2 * roots.length));
        }
        roots[entry] = root;
        return root;
    }

    /** Forgets a root on which nothing hangs any more, unless it is the plain one that most sequences begin at. */
    void dropIfUnused(PrefixRoot root) {
        boolean plain = root.identities.isEmpty() && !root.retired;
        int entry = PrefixIndex.rootEntry(root.node);
        if (!plain && root.sequences == 0 && index.firstChild(root.node) == BlockPool.NONE && roots[entry] == root) {
            roots[entry] = null;
            root.partition.roots.remove(root.identities, root);
            index.dropRoot(root.node);
        }
    }

    // ---- look up ----

    /**
     * Searches a prompt, changing nothing.
     *
     * @param most positions that may be found
     * @return where the search ends, until the next one
     */
    PrefixWalk probe(Partition partition, int[] prompt, OpenOptions options, int most) {
        PrefixRoot root = partition.roots.get(options.identities());
        if (root == null || !options.lookup()) {
            walk.start(BlockPool.NONE, 0, 0);
        } else {
            search(root, prompt, most, null);
        }
        return walk;
    }

    /**
     * Starts a fresh table with the longest cached prefix of a prompt. A block that matches only in part becomes the table's last
     * one, like any shared block after a cut inside it: the next reserve copies what matched.
     *
     * @param most positions that may be found
     * @return where the search ended, until the next one
     */
    PrefixWalk open(Partition partition, int[] prompt, OpenOptions options, int most, BlockTable table) {
        Retention wanted = options.retention() != null ? options.retention() : partition.options.retention();
        PrefixRoot root = root(partition, options.identities());
        root.sequences++;
        table.open(root, options, wanted, life(wanted));
        order.policy().opened(now);
        if (options.lookup()) {
            search(root, prompt, most, table);
        } else {
            walk.start(root.node, index.fingerprint(root.node), 0);
        }
        table.adopt(prompt, 0, walk.matched());
        countLoaded(table, 0);
        return walk;
    }

    /**
     * Starts a fresh table of a load with the path up to a published block, or to a root.
     *
     * @param prompt begins with the tokens of the path
     * @param position behind the block
     */
    void openForLoad(PrefixRoot root, int node, int[] prompt, int position, BlockTable table) {
        root.sequences++;
        table.open(root, OpenOptions.DEFAULT, root.partition.options.retention(), 1);
        table.beginLoad();
        int count = position / tokensPerBlock;
        int[] path = new int[count];
        int block = node;
        for (int at = count - 1; at >= 0; at--) {
            path[at] = block;
            block = index.parent(block);
        }
        for (int at = 0; at < count; at++) {
            reference(path[at]);
            table.append(path[at]);
        }
        table.adopt(prompt, 0, position);
    }

    /** Makes a fresh table equal to another one, sharing its blocks. */
    void fork(BlockTable source, BlockTable table) {
        table.copyFrom(source);
        source.shareTail();
        source.root().sequences++;
        for (int i = 0; i < table.count(); i++) {
            ledger.retain(table.block(i));
        }
    }

    private void search(PrefixRoot root, int[] prompt, int most, @Nullable BlockTable into) {
        walk.start(root.node, index.fingerprint(root.node), 0);
        follow(prompt, 0, most, root.partition, into);
    }

    /** Goes on with the walk along full blocks, then into a block that matches in part. */
    private void follow(int[] tokens, int offset, int most, Partition partition, @Nullable BlockTable into) {
        if (followBlocks(tokens, offset, most, partition, into)) {
            int count = Math.min(tokensPerBlock, most - walk.position);
            int partial = index.findLongest(walk.node, tokens, walk.position - offset, count);
            int matching =
                    partial == BlockPool.NONE ? 0 : index.matching(partial, tokens, walk.position - offset, count);
            if (matching > 0 && matching >= minimumPartialHit && mayTake(partial, partition, into != null)) {
                take(partial, into);
                walk.partial = partial;
                walk.partialTokens = matching;
            }
        }
    }

    /** Returns whether the next block is not there, or not wanted; false: it is there and may not be taken. */
    private boolean followBlocks(int[] tokens, int offset, int most, Partition partition, @Nullable BlockTable into) {
        int node = walk.node;
        long fingerprint = walk.fingerprint;
        int position = walk.position;
        boolean missing = true;
        boolean gone = false;
        while (position + tokensPerBlock <= most) {
            long next = index.childFingerprint(fingerprint, tokens, position - offset);
            int block = index.find(next, node, tokens, position - offset);
            missing = block == BlockPool.NONE;
            if (missing || !mayTake(block, partition, into != null)) {
                gone = !missing && !index.isPublished(block); // its time was over
                break;
            }
            take(block, into);
            node = block;
            fingerprint = next;
            position += tokensPerBlock;
            missing = true; // as far as was asked
        }
        walk.node = node;
        walk.fingerprint = fingerprint;
        walk.position = position;
        walk.missing = missing || gone;
        return missing;
    }

    /** Goes on with the walk along full blocks, up to the last token of a prompt. */
    void followToEnd(int[] prompt, Partition partition) {
        followBlocks(prompt, 0, prompt.length, partition, null);
    }

    /** Whether a block may be found: neither is its memory guaranteed to others, nor is its time over. */
    private boolean mayTake(int block, Partition partition, boolean remove) {
        boolean reclaimable = ledger.isReclaimable(block);
        int taken = remove ? 0 : walk.reclaimable; // counted in the room already, or not
        if (reclaimable && ledger.hasFloors() && ledger.room(partition) <= taken) {
            walk.withheld = true;
            return false;
        }
        if (isOver(block, remove)) {
            return false;
        }
        walk.reclaimable += reclaimable ? 1 : 0;
        return true;
    }

    /** Whether the time of a block is over, which ends a search; then it leaves with all that continues it. */
    private boolean isOver(int block, boolean remove) {
        boolean over = retention.isExpired(block, now);
        if (over && remove) {
            unpublishSubtree(block, RemovalCause.EXPIRED, false);
        }
        return over;
    }

    private void take(int block, @Nullable BlockTable into) {
        if (into != null) {
            reference(block);
            order.policy().touched(block, into.label(), now);
            tiers.used(block);
            into.append(block);
        }
    }

    private void reference(int block) {
        if (!ledger.isHeld(block)) {
            if (order.contains(block)) {
                leaveOrder(block);
            }
            retention.referenced(block);
        }
        ledger.retain(block);
    }

    /**
     * Takes up what was published since behind the blocks of a table, where its tokens are those announced.
     *
     * @param most positions that may be found
     * @return tokens by which the table has grown
     */
    int adopt(BlockTable table, int[] tokens, int offset, int most) {
        int length = table.length();
        if (!startBehind(table)) {
            return 0;
        }
        Partition partition = table.root().partition;
        follow(tokens, offset, most, partition, null);
        if (walk.matched() <= length) {
            return 0;
        }
        int published = table.published();
        releaseBeyond(table, published);
        startBehind(table);
        follow(tokens, offset, most, partition, table);
        table.adopt(tokens, offset, walk.matched());
        countLoaded(table, length);
        partition.traffic.adoptedTokens += table.length() - length;
        return table.length() - length;
    }

    /** Counts what a table has taken up, from a position on, and what came from tiers since it asked. */
    private void countLoaded(BlockTable table, int from) {
        for (int at = table.indexOf(from); !tiers.isEmpty() && at < table.count(); at++) {
            int origin = tiers.origin(table.block(at));
            if (origin >= 0 && index.number(table.block(at)) > table.since()) {
                int first = Math.max(from, at * tokensPerBlock);
                int tokens = Math.min((at + 1) * tokensPerBlock, table.length()) - first;
                table.countLoaded(origin, tokens);
                table.root().partition.traffic.loadedTokens += tokens;
            }
        }
    }

    /** Starts a walk behind the published blocks of a table; false if they have left. */
    private boolean startBehind(BlockTable table) {
        int published = table.published();
        int node = published == 0 ? table.root().node : table.block(published - 1);
        if (published == 0 ? table.root().retired : !index.isPublished(node)) {
            return false;
        }
        walk.start(node, index.fingerprint(node), published * tokensPerBlock);
        return true;
    }

    /** Where a claim stands now, as others have published its blocks; the block that it stands behind has not left. */
    PrefixWalk advance(Claim claim, Partition partition) {
        walk.start(claim.node(), claim.fingerprint(), claim.position());
        followBlocks(claim.tokens(), claim.offset(), claim.tokensEnd(), partition, null);
        return walk;
    }

    /** Where the claim of a table stands, searched again from the table on; null if the table's own blocks have left. */
    @Nullable
    PrefixWalk restart(BlockTable table) {
        if (!startBehind(table) || walk.position < table.claim.offset()) {
            return null;
        }
        Claim claim = table.claim;
        followBlocks(claim.tokens(), claim.offset(), claim.tokensEnd(), table.root().partition, null);
        return walk;
    }

    /** The fingerprint of the block that a claim needs next. */
    long nextFingerprint(Claim claim) {
        return index.childFingerprint(claim.fingerprint(), claim.tokens(), claim.position() - claim.offset());
    }

    /** The fingerprint of the block of a prompt behind a walk along full blocks. */
    long nextFingerprint(PrefixWalk at, int[] prompt) {
        return index.childFingerprint(at.fingerprint, prompt, at.position);
    }

    /** Why a search found no more of a prompt, nobody else's work considered. */
    MissReason missReason(PrefixWalk walk, int[] prompt, OpenOptions options) {
        if (!options.lookup()) {
            return MissReason.DISABLED;
        }
        if (walk.matched() >= prompt.length - 1) {
            return MissReason.NONE;
        }
        if (walk.withheld) {
            return MissReason.NO_ROOM;
        }
        MissReason reason = MissReason.NEVER_SEEN;
        if (walk.position + tokensPerBlock <= prompt.length) {
            reason = removed.reason(index.childFingerprint(walk.fingerprint, prompt, walk.position));
        }
        boolean continues = walk.matched() > 0 && index.firstChild(walk.node) != BlockPool.NONE;
        return reason == MissReason.NEVER_SEEN && continues ? MissReason.DIVERGED : reason;
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
                publish(table, at, parent, fingerprint);
            } else {
                replace(table, at, equal);
                replaced = true;
            }
            parent = table.block(at);
            table.advancePublished();
        }
        return replaced;
    }

    private void publish(BlockTable table, int at, int parent, long fingerprint) {
        int own = table.block(at);
        int from = at * tokensPerBlock;
        index.publish(fingerprint, parent, own, table.tokens(), from);
        retention.give(own, table.retention(), table.life(), now);
        order.policy().published(own, fingerprint, at, table.label(), now);
        tiers.published(own, table.origin());
        table.root().partition.publishedBlocks++;
        count(table, removed.takeEvicted(fingerprint, now));
        if (events != null) {
            events.stored(table.root(), index.number(own), index.number(parent), table.tokens(), from, tokensPerBlock);
            if (table.isLoad()) {
                events.loaded(table.root().partition, index.number(own), tiers.name(table.origin()));
            }
        }
    }

    /** Counts a block that a table has published; {@code age} is the time since its eviction, -1 if it was not evicted. */
    private static void count(BlockTable table, long age) {
        TrafficCounters traffic = table.root().partition.traffic;
        if (table.isLoad()) {
            traffic.loadedBlocks++;
        } else {
            traffic.published(age);
        }
    }

    private void replace(BlockTable table, int at, int equal) {
        int own = table.block(at);
        reference(equal);
        order.policy().touched(equal, table.label(), now);
        tiers.used(equal);
        table.replace(at, equal);
        release(own);
    }

    // ---- allocate and release ----

    /** Makes room in the arrays, so that handing out more blocks cannot fail half-way. */
    void prepare(int more) {
        ledger.prepare(more);
        if (released.length < ledger.capacity()) {
            released = Arrays.copyOf(released, ledger.capacity());
        }
    }

    /** Evicts a leaf from what namespaces have borrowed: all but their floors; returns whether there was one. */
    boolean evictBorrowed() {
        int leaf = better(BlockPool.NONE, commonLeaves);
        for (int i = 0; i < withOwnLeaves.size(); i++) {
            Partition other = withOwnLeaves.get(i);
            leaf = other.hasBorrowed() ? better(leaf, other.leaves) : leaf;
        }
        if (leaf != BlockPool.NONE) {
            evict(leaf);
        }
        return leaf != BlockPool.NONE;
    }

    /** Evicts a leaf of a partition; returns whether there was one. */
    boolean evictOwn(Partition partition) {
        boolean any = partition.leaves.lowestBand() >= 0;
        if (any) {
            evict(order.victim(partition.leaves));
        }
        return any;
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
        unpublish(block, RemovalCause.CAPACITY);
    }

    /**
     * Whether the one table that holds a shared block could write it itself, if there is no room for a copy, once the sessions that
     * hold it are given up: otherwise a hit inside the last block that fits could never go on.
     */
    boolean canTakeOver(int block) {
        boolean leaf = block != BlockPool.NONE && (!index.isPublished(block) || index.isLeaf(block));
        return leaf && ledger.hasOneHolderBesideSessions(block);
    }

    /** Gives a block up for the one table that holds it: an eviction that loses no more than what does not match. */
    void takeOver(int block) {
        if (index.isPublished(block)) {
            evict(block);
        }
    }

    /** Drops a reference: the last one leaves a published block cached and frees any other. */
    void release(int block) {
        if (ledger.release(block)) {
            afterLastRelease(block);
        }
    }

    /** Drops a reference of a session. */
    void releaseForSession(int block) {
        if (ledger.releaseForSession(block)) {
            afterLastRelease(block);
        }
    }

    private void afterLastRelease(int block) {
        if (!index.isPublished(block)) {
            free(block);
            return;
        }
        ledger.keep(block);
        released[block] = ++releases;
        retention.released(block, now);
        tiers.released(block);
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
        releaseBeyond(table, 0);
        letGo(table.root());
    }

    /** Says that a table that began at a root is no more. */
    void letGo(PrefixRoot root) {
        root.sequences--;
        dropIfUnused(root);
    }

    /** Says that a table that will be closed will not be continued: what it shares with nobody goes first. */
    void doNotContinue(BlockTable table) {
        int child = BlockPool.NONE;
        for (int i = table.published() - 1; i >= 0; i--) {
            int block = table.block(i);
            boolean unshared = index.isPublished(block)
                    && ledger.hasOneHolder(block)
                    && index.firstChild(block) == child
                    && (child == BlockPool.NONE || index.isOnlyChild(child));
            if (!unshared) {
                return;
            }
            retention.doNotContinue(block);
            child = block;
        }
    }

    /** Sees to it that a private block is overwritten after its last release; returns whether that is news. */
    boolean overwriteLater(int block) {
        boolean news = !index.isPublished(block) && !toOverwrite.get(block);
        if (news) {
            toOverwrite.set(block);
        }
        return news;
    }

    /** Whether a block will be overwritten after its last release. */
    boolean isToBeOverwritten(int block) {
        return toOverwrite.get(block);
    }

    private void free(int block) {
        if (toOverwrite.get(block)) {
            toOverwrite.clear(block);
            overwriteNow.pushInt(block);
            ledger.owner(block).overwrittenBlocks++;
            erasedReady = true;
        } else {
            ledger.free(block);
        }
    }

    private void enterOrder(int block) {
        order.add(block, ledger.owner(block).leaves, retention.band(block), released[block]);
    }

    private void leaveOrder(int block) {
        order.remove(block, ledger.owner(block).leaves, retention.band(block));
    }

    // ---- take out ----

    /** Takes a leaf out of the index. It is free, unless sequences hold it: then it is theirs alone. */
    private void unpublish(int block, RemovalCause cause) {
        pins.unpin(block);
        boolean cached = !ledger.isHeld(block);
        if (cached) {
            leaveOrder(block);
        }
        int parent = index.parent(block);
        note(block, parent, cause);
        index.remove(block);
        retention.forget(block);
        tiers.removed(block);
        order.policy().removed(block, cause == RemovalCause.CAPACITY);
        if (!flights.isEmpty()) {
            flights.parentLeft(block);
        }
        if (cached) {
            ledger.discard(block);
            free(block);
        }
        if (parent < 0) {
            dropIfUnused(rootOf(parent));
        } else if (index.isLeaf(parent) && !ledger.isHeld(parent) && !order.contains(parent)) {
            enterOrder(parent);
        }
    }

    /** Counts and remembers a block that leaves the index. */
    private void note(int block, int parent, RemovalCause cause) {
        Partition owner = ledger.owner(block);
        owner.publishedBlocks--;
        switch (cause) {
            case CAPACITY -> owner.traffic.evictedBlocks++;
            case EXPIRED -> owner.traffic.expiredBlocks++;
            case EXPLICIT -> owner.traffic.erasedBlocks++;
        }
        removed.add(index.fingerprint(block), cause, now);
        if (events != null) {
            events.removed(owner, index.number(block), index.number(parent), cause);
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
    private int unpublishSubtree(int top, RemovalCause cause, boolean overwrite) {
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
            unpublish(block, cause);
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

    /**
     * Lets what is due expire or fall back to its namespace's priority.
     *
     * @param limit blocks to look at
     * @return how many were looked at; fewer than the limit when no more are due
     */
    int maintain(int limit) {
        return retention.poll(now, limit, this::maintainBlock);
    }

    private void maintainBlock(int block) {
        if (retention.isExpired(block, now)) {
            unpublishSubtree(block, RemovalCause.EXPIRED, false);
            return;
        }
        if (retention.isPriorityOver(block, now)) {
            boolean ordered = order.contains(block);
            if (ordered) {
                leaveOrder(block);
            }
            retention.changePriority(
                    block, ledger.owner(block).options.retention().priority());
            if (ordered) {
                enterOrder(block);
            }
            pins.unpin(block);
        }
        retention.reschedule(block);
    }

    /**
     * Takes out all that a partition has published; sequences that are open publish nothing any more.
     *
     * @param overwrite whether to overwrite it: what is free is {@link #takeErased ready} for that, the rest when it is released
     * @return blocks taken out
     */
    int retire(Partition partition, boolean overwrite) {
        List<PrefixRoot> retired = new ArrayList<>(partition.roots.values());
        partition.roots.clear();
        newRoot(partition, List.of());
        int count = 0;
        for (PrefixRoot root : retired) {
            root.retired = true;
            flights.parentLeft(root.node);
            int child = index.firstChild(root.node);
            while (child != BlockPool.NONE) {
                int next = index.nextSibling(child);
                count += unpublishSubtree(child, RemovalCause.EXPLICIT, overwrite);
                child = next;
            }
            dropIfUnused(root);
        }
        return count;
    }

    /** Blocks that nobody holds and that wait to be overwritten. */
    int blocksToOverwrite() {
        return overwriteNow.size();
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
        ledger.owner(block).overwrittenBlocks--;
        ledger.free(block);
        ledger.forgetOwner(block);
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
        if (at >= table.published() || !index.isPublished(block) || (wanted.pinned() && !pins.pin(block))) {
            return false;
        }
        if (!wanted.pinned()) {
            pins.unpin(block);
        }
        retention.give(block, wanted, life, now);
        tiers.retained(block);
        return true;
    }

    /** The part of a time to live that jitter leaves. */
    double life(Retention wanted) {
        return wanted.jitter() == 0 ? 1 : 1 - wanted.jitter() * jitter.nextDouble();
    }

    // ---- facts ----

    /** The fingerprint of a published block or of a root. */
    long fingerprint(int node) {
        return index.fingerprint(node);
    }

    /** The number of a published block, which no other has had or will have. */
    long number(int block) {
        return index.number(block);
    }

    /** The number of the block that was published last. */
    long lastNumber() {
        return index.lastNumber();
    }

    /** What is left of a published block's retention. */
    Retention retention(int block) {
        return retention.left(block, now);
    }

    /** How many blocks can be found. */
    int publishedBlocks() {
        return index.size();
    }

    /** Copies all that can be found; returns whether there was room, and otherwise has done nothing. */
    boolean copyTo(ContentsCopy copy) {
        boolean fits = index.size() <= copy.room();
        for (int block = 0; fits && block < memory.blocks(); block++) {
            if (index.isPublished(block)) {
                int parent = index.parent(block);
                PrefixRoot root = parent < 0 ? rootOf(parent) : null;
                index.copyTokens(block, copy.add(index.number(block), index.number(parent), root), 0);
            }
        }
        return fits;
    }

    /** The published blocks of some namespaces, each before those that continue it. */
    int[] publishedBlocks(Set<String> namespaces) {
        IntArrayList found = new IntArrayList();
        for (Partition partition : ledger.partitions()) {
            if (namespaces.contains(partition.name)) {
                for (PrefixRoot root : partition.roots.values()) {
                    addChildren(root.node, found);
                }
            }
        }
        for (int at = 0; at < found.size(); at++) { // grows meanwhile
            addChildren(found.getInt(at), found);
        }
        return found.toIntArray();
    }

    private void addChildren(int node, IntArrayList to) {
        for (int child = index.firstChild(node); child != BlockPool.NONE; child = index.nextSibling(child)) {
            to.addInt(child);
        }
    }

    boolean isPublished(int block) {
        return index.isPublished(block);
    }

    /** Whether something can be published below a block or a root. */
    boolean isNode(int node) {
        return node < 0 ? !rootOf(node).retired : index.isPublished(node);
    }

    /**
     * Checks the bookkeeping.
     *
     * @param held [blocks] counts the references of sequences and sessions; those of pins are added
     * @param ofSessions [blocks] how many of these are sessions'
     */
    void verify(int[] held, int[] ofSessions) {
        index.verify();
        retention.verify();
        boolean[] cached = new boolean[held.length];
        boolean[] waiting = new boolean[held.length];
        for (int block = 0; block < held.length; block++) {
            held[block] += pins.isPinned(block) ? 1 : 0;
            waiting[block] = overwriteNow.containsInt(block);
        }
        int[] published = new int[ledger.partitions().size()];
        int[] pinned = new int[published.length];
        for (int block = 0; block < held.length; block++) {
            cached[block] = held[block] == 0 && index.isPublished(block);
            boolean leaf = cached[block] && index.isLeaf(block);
            require(order.contains(block) == leaf, "what can be evicted is a leaf that nobody holds", block);
            if (index.isPublished(block)) {
                published[ledger.owner(block).index]++;
                pinned[ledger.owner(block).index] += pins.isPinned(block) ? 1 : 0;
                verifyPublished(block, held);
            }
        }
        require(Arrays.stream(published).sum() == index.size(), "published blocks exist", index.size());
        for (Partition partition : ledger.partitions()) {
            int count = pinned[partition.index];
            require(partition.publishedBlocks == published[partition.index], "published blocks are counted", count);
            require(partition.pinnedBlocks == count, "pinned blocks are counted", count);
            require(count <= partition.pinnableBlocks, "a budget holds", count);
        }
        ledger.verify(held, ofSessions, cached, waiting);
    }

    private void verifyPublished(int block, int[] held) {
        int parent = index.parent(block);
        if (parent >= 0) {
            require(held[parent] >= Math.min(1, held[block]), "who holds a block holds its parent", block);
            require(ledger.owner(parent) == ledger.owner(block), "a path belongs to one namespace", block);
        } else {
            require(rootOf(parent).partition == ledger.owner(block), "a path belongs to its root's namespace", block);
            require(!rootOf(parent).retired, "nothing is published below a retired root", block);
        }
        pins.verify(block);
    }

    private static void require(boolean holds, String rule, int operand) {
        if (!holds) {
            throw new IllegalStateException("invariant broken: " + rule + ": operand=" + operand);
        }
    }
}
