package io.kvcache;

/**
 * In which order the elements of a block lie in memory. What is written and gathered is the same in both.
 *
 * <p>Thread-safe: immutable.
 */
public enum BlockOrder {
    /**
     * A row for each token, as engines write and read it: [tokensPerBlock][kvHeads][headSize]. Views of rows exist in this order
     * only.
     */
    ROWS,

    /**
     * For each head, tiles of {@value KvLayout#TILE_TOKENS} tokens, made for vector instructions: a line of 64 bytes holds one
     * 32-bit word (1, 2 or 4 elements) of the keys of 16 tokens, or 16 words of one token's value. {@link KvLayout} draws
     * them.
     */
    TILES
}
