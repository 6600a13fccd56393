package io.kvcache;

import java.util.Arrays;
import org.agrona.collections.IntArrayList;
import org.jspecify.annotations.Nullable;

/**
 * Which block holds each position of a sequence, which tokens are committed and how many slots are reserved behind them.
 * The arrays outlive the sequence: tables are recycled, so that opening one allocates no arrays in steady state.
 *
 * <p>Not thread-safe: belongs to the thread that has the sequence.
 */
final class BlockTable {
    // position    0 ......................... length ............ length + reserved
    //             | committed: tokens known   | reserved: writable | nothing
    // blocks      [ 0 ][ 1 ][ 2 ] ...                       [ n-1 ]   the last one reaches at most to its end
    private final int tokensPerBlock;
    private final int shift; // log2(tokensPerBlock), or -1: a division costs as much as the rest of a look-up
    private int[] blocks = new int[16];
    private int count;
    private int[] tokens = new int[64];
    private int length;
    private int reserved;
    private long version;

    // The first blocks were published, below this root. Whether they still are is for the prefix cache to say.
    private @Nullable PrefixRoot root;
    private int published;
    private boolean publishes;
    private boolean looksUp;
    private int label;
    private Retention retention = Retention.DEFAULT; // of what it publishes
    private double life; // the part of its time to live that jitter leaves

    // Whether it belongs to a load, which publishes what it has read from this tier.
    private boolean load;
    private int origin = BlockPool.NONE;

    // Blocks with greater numbers were published after the sequence asked for its prompt. Of these, the tokens that it
    // has taken up and that came from tiers, by tier; empty while there were none.
    private long since;
    private int[] loadedTokens = new int[0];

    private final IntArrayList toClear = new IntArrayList();

    /** What is known of the tokens to come. */
    final Claim claim = new Claim(this, null);

    // Why the look-up of the prompt found no more.
    private MissReason missReason = MissReason.NONE;
    private int missedAt;

    // While a reserve is planned: a shared tail that it replaces by a copy, or NONE; and blocks that it needs.
    int sharedTail = BlockPool.NONE;
    int neededBlocks;
    boolean planned;
    int wantedSlots; // in a batch
    boolean tailReplaced; // by the last reserve

    // While tokens move: the blocks that there were from index movedFrom on. It holds them until the rows are copied.
    private final IntArrayList before = new IntArrayList();
    private int movedFrom;

    // Whether the block that holds position length is known to have no other holder. It lets reserve do without the
    // lock while a block fills; only a fork of this very sequence can share it, and truncate may fall back on a shared
    // one.
    private boolean ownsTail;

    BlockTable(int tokensPerBlock) {
        this.tokensPerBlock = tokensPerBlock;
        this.shift = Integer.bitCount(tokensPerBlock) == 1 ? Integer.numberOfTrailingZeros(tokensPerBlock) : -1;
    }

    /** Starts a table without blocks. */
    void open(PrefixRoot newRoot, OpenOptions options, Retention newRetention, double newLife) {
        root = newRoot;
        publishes = options.publish();
        looksUp = options.lookup();
        label = options.label();
        retention = newRetention;
        life = newLife;
    }

    /**
     * Takes over a prefix that is cached: its blocks have been appended; the last one may match only in part.
     *
     * @param source its tokens from position {@code offset} on; those before are known
     */
    void adopt(int[] source, int offset, int matched) {
        prepareTokens(matched);
        published = matched / tokensPerBlock;
        System.arraycopy(source, 0, tokens, offset, matched - offset);
        length = matched;
        ownsTail = false;
    }

    /** Says that it belongs to a load. */
    void beginLoad() {
        load = true;
    }

    boolean isLoad() {
        return load;
    }

    /** Says where the next block that it publishes comes from, and with which retention. */
    void bring(int newOrigin, Retention newRetention) {
        origin = newOrigin;
        retention = newRetention;
    }

    /** The tier that what it publishes comes from, or {@link BlockPool#NONE}. */
    int origin() {
        return origin;
    }

