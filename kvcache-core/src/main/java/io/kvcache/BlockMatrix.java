package io.kvcache;

/**
 * Where the keys or the values of one layer lie in a block: a region of elements, and behind it, where the type has them, one of
 * scales. {@link KvLayout} draws both orders. Pure arithmetic; callers check ranges.
 *
 * <p>Thread-safe: immutable.
 */
final class BlockMatrix {
    /** Every region starts on a cache line, the unit of vector loads. */
    static final int ALIGNMENT_BYTES = 64;

    static final int TILE_TOKENS = 16;
    static final int WORD_BYTES = 4;

    /** 16 words: of one element of 16 keys, or of one value. */
    static final int LINE_WORDS = 16;

    static final int LINE_BYTES = LINE_WORDS * WORD_BYTES;

    final KvType type;
    final BlockOrder order;
    final int heads;
    final int headSize;
    final int tokensPerBlock;
    final boolean keys; // or values

    /** Elements of a row. */
    final int width;

    /** Bytes of a row, in row order; in tiles a row has no place of its own, and this is what its elements take. */
    final long rowBytes;

    /** 32-bit words that hold the elements of a head and token, in tiles. */
    final int words;

    final long tileBytes;
    final long headBytes; // in tiles

    /** Bytes from the start of the block to the elements. */
    final long offset;

    /** Bytes from the start of the block to the scales [kvHeads][tokensPerBlock], whether there are any or not. */
    final long scalesOffset;

    /** Where the next matrix starts, in bytes from the start of the block. */
    final long end;

    /**
     * Places a matrix.
     *
     * @throws ArithmeticException if a size exceeds what its type holds
     */
    BlockMatrix(KvType type, BlockOrder order, boolean keys, int heads, int headSize, int tokensPerBlock, long offset) {
        this.type = type;
        this.order = order;
        this.keys = keys;
        this.heads = heads;
        this.headSize = headSize;
        this.tokensPerBlock = tokensPerBlock;
        this.offset = offset;
        this.width = Math.multiplyExact(heads, headSize);
        this.rowBytes = (long) width * type.bytes();
        this.words = (int) Math.ceilDiv((long) headSize * type.bytes(), WORD_BYTES);
        this.tileBytes = (long) words * TILE_TOKENS * WORD_BYTES;
        this.headBytes = Math.multiplyExact((long) words * WORD_BYTES, tokensPerBlock);
        long data = order == BlockOrder.ROWS
                ? Math.multiplyExact(rowBytes, tokensPerBlock)
                : Math.multiplyExact(headBytes, heads);
        this.scalesOffset = Math.addExact(offset, aligned(data));
        this.end = Math.addExact(scalesOffset, aligned(scaleBytes()));
    }

    private long scaleBytes() {
        return type.hasScales() ? Math.multiplyExact((long) heads * Float.BYTES, tokensPerBlock) : 0;
    }

    private static long aligned(long bytes) {
        return Math.addExact(bytes, -bytes & (ALIGNMENT_BYTES - 1));
    }

    /** What a token takes: elements and scales, padding apart. */
    long bytesPerToken() {
        return rowBytes + (type.hasScales() ? (long) heads * Float.BYTES : 0);
    }

    /** Where the row of a slot starts, in row order. */
    long rowOffset(int slot) {
        return offset + slot * rowBytes;
    }

    /** Where the scale of a head and slot lies. */
    long scaleOffset(int head, int slot) {
        return scalesOffset + ((long) head * tokensPerBlock + slot) * Float.BYTES;
    }

    /** Where the tile of keys that holds a slot of a head starts. */
    long tileOffset(int head, int slot) {
        return offset + head * headBytes + slot / TILE_TOKENS * tileBytes;
    }

    /** Words that the lines of a chunk of values have: 16, but what remains in the last one. */
    int chunkWords(int chunk) {
        return Math.min(LINE_WORDS, words - chunk * LINE_WORDS);
    }

    /** Where the line of a slot in a chunk of values starts. */
    long lineOffset(int head, int chunk, int slot) {
        long chunkOffset = offset + head * headBytes + (long) chunk * LINE_BYTES * tokensPerBlock;
        return chunkOffset + (long) slot * chunkWords(chunk) * WORD_BYTES;
    }

    /** Where an element lies. */
    long elementOffset(int head, int slot, int element) {
        long inHead = (long) element * type.bytes();
        if (order == BlockOrder.ROWS) {
            return rowOffset(slot) + (long) head * headSize * type.bytes() + inHead;
        }
        int word = (int) (inHead / WORD_BYTES);
        return wordOffset(head, slot, word) + inHead % WORD_BYTES;
    }

    private long wordOffset(int head, int slot, int word) {
        if (keys) {
            return tileOffset(head, slot) + (long) word * LINE_BYTES + (long) (slot % TILE_TOKENS) * WORD_BYTES;
        }
        return lineOffset(head, word / LINE_WORDS, slot) + (long) (word % LINE_WORDS) * WORD_BYTES;
    }
}
