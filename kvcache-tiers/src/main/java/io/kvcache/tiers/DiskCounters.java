package io.kvcache.tiers;

import java.util.concurrent.atomic.LongAdder;

/**
 * What a store has done.
 *
 * <p>Thread-safe.
 */
final class DiskCounters {
    final LongAdder stored = new LongAdder();
    final LongAdder declined = new LongAdder();
    final LongAdder evicted = new LongAdder();
    final LongAdder expired = new LongAdder();
    final LongAdder corrupt = new LongAdder();
    final LongAdder erased = new LongAdder();
    final LongAdder hits = new LongAdder();
    final LongAdder misses = new LongAdder();
    final LongAdder bytesWritten = new LongAdder();
    final LongAdder bytesRead = new LongAdder();
    final LongAdder growthFailures = new LongAdder();
}