    /** Says that the sequence has asked when the block with this number was the newest. */
    void askedAt(long number) {
        since = number;
    }

    long since() {
        return since;
    }

    /** Counts tokens that it has taken up and that came from a tier since it asked. */
    void countLoaded(int tier, int count) {
        if (tier >= loadedTokens.length) {
            loadedTokens = Arrays.copyOf(loadedTokens, tier + 1);
        }
        loadedTokens[tier] += count;
    }

    int loadedTokens(int tier) {
        return tier < loadedTokens.length ? loadedTokens[tier] : 0;
    }

    void missed(MissReason reason, int position) {
        missReason = reason;
        missedAt = position;
    }

    MissReason missReason() {
        return missReason;
    }

    int missedAt() {
        return missedAt;
    }

    int length() {
        return length;
    }

    PrefixRoot root() {
        if (root == null) {
            throw new IllegalStateException("table is not open");
        }
        return root;
    }

    int label() {
        return label;
    }

    Retention retention() {
        return retention;
    }

    double life() {
        return life;
    }

    /** How many of the first blocks have been published. */
    int published() {
        return published;
    }

    /** Whether it may take up and make known what others compute. */
    boolean shares() {
        return publishes && looksUp;
    }

    /** Whether there are full blocks that could be published. */
    boolean canPublish() {
        return publishes && published < length / tokensPerBlock;
    }

    void stopPublishing() {
        publishes = false;
    }

    void advancePublished() {
        published++;
    }

    /** The tokens, as many as the length says. */
    int[] tokens() {
        return tokens;
    }

    int reserved() {
        return reserved;
    }

    /** Positions that can be read: committed and reserved ones. */
    int reach() {
        return length + reserved;
    }

    int count() {
        return count;
    }

    /** Grows whenever an entry is added, replaced or removed; survives recycling, so it never repeats. */
    long version() {
        return version;
    }

    int block(int index) {
        return blocks[index];
    }

    /** The index of the block that holds a position. */
    int indexOf(int position) {
        return shift >= 0 ? position >>> shift : position / tokensPerBlock;
    }

    int blockAt(int position) {
        return blocks[indexOf(position)];
    }

    int slotAt(int position) {
        return position - indexOf(position) * tokensPerBlock;
    }

    int lastBlock() {
        return count == 0 ? BlockPool.NONE : blocks[count - 1];
    }

    int token(int position) {
        return tokens[position];
    }

    /** Readable slots of the block with this index, 1 to tokensPerBlock. */
    int slots(int index) {
        return Math.min(tokensPerBlock, reach() - index * tokensPerBlock);
    }

    /** Slots of a block from one on. */
    int slotsFrom(int slot) {
        return tokensPerBlock - slot;
    }

    /** Whether the next token goes into a block that holds tokens already and may have other holders. */
    boolean mayShareTail() {
        return !ownsTail && length % tokensPerBlock != 0;
    }

    /** Makes room for more entries, so that nothing can fail once blocks are taken. */
    void prepare(int blockCount) {
        if (blockCount > blocks.length) {
            blocks = Arrays.copyOf(blocks, grown(blocks.length, blockCount));
        }
    }

    /** Makes room for more tokens. */
    void prepareTokens(int tokenCount) {
        if (tokenCount > tokens.length) {
            tokens = Arrays.copyOf(tokens, grown(tokens.length, tokenCount));
        }
    }

    private static int grown(int capacity, int wanted) {
        return (int) Math.max(wanted, Math.min(capacity * 2L, Integer.MAX_VALUE - 8));
    }

    void append(int block) {
        blocks[count++] = block;
        version++;
    }

    void replace(int index, int block) {
        blocks[index] = block;
        version++;
    }

    int removeLast() {
        version++;
        return blocks[--count];
    }

    void reserve(int slots) {
        reserved = slots;
        ownsTail = true;
    }

    void commit(int[] source, int from, int added) {
        prepareTokens(length + added);
        System.arraycopy(source, from, tokens, length, added);
        advance(added);
    }

