package io.kvcache.remote;

import java.util.concurrent.atomic.LongAdder;

/**
 * What a store has done.
 *
 * <p>Thread-safe.
 */
final class RemoteCounters {
    final LongAdder hits = new LongAdder();
    final LongAdder misses = new LongAdder();
    final LongAdder corrupt = new LongAdder();
    final LongAdder stored = new LongAdder();
    final LongAdder declined = new LongAdder();
    final LongAdder failures = new LongAdder();
    final LongAdder unreachable = new LongAdder();
    final LongAdder redirected = new LongAdder();
    final LongAdder bytesRead = new LongAdder();
    final LongAdder bytesWritten = new LongAdder();

    RemoteStats stats(Servers servers) {
        return new RemoteStats(
                servers.nodes().size(),
                (int) servers.nodes().stream().filter(Node::isOpen).count(),
                servers.nodes().stream().mapToInt(Node::openConnections).sum(),
                hits.sum(),
                misses.sum(),
                corrupt.sum(),
                stored.sum(),
                declined.sum(),
                failures.sum(),
                unreachable.sum(),
                redirected.sum(),
                bytesRead.sum(),
                bytesWritten.sum());
    }
}
