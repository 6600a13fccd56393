package io.kvcache.tiers;

/**
 * What a {@link DiskStore} has, and what it has done since it was opened.
 *
 * <p>Thread-safe: immutable.
 *
 * @param capacityBytes what the files may take
 * @param usedBytes what the files take, free slots included, and files that could not be deleted or are left alone
 * @param blocks that can be found
 * @param segments files that are open
 * @param recoveringSegments files that were there and have not been looked through yet
 * @param stored blocks written
 * @param declined calls to store that were answered by false
 * @param evicted blocks that made room for others
 * @param expired blocks whose time to live was found to be over
 * @param corrupt blocks and files found damaged; of what was there at the start also what could not be read, and files of
 *     a later version, which are left alone
 * @param erased blocks overwritten because their namespace was erased
 * @param hits loads that found their block
 * @param misses loads that did not
 * @param bytesWritten of blocks
 * @param bytesRead of blocks handed out
 * @param growthFailures files that could not be created
 */
public record DiskStats(
        long capacityBytes,
        long usedBytes,
        long blocks,
        int segments,
        int recoveringSegments,
        long stored,
        long declined,
        long evicted,
        long expired,
        long corrupt,
        long erased,
        long hits,
        long misses,
        long bytesWritten,
        long bytesRead,
        long growthFailures) {}
