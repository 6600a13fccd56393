package io.kvcache;

/**
 * What a cache holds at one moment.
 *
 * <p>Thread-safe: immutable.
 *
 * @param openSequences sequences that are open
 * @param usedBlocks blocks that at least one sequence holds
 * @param allocatedBlocks blocks that have native memory, used or free
 * @param maximumBlocks blocks that {@code maximumBytes} allows
 * @param blockBytes size of a block
 * @param maximumBytes the limit that the cache was built with
 */
public record CacheStats(
        int openSequences, int usedBlocks, int allocatedBlocks, int maximumBlocks, long blockBytes, long maximumBytes) {
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
