package io.kvcache;

/**
 * What a cache holds at one moment.
 *
 * <p>Thread-safe: immutable.
 *
 * @param openSequences sequences that are open
 * @param usedBlocks blocks that sequences or pins hold
 * @param cachedBlocks blocks that nobody holds, kept for prompts that begin with the same tokens
 * @param allocatedBlocks blocks that have native memory: used, cached or free
 * @param maximumBlocks blocks that {@code maximumBytes} allows
 * @param blockBytes size of a block
 * @param maximumBytes the limit that the cache was built with
 * @param pinnedBlocks blocks that namespaces pin, among the used ones
 * @param evictedBlocks cached blocks given up for room, since the cache was built
 * @param expiredBlocks blocks whose time had come, since the cache was built
 */
public record CacheStats(
        int openSequences,
        int usedBlocks,
        int cachedBlocks,
        int allocatedBlocks,
        int maximumBlocks,
        long blockBytes,
        long maximumBytes,
        int pinnedBlocks,
        long evictedBlocks,
        long expiredBlocks) {
    /**
     * Returns the memory of the blocks in use.
     *
     * @return bytes
     */
    public long usedBytes() {
        return usedBlocks * blockBytes;
    }

    /**
     * Returns the native memory allocated so far. It grows with the blocks in use, in chunks of 2 MiB or a block.
     *
     * @return bytes
     */
    public long allocatedBytes() {
        return allocatedBlocks * blockBytes;
    }
}
