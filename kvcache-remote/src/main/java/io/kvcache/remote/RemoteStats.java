package io.kvcache.remote;

/**
 * What a {@link RemoteStore} has done since it was opened, and how it is connected.
 *
 * <p>Thread-safe: immutable.
 *
 * @param nodes servers that have blocks
 * @param reachableNodes of which a connection is open
 * @param connections that are open
 * @param hits loads that found their block
 * @param misses loads that did not, damaged blocks and servers that could not be reached among them
 * @param corrupt loads whose block, or a part of it, was damaged, mixed up or cut
 * @param stored blocks that servers took
 * @param declined calls to store that were answered by false
 * @param failures calls that ended by an exception
 * @param unreachable calls that were misses because their server could not be reached, while others could
 * @param redirected calls that went to another server than was known to have the block
 * @param bytesRead of blocks handed out
 * @param bytesWritten of blocks stored
 */
public record RemoteStats(
        int nodes,
        int reachableNodes,
        int connections,
        long hits,
        long misses,
        long corrupt,
        long stored,
        long declined,
        long failures,
        long unreachable,
        long redirected,
        long bytesRead,
        long bytesWritten) {}