    void commit(int token) {
        prepareTokens(length + 1);
        tokens[length] = token;
        advance(1);
    }

    private void advance(int added) {
        length += added;
        reserved -= added;
    }

    /** Whether it has fewer slots than it wants in a batch. */
    boolean wantsMore() {
        return wantedSlots > reserved;
    }

    /** Whether the last reserve replaced the last block; asked once. */
    boolean takeTailReplaced() {
        boolean replaced = tailReplaced;
        tailReplaced = false;
        return replaced;
    }

    /** Cuts the committed tokens and drops the reservation; the caller removes the blocks that are too many now. */
    void truncate(int newLength) {
        length = newLength;
        reserved = 0;
        published = Math.min(published, newLength / tokensPerBlock);
        ownsTail = false;
    }

    /** Cuts the committed tokens and reserves slots in blocks that it has to itself; they will hold what moves there. */
    void discard(int newLength, int moving) {
        truncate(newLength);
        if (moving > 0) {
            reserve(moving);
        }
    }

    /** Says that the last block has got another holder. */
    void shareTail() {
        ownsTail = false;
    }

    /** Becomes equal to another table; there is room for its blocks and tokens. */
    void copyFrom(BlockTable other) {
        System.arraycopy(other.blocks, 0, blocks, 0, other.count);
        System.arraycopy(other.tokens, 0, tokens, 0, other.length);
        count = other.count;
        length = other.length;
        root = other.root();
        publishes = other.publishes;
        looksUp = other.looksUp;
        label = other.label;
        retention = other.retention;
        life = other.life;
        published = other.published;
        version++;
    }

    /** Publishes nothing any more and takes note of its blocks from an index on, as tokens in them are going to move. */
    void beginMove(int first) {
        publishes = false;
        movedFrom = first;
        for (int index = first; index < count; index++) {
            before.addInt(blocks[index]);
        }
        version++;
    }

    /** The block that held a position before tokens moved. */
    int blockBefore(int position) {
        return before.getInt(indexOf(position) - movedFrom);
    }

    /** The index of the first block that was noted. */
    int movedFrom() {
        return movedFrom;
    }

    /** Takes the last one of the blocks that were noted. */
    int removeLastBefore() {
        return before.popInt();
    }

    /** The index behind the last one of the blocks that were noted and are not yet removed. */
    int beforeEnd() {
        return movedFrom + before.size();
    }

    /** Notes a block that holds what nobody may read. */
    void mustClear(int block) {
        toClear.pushInt(block);
    }

    /** Takes a block that was noted, or {@link BlockPool#NONE}. */
    int takeToClear() {
        return toClear.isEmpty() ? BlockPool.NONE : toClear.popInt();
    }

    /** Ends a table without blocks, to be opened again for another sequence. */
    void close() {
        truncate(0);
        root = null;
        retention = Retention.DEFAULT;
        load = false;
        origin = BlockPool.NONE;
        since = 0;
        Arrays.fill(loadedTokens, 0);
        claim.end();
        missed(MissReason.NONE, 0);
    }

    boolean contains(int block) {
        int at = count - 1;
        while (at >= 0 && blocks[at] != block) {
            at--;
        }
        return at >= 0;
    }

    int[] toArray() {
        return Arrays.copyOf(blocks, count);
    }

    void copyTo(int[] destination) {
        System.arraycopy(blocks, 0, destination, 0, count);
    }

    /** Checks what holds between any two calls. */
    void verify() {
        require(length >= 0 && reserved >= 0, "length and reserved are not negative", length, reserved);
        require(count == Math.ceilDiv(reach(), tokensPerBlock), "less than one block is wasted", count, reach());
        require(published <= length / tokensPerBlock, "only full blocks are published", published, length);
    }

    private void require(boolean holds, String rule, int left, int right) {
        if (!holds) {
            throw new IllegalStateException("invariant broken: " + rule + ": left=" + left + " right=" + right
                    + " tokensPerBlock=" + tokensPerBlock);
        }
    }
}
