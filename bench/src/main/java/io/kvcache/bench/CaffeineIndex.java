package io.kvcache.bench;

import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;

/**
 * The rival of the cache's index: a Caffeine cache of blocks by a chained hash, as engines keep prefixes without a tree. The key
 * of a block is 64 bits, hashed from the key of the block before it and its own tokens, as cheaply as kvcache hashes them; a
 * look-up ends with the first block that is missing.
 *
 * <p>It is inexact: tokens are not kept and not compared, so that a prompt whose hash collides gets the blocks of another one. It
 * does not know which block continues which: it may evict a block and keep those behind it, which nobody finds then. It has no
 * references, so that it may evict blocks that are in use, and no hits that end inside a block.
 *
 * <p>Thread-safe: but one caller at a time adds.
 */
final class CaffeineIndex {
    private static final int TOKENS_PER_BLOCK = TinyBlocks.TOKENS_PER_BLOCK;
    private static final long MULTIPLIER = 0xD1342543DE82EF95L; // odd, of a good spectrum (Steele, Vigna, 2022)

    private static final long NO_PARENT = 0x9E6C63D0876A9A47L; // not 0, which tokens of 0 would not change

    private final Cache<Key, Block> blocks;
    private int added;

    /** The name of a block. */
    record Key(long hash) {}

    /** What is found. */
    record Block(int number) {}

    /**
     * Makes an empty index.
     *
     * @param builder with bounds; maintenance is done in the thread that causes it, so that it is part of what is measured
     */
    CaffeineIndex(Caffeine<? super Key, ? super Block> builder) {
        blocks = builder.executor(Runnable::run).build();
    }

    /** An index of so many blocks, with room for all of them from the start. */
    static CaffeineIndex bounded(int blocks) {
        return new CaffeineIndex(Caffeine.newBuilder().maximumSize(blocks).initialCapacity(blocks));
    }

    /**
     * Finds the longest prefix of whole blocks, and leaves one token to compute.
     *
     * @param table gets the numbers of the blocks found
     * @return tokens found
     */
    int find(int[] prompt, int[] table) {
        int whole = (prompt.length - 1) / TOKENS_PER_BLOCK;
        long hash = NO_PARENT;
        for (int i = 0; i < whole; i++) {
            hash = chain(hash, prompt, i * TOKENS_PER_BLOCK);
            Block block = blocks.getIfPresent(new Key(hash));
            if (block == null) {
                return i * TOKENS_PER_BLOCK;
            }
            table[i] = block.number;
        }
        return whole * TOKENS_PER_BLOCK;
    }

    /** Adds all whole blocks of a prompt. */
    void add(int[] prompt) {
        int whole = prompt.length / TOKENS_PER_BLOCK;
        long hash = NO_PARENT;
        for (int i = 0; i < whole; i++) {
            hash = chain(hash, prompt, i * TOKENS_PER_BLOCK);
            blocks.put(new Key(hash), new Block(added++));
        }
    }

    /** Does all maintenance that is due: what has expired leaves. */
    void cleanUp() {
        blocks.cleanUp();
    }

    /** Blocks that it holds. */
    long size() {
        return blocks.estimatedSize();
    }

    private static long chain(long parent, int[] tokens, int from) {
        long hash = parent;
        for (int i = from; i < from + TOKENS_PER_BLOCK; i += 2) { // two tokens a multiplication
            long pair = (long) tokens[i] << 32 | (tokens[i + 1] & 0xFFFF_FFFFL);
            hash = (hash ^ pair) * MULTIPLIER;
            hash ^= hash >>> 32;
        }
        return hash;
    }
}
