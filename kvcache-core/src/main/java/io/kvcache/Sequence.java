package io.kvcache;

import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The state of one request: which tokens are committed, and the keys and values of each layer for them.
 *
 * <pre>
 *   position   0 ............ length ............ length + reserved
 *              | committed    | reserved          |
 *              | read         | write, then read  |
 * </pre>
 *
 * <p>The cycle is {@link #tryReserve} to make room, {@link #write} (or rows from {@link #keyRow} and {@link #valueRow})
 * for every layer, {@link #commit(int)}. Committed rows are never written again, as other sequences may share them.
 *
 * <p>Rows are [kvHeads x headSize], heads outermost; positions count tokens from 0; block indices count the blocks of this
 * sequence from 0. Views, offsets and copies of the block table are valid until {@link #tableVersion()} changes: reserve,
 * commit, truncate, discard and close may change it.
 *
 * <p>Once the sequence is closed, every method but {@link #layout}, {@link #toString} and those that close throws
 * {@link IllegalStateException}; positions, rows and layers out of range are an {@link IndexOutOfBoundsException}. A call
 * that throws has changed nothing.
 *
 * <p>Not thread-safe: belongs to one thread at a time; between its calls to tryReserve, commit, truncate, discard, fork and close
 * any number of threads may write different rows and read.
 */
public final class Sequence implements AutoCloseable {
    /** The classes through which a sequence is opened: the frame below them is the opener's. */
    private static final Set<String> OWN_CLASSES =
            Set.of("io.kvcache.SequencePool", "io.kvcache.Namespace", "io.kvcache.Sequence", "io.kvcache.Warmup");

    private final SequencePool pool;
    private final String namespace;
    private final long id;
    private int cachedTokens;
    private final @Nullable ViewGuard guard;
    private final @Nullable Throwable openedAt;

    // The table is pooled, the handle is not: a closed handle has lost its table for ever and cannot reach the
    // sequence that uses the table next. One handle is all that open and fork allocate: 64 bytes.
    private @Nullable BlockTable table;

    /** Links of the list of open sequences; guarded by the pool's lock. */
    @Nullable
    Sequence previousOpen;

    @Nullable
    Sequence nextOpen;

    Sequence(
            SequencePool pool,
            BlockTable table,
            long id,
            String namespace,
            @Nullable ViewGuard guard,
            @Nullable Throwable openedAt) {
        this.pool = pool;
        this.table = table;
        this.id = id;
        this.namespace = namespace;
        this.guard = guard;
        this.openedAt = openedAt;
    }

    /** Says that the table holds what the sequence starts with. */
    void start() {
        cachedTokens = table().length();
    }

    // ---- facts ----

    /**
     * Returns the number of committed tokens, which is the position of the next one.
     *
     * @return tokens
     */
    public int length() {
        return table().length();
    }

    /**
     * Returns how many tokens need not be computed: for an opened sequence the longest cached prefix of its prompt and what it has
     * {@link #adopt adopted} since, for a fork or a session the length of what it continues.
     *
     * @return tokens
     */
    public int cachedTokens() {
        table();
        return cachedTokens;
    }

    /**
     * Returns how many of the {@link #cachedTokens()} a tier had to be asked for: tokens that came from it into memory after this
     * sequence was opened, or while its opener waited. The others were in memory, or computed by other sequences.
     *
     * @param tier the name of a tier of the cache
     * @return tokens
     * @throws IllegalArgumentException if there is no such tier
     */
    public int cachedTokens(String tier) {
        return pool.loadedTokens(table(), tier);
    }

    /**
     * Returns the number of slots reserved beyond the length.
     *
     * @return tokens
     */
    public int reserved() {
        return table().reserved();
    }

    /**
     * Returns the layout of the cache.
     *
     * @return the layout
     */
    public KvLayout layout() {
        return pool.layout;
    }

    /**
     * Returns a committed token.
     *
     * @param position from 0 to length, exclusive
     * @return the id that was committed there
     */
    public int token(int position) {
        BlockTable current = table();
        return current.token(Objects.checkIndex(position, current.length()));
    }

    /**
     * Returns the number of blocks that hold the committed and reserved positions.
     *
     * @return blocks
     */
    public int blocks() {
        return table().count();
    }

    /**
     * Returns a number that changes whenever the block table does.
     *
     * @return a number to compare with an earlier one
     */
    public long tableVersion() {
        return table().version();
    }

    // ---- reserve, write, commit ----

    /**
     * Ensures that {@code tokens} slots beyond the length can be written. A last block that is partly filled and shared
     * is copied first (copy on write).
     *
     * @param tokens slots beyond the length; what is reserved already counts
     * @return whether there was memory; if not, nothing has changed
     * @throws IllegalArgumentException if tokens is negative or positions would exceed what an int counts
     * @throws BlockMemoryException if the operating system refuses memory that the cache's limit allows
     */
    public boolean tryReserve(int tokens) {
        BlockTable current = checkReserve(tokens);
        if (tokens <= current.reserved()) {
            return true;
        }
        int wanted = pool.layout.blocksFor(current.length() + tokens);
        if ((wanted > current.count() || current.mayShareTail()) && !pool.reserve(current, wanted)) {
            return false;
        }
        reserved(current, tokens);
        return true;
    }

    /** Takes note of slots that the table has got. */
    void reserved(BlockTable current, int tokens) {
        current.reserve(tokens);
        if (current.takeTailReplaced()) {
            expireViews();
        }
    }

    /**
     * Writes the key and the value of one token in one layer.
     *
     * @param layer from 0
     * @param position a reserved position
     * @param key [keyWidth] floats, converted to the layout's type
     * @param value [valueWidth] floats, likewise
     */
    public void write(int layer, int position, float[] key, float[] value) {
        write(layer, position, 1, key, 0, value, 0);
    }

    /**
     * Writes the keys and values of several tokens in one layer.
     *
     * @param layer from 0
     * @param position the first position; all must be reserved
     * @param rows tokens
     * @param keys [rows][keyWidth] floats, converted to the layout's type
     * @param keysFrom index of the first of them
     * @param values [rows][valueWidth] floats, likewise
     * @param valuesFrom index of the first of them
     */
    public void write(int layer, int position, int rows, float[] keys, int keysFrom, float[] values, int valuesFrom) {
        BlockTable current = checkReserved(position, rows);
        checkRange(keys, keysFrom, rows, pool.layout.keyWidth(layer));
        checkRange(values, valuesFrom, rows, pool.layout.valueWidth(layer));
        pool.codec.write(current, layer, position, rows, keys, keysFrom, values, valuesFrom);
    }

    /**
     * Writes the keys and values of several tokens in one layer from memory.
     *
     * @param layer from 0
     * @param position the first position; all must be reserved
     * @param rows tokens
     * @param keys [rows][keyWidth] floats in native byte order, converted to the layout's type
     * @param keysFrom byte offset of the first of them
     * @param values [rows][valueWidth] floats, likewise
     * @param valuesFrom byte offset of the first of them
     */
    public void write(
            int layer,
            int position,
            int rows,
            MemorySegment keys,
            long keysFrom,
            MemorySegment values,
            long valuesFrom) {
        BlockTable current = checkReserved(position, rows);
        checkRange(keys, keysFrom, rows, pool.layout.keyWidth(layer));
        checkRange(values, valuesFrom, rows, pool.layout.valueWidth(layer));
        pool.codec.write(current, layer, position, rows, keys, keysFrom, values, valuesFrom);
    }

    /**
     * Returns the place of a reserved position's key, to be written in the layout's type by the caller, for engines that
     * rotate keys in place. Do not write through it once the position is committed. F16 written through it must be finite:
     * {@link #isFinite} does not look at it. Elements that may not be go through {@link #write}.
     *
     * @param layer from 0
     * @param position a reserved position
     * @return [keyWidth] elements, writable
     * @throws IllegalStateException if the order is not {@link BlockOrder#ROWS}, or keys have scales, which only the cache
     *     computes
     */
    public MemorySegment keyRow(int layer, int position) {
        BlockTable current = checkReserved(position, 1);
        BlockMatrix keys = checkPlain("keyType", pool.layout.rows(pool.layout.keys(layer)));
        return guarded(pool.codec.row(current.blockAt(position), keys, current.slotAt(position)));
    }

    /**
     * Returns the place of a reserved position's value, to be written under the same rules as {@link #keyRow}: no infinity or NaN
     * in F16.
     *
     * @param layer from 0
     * @param position a reserved position
     * @return [valueWidth] elements, writable
     * @throws IllegalStateException if the order is not {@link BlockOrder#ROWS}, or values have scales
     */
    public MemorySegment valueRow(int layer, int position) {
        BlockTable current = checkReserved(position, 1);
        BlockMatrix values = checkPlain("valueType", pool.layout.rows(pool.layout.values(layer)));
        return guarded(pool.codec.row(current.blockAt(position), values, current.slotAt(position)));
    }

    /**
     * Commits the first reserved position: its keys and values are written in all layers and stay as they are. A block that is
     * full now is published: other sequences of the namespace that begin with the same tokens share it. Where an equal
     * block is published already, this sequence takes that one over.
     *
     * @param token the id of the token there
     * @throws IllegalStateException if nothing is reserved
     */
    public void commit(int token) {
        BlockTable current = checkCommit(1);
        current.commit(token);
        publish(current);
    }

    /**
     * Commits as many reserved positions as there are tokens.
     *
     * @param tokens [tokens] ids in order of position
     * @throws IllegalStateException if fewer slots are reserved
     */
    public void commit(int[] tokens) {
        commit(tokens, 0, tokens.length);
    }

    /**
     * Commits reserved positions.
     *
     * @param tokens ids in order of position
     * @param from index of the first of them
     * @param count how many
     * @throws IllegalStateException if fewer slots are reserved
     */
    public void commit(int[] tokens, int from, int count) {
        Objects.checkFromIndexSize(from, count, tokens.length);
        BlockTable current = checkCommit(count);
        current.commit(tokens, from, count);
        publish(current);
    }

    private void publish(BlockTable current) {
        if (current.canPublish() && pool.publish(current)) {
            expireViews();
        }
    }

    private BlockTable checkCommit(int count) {
        BlockTable current = table();
        if (count > current.reserved()) {
            throw new IllegalStateException("commit takes at most the reserved tokens: tokens=" + count + " reserved="
                    + current.reserved() + " length=" + current.length());
        }
        return current;
    }

    // ---- read ----

    /**
     * Returns the keys of one block in one layer, in place.
     *
     * @param layer from 0
     * @param block index in this sequence
     * @return [tokens in the block, reserved ones included][keyWidth] elements as they are stored, read-only
     * @throws IllegalStateException if the order is not {@link BlockOrder#ROWS}
     */
    public MemorySegment keys(int layer, int block) {
        BlockTable current = checkBlock(block);
        BlockMatrix keys = pool.layout.rows(pool.layout.keys(layer));
        return guarded(pool.codec.view(current.block(block), keys, current.slots(block)));
    }

    /**
     * Returns the values of one block in one layer, in place.
     *
     * @param layer from 0
     * @param block index in this sequence
     * @return [tokens in the block, reserved ones included][valueWidth] elements as they are stored, read-only
     * @throws IllegalStateException if the order is not {@link BlockOrder#ROWS}
     */
    public MemorySegment values(int layer, int block) {
        BlockTable current = checkBlock(block);
        BlockMatrix values = pool.layout.rows(pool.layout.values(layer));
        return guarded(pool.codec.view(current.block(block), values, current.slots(block)));
    }

    /**
     * Returns the scales of the keys of one block in one layer, in place: an element is its scale times what is stored.
     *
     * @param layer from 0
     * @param block index in this sequence
     * @return [kvHeads][tokensPerBlock] floats, read-only; those of slots that were not written mean nothing
     * @throws IllegalStateException if the type of keys has no scales
     */
    public MemorySegment keyScales(int layer, int block) {
        BlockTable current = checkBlock(block);
        BlockMatrix keys = pool.layout.scaled("keyType", pool.layout.keys(layer));
        return guarded(pool.codec.scales(current.block(block), keys));
    }

    /**
     * Returns the scales of the values of one block in one layer, in place: an element is its scale times what is stored.
     *
     * @param layer from 0
     * @param block index in this sequence
     * @return [kvHeads][tokensPerBlock] floats, read-only; those of slots that were not written mean nothing
     * @throws IllegalStateException if the type of values has no scales
     */
    public MemorySegment valueScales(int layer, int block) {
        BlockTable current = checkBlock(block);
        BlockMatrix values = pool.layout.scaled("valueType", pool.layout.values(layer));
        return guarded(pool.codec.scales(current.block(block), values));
    }

    /**
     * Returns the memory that holds a block, among others, for kernels that compute offsets themselves.
     *
     * @param block index in this sequence
     * @return the memory into which {@link #blockOffset} of this block, and {@link #keyOffset} and {@link #valueOffset} of positions
     *     in it, point, read-only
     */
    public MemorySegment segment(int block) {
        return guarded(pool.memory.readOnlySegment(checkBlock(block).block(block)));
    }

    /**
     * Returns where a block starts; what {@link KvLayout} says about offsets counts from there.
     *
     * @param block index in this sequence
     * @return bytes from the start of its {@link #segment}
     */
    public long blockOffset(int block) {
        return pool.memory.offset(checkBlock(block).block(block));
    }

    /**
     * Returns whether a block holds neither infinity nor NaN in F16, so that kernels may use faster arithmetic there.
     *
     * <p>False if any key or value that was written to the block as F16, in any layer, is infinite or NaN, or became infinite because
     * it was beyond the range of F16; also if it was truncated or overwritten since, or was in the block that this one
     * is a copy of, whether its token was copied or not. True where neither keys nor values are F16.
     *
     * <p>Elements written in place, through {@link #keyRow} or {@link #valueRow}, are not looked at: whoever writes there keeps them
     * finite, or calls {@link #write}. Slots that were not written may hold anything.
     *
     * @param block index in this sequence
     * @return whether its elements are finite, as far as they are F16
     */
    public boolean isFinite(int block) {
        return pool.memory.isFinite(checkBlock(block).block(block));
    }

    /**
     * Returns where the key row of a position starts. The rows of the following positions in the same block follow it.
     *
     * @param layer from 0
     * @param position committed or reserved
     * @return bytes from the start of the {@link #segment} of the position's block
     * @throws IllegalStateException if the order is not {@link BlockOrder#ROWS}
     */
    public long keyOffset(int layer, int position) {
        BlockTable current = checkReadable(position, 1);
        BlockMatrix keys = pool.layout.rows(pool.layout.keys(layer));
        return pool.codec.offset(current.blockAt(position), keys, current.slotAt(position));
    }

    /**
     * Returns where the value row of a position starts. The rows of the following positions in the same block follow it.
     *
     * @param layer from 0
     * @param position committed or reserved
     * @return bytes from the start of the {@link #segment} of the position's block
     * @throws IllegalStateException if the order is not {@link BlockOrder#ROWS}
     */
    public long valueOffset(int layer, int position) {
        BlockTable current = checkReadable(position, 1);
        BlockMatrix values = pool.layout.rows(pool.layout.values(layer));
        return pool.codec.offset(current.blockAt(position), values, current.slotAt(position));
    }

    /**
     * Returns how many blocks from this one on lie side by side in one segment, {@link KvLayout#blockBytes()} apart.
     *
     * @param block index in this sequence
     * @return blocks, at least 1
     */
    public int adjacentBlocks(int block) {
        BlockTable current = checkBlock(block);
        int last = block;
        while (last + 1 < current.count() && pool.memory.adjacent(current.block(last), current.block(last + 1))) {
            last++;
        }
        return last - block + 1;
    }

    /**
     * Returns the numbers of the blocks, a fresh copy.
     *
     * @return [blocks] numbers of blocks in the cache
     */
    public int[] blockTable() {
        return table().toArray();
    }

    /**
     * Copies the numbers of the blocks.
     *
     * @param destination [at least blocks]
     * @return how many were copied
     */
    public int blockTable(int[] destination) {
        BlockTable current = table();
        Objects.checkFromIndexSize(0, current.count(), destination.length);
        current.copyTo(destination);
        return current.count();
    }

    /**
     * Copies the slot of each position: block number x tokensPerBlock + place in the block.
     *
     * @param position the first position, committed or reserved
     * @param destination [tokens] as many as are wanted
     */
    public void slotMapping(int position, long[] destination) {
        BlockTable current = checkReadable(position, destination.length);
        for (int i = 0; i < destination.length; i++) {
            long block = current.blockAt(position + i);
            destination[i] = block * pool.layout.tokensPerBlock() + current.slotAt(position + i);
        }
    }

    /**
     * Copies keys and values of one layer into dense arrays, converted to floats.
     *
     * @param layer from 0
     * @param position the first position; all must be committed or reserved
     * @param rows tokens
     * @param keys destination of [rows][keyWidth] floats
     * @param keysFrom index of the first of them
     * @param values destination of [rows][valueWidth] floats
     * @param valuesFrom index of the first of them
     */
    public void gather(int layer, int position, int rows, float[] keys, int keysFrom, float[] values, int valuesFrom) {
        BlockTable current = checkReadable(position, rows);
        checkRange(keys, keysFrom, rows, pool.layout.keyWidth(layer));
        checkRange(values, valuesFrom, rows, pool.layout.valueWidth(layer));
        pool.codec.read(current, layer, position, rows, keys, keysFrom, values, valuesFrom);
    }

    /**
     * Copies keys and values of one layer into dense memory, converted to floats in native byte order.
     *
     * @param layer from 0
     * @param position the first position; all must be committed or reserved
     * @param rows tokens
     * @param keys destination of [rows][keyWidth] floats
     * @param keysFrom byte offset of the first of them
     * @param values destination of [rows][valueWidth] floats
     * @param valuesFrom byte offset of the first of them
     */
    public void gather(
            int layer,
            int position,
            int rows,
            MemorySegment keys,
            long keysFrom,
            MemorySegment values,
            long valuesFrom) {
        BlockTable current = checkReadable(position, rows);
        checkRange(keys, keysFrom, rows, pool.layout.keyWidth(layer));
        checkRange(values, valuesFrom, rows, pool.layout.valueWidth(layer));
        pool.codec.read(current, layer, position, rows, keys, keysFrom, values, valuesFrom);
    }

    // ---- change the table ----

    /**
     * Drops the tail, for instance rejected guesses of speculative decoding, and cancels the reservation. Blocks no longer
     * needed go back, the last one first.
     *
     * @param length tokens to keep, at most {@link #length()}
     */
    public void truncate(int length) {
        BlockTable current = table();
        if (length < 0 || length > current.length()) {
            throw new IndexOutOfBoundsException(
                    "truncate keeps committed tokens only: length=" + length + " committed=" + current.length());
        }
        if (pool.truncate(current, length)) {
            expireViews();
        }
    }

    /**
     * Drops the committed positions from {@code from} to {@code to}, exclusive, for instance the oldest ones behind the first few, so that
     * generation can go on beyond the context that the model or the memory allows. The positions behind move up to
     * {@code from}, in order, and are reserved, not committed:
     *
     * <pre>
     *   before   0 .... from .... to ......... length
     *            | kept | dropped | moved      |
     *   after    0 .... length()  |
     *            | kept | reserved |     reserved() = length - to
     * </pre>
     *
     * <p>Their keys and values are as they were: keys of a model that rotates them are still turned for their old positions. The
     * caller gathers the keys, turns them by {@code from - to} positions, writes them, and commits the tokens, of which it has
     * taken note before, again.
     *
     * <p>What lies before {@code from} in full blocks stays shared as it was, and what others share or find cached stays as it is: the
     * positions that move do so into blocks of this sequence's own. Those that it has got by an earlier call, and not shared
     * since, it uses again, without needing more memory.
     *
     * <p>From then on this sequence publishes nothing any more, since what follows depends on dropped tokens, and adopts
     * nothing; nor does a fork of it, or a session.
     *
     * @param from the first position to drop
     * @param to the position behind the last one to drop, at most {@link #length()}
     * @return whether there was memory for blocks of its own, before others are given back; if not, nothing has changed
     * @throws IllegalStateException if slots are reserved: commit them, or {@code truncate(length())} first
     * @throws IndexOutOfBoundsException if no committed position is in the range, or any other
     * @throws BlockMemoryException if the operating system refuses memory that the cache's limit allows
     */
    public boolean discard(int from, int to) {
        BlockTable current = checkNotReserved("discard");
        if (from < 0 || from >= to || to > current.length()) {
            throw new IndexOutOfBoundsException("discard drops at least one position, committed ones only: from=" + from
                    + " to=" + to + " committed=" + current.length());
        }
        if (!pool.discard(current, from, to)) {
            return false;
        }
        expireViews();
        return true;
    }

    /**
     * Opens a second sequence with the same tokens. It shares every block; whichever of the two writes into the last, partly
     * filled block first gets a copy of it, at its reserve.
     *
     * @return a sequence, to be closed by the caller
     * @throws IllegalStateException if slots are reserved: commit them, or {@code truncate(length())} first; or if all slots for
     *     sequences are taken
     */
    public Sequence fork() {
        return pool.fork(namespace, checkNotReserved("fork"));
    }

    BlockTable checkNotReserved(String what) {
        BlockTable current = table();
        if (current.reserved() > 0) {
            throw new IllegalStateException("cannot " + what + " while slots are reserved: reserved="
                    + current.reserved() + " length=" + current.length());
        }
        return current;
    }

    // ---- what others compute ----

    /**
     * Takes up what other sequences have published meanwhile of the prompt that this one was opened with, instead of computing it
     * again; like the look-up at open, it leaves at least one token of the prompt. Does not block. A sequence whose
     * prompt goes another way than what it has committed, one that has {@link #discard discarded} any, a fork, and one opened without look-up or publishing adopt nothing.
     *
     * <p>A loop that runs many sequences asks before it computes the next chunk of one: it calls {@link #isFollowing()}, then
     * {@code adopt()}, and leaves the sequence for later if it was following. In the other order, what arrives between the two, from a tier
     * for instance, would be computed again.
     *
     * @return tokens by which the sequence has grown
     * @throws IllegalStateException if slots are reserved: commit them, or {@code truncate(length())} first
     */
    public int adopt() {
        BlockTable current = checkNotReserved("adopt");
        int gained = pool.adopt(current);
        if (gained > 0) {
            cachedTokens += gained;
            expireViews();
        }
        return gained;
    }

    /**
     * Returns whether another open sequence is computing, or a tier loading, the block that this one needs next of its prompt. The one that came first
     * leads; when it closes, is refused memory, or goes another way than its prompt, the one that has waited longest
     * takes over, which it learns here.
     *
     * @return whether it pays to wait and {@link #adopt()}
     */
    public boolean isFollowing() {
        return pool.follows(table());
    }

    /**
     * Returns whether a tier is being asked for the block that this sequence needs next of its prompt: a special case of
     * {@link #isFollowing()} that ends by itself: when a tier brings nothing for as long as its deadline.
     *
     * @return whether it pays to wait a little and {@link #adopt()}
     */
    public boolean isLoading() {
        return pool.isLoading(table());
    }

    /**
     * Waits while {@link #isFollowing()}, and takes up what arrives, like {@link #adopt()}. For callers with a thread of their own: a
     * sequence that this very thread is to compute is never waited for in vain with a patience that ends.
     *
     * @param patience how long to wait at most
     * @return tokens by which the sequence has grown
     * @throws InterruptedException if the thread is interrupted while it waits; what was taken up by then is kept
     * @throws IllegalStateException if slots are reserved: commit them, or {@code truncate(length())} first
     */
    public int await(Duration patience) throws InterruptedException {
        BlockTable current = checkNotReserved("wait");
        int before = current.length();
        try {
            return pool.await(current, SequencePool.nanos(patience));
        } finally {
            int gained = current.length() - before;
            if (gained > 0) {
                cachedTokens += gained;
                expireViews();
            }
        }
    }

    /**
     * Returns why the look-up at open found no more.
     *
     * @return the reason; {@link MissReason#NONE} for a fork or a session
     */
    public MissReason missReason() {
        return table().missReason();
    }

    /**
     * Returns where the look-up at open ended.
     *
     * @return the position of the first token of the prompt that was not found
     */
    public int missedAt() {
        return table().missedAt();
    }

    // ---- retain and close ----

    /**
     * Says how long and how firmly the blocks of a range of positions stay cached. Only blocks that lie wholly in the range and
     * are published count, from the first one on; a block that others share is retained for them too, and the last call
     * wins. A pin holds the blocks before the range as well, since nothing is found without its prefix; it ends with a later
     * call that does not pin, with the duration of its priority, or with the block's time to live.
     *
     * @param from the first position
     * @param to the position behind the last one, at most {@link #length()}
     * @param retention how long and how firmly
     * @return how many of the blocks are retained as asked
     */
    public RetentionOutcome retain(int from, int to, Retention retention) {
        BlockTable current = table();
        Objects.checkFromToIndex(from, to, current.length());
        return pool.retain(current, from, to, retention);
    }

    /** Gives back the blocks, the last one first; what is published stays cached. A second call does nothing. */
    @Override
    public void close() {
        close(true);
    }

    /**
     * Closes and says that nobody will continue this sequence: the part of its path that it shares with nobody is evicted
     * before anything else when memory is needed. On public traces of chats this hint is worth more than any policy.
     */
    public void closeForGood() {
        close(false);
    }

    private void close(boolean continued) {
        if (pool.close(this, continued) && guard != null) {
            guard.close();
        }
    }

    /** Takes the table away, for good; null if it is gone already. The lock is held. */
    @Nullable
    BlockTable detach() {
        BlockTable detached = table;
        table = null;
        return detached;
    }

    /** Says what the sequence is, or was. */
    @Override
    public String toString() {
        BlockTable current = table;
        return "Sequence[id=" + id + " namespace=" + namespace + " "
                + (current == null ? "closed" : "length=" + current.length() + " reserved=" + current.reserved())
                + "]";
    }

    // ---- inside ----

    BlockTable table() {
        BlockTable current = table;
        if (current == null) {
            throw new IllegalStateException("sequence is closed: id=" + id + " namespace=" + namespace);
        }
        return current;
    }

    /** One line for the leak report; with the place of opening when traced. */
    String describe() {
        String text = this + " blocks=" + blocks();
        return openedAt == null ? text : text + " opened at " + opener(openedAt.getStackTrace());
    }

    private static StackTraceElement opener(StackTraceElement[] frames) {
        int at = 0;
        while (at < frames.length - 1 && OWN_CLASSES.contains(frames[at].getClassName())) {
            at++;
        }
        return frames[at];
    }

    BlockTable checkReserve(int tokens) {
        BlockTable current = table();
        if (tokens < 0 || tokens > Integer.MAX_VALUE - 8 - current.length()) {
            throw new IllegalArgumentException("cannot reserve so many slots: tokens=" + tokens + " length="
                    + current.length() + " maximumLength=" + (Integer.MAX_VALUE - 8));
        }
        return current;
    }

    /** Whether it is of that pool. */
    boolean isOf(SequencePool other) {
        return pool == other;
    }

    private MemorySegment guarded(MemorySegment view) {
        return guard == null ? view : guard.tie(view);
    }

    private void expireViews() {
        if (guard != null) {
            guard.expire();
        }
    }

    private BlockTable checkReserved(int position, int rows) {
        BlockTable current = table();
        if (position < current.length() || rows < 0 || rows > current.reach() - position) {
            throw new IndexOutOfBoundsException("only reserved positions can be written: position=" + position
                    + " rows=" + rows + " length=" + current.length() + " reserved=" + current.reserved());
        }
        return current;
    }

    private void checkRange(float[] floats, int from, int rows, int width) {
        Objects.checkFromIndexSize((long) from, (long) rows * width, floats.length);
    }

    private void checkRange(MemorySegment floats, long from, int rows, int width) {
        long bytes = (long) rows * width * Float.BYTES;
        Objects.checkFromIndexSize(from, bytes, floats.byteSize());
    }

    private static BlockMatrix checkPlain(String name, BlockMatrix matrix) {
        if (matrix.type.hasScales()) {
            throw new IllegalStateException(
                    "rows with scales are written by the cache only: " + name + "=" + matrix.type);
        }
        return matrix;
    }

    private BlockTable checkReadable(int position, int rows) {
        BlockTable current = table();
        if (position < 0 || rows < 0 || rows > current.reach() - position) {
            throw new IndexOutOfBoundsException("only committed and reserved positions can be read: position="
                    + position + " rows=" + rows + " length=" + current.length() + " reserved=" + current.reserved());
        }
        return current;
    }

    private BlockTable checkBlock(int block) {
        BlockTable current = table();
        if (block < 0 || block >= current.count()) {
            throw new IndexOutOfBoundsException("no such block: block=" + block + " blocks=" + current.count());
        }
        return current;
    }
}
