package io.kvcache.bench;

import io.kvcache.EvictionPolicy;

/**
 * Policies that know a trace before it is replayed: limits to compare with, of no use to a cache.
 *
 * <p>Thread-safe: immutable.
 */
enum OfflinePolicy implements TracePolicy {
    OPTIMUM;

    @Override
    public EvictionPolicy.Factory factory(Trace trace) {
        NextUses uses = new NextUses(trace);
        return maximumBlocks -> new OptimumPolicy(uses);
    }
}
