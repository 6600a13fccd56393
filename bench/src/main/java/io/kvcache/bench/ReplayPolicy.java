package io.kvcache.bench;

import io.kvcache.EvictionPolicy;

/**
 * Policies that a cache can have, by their names on the command line.
 *
 * <p>Thread-safe: immutable.
 */
public enum ReplayPolicy implements TracePolicy {
    LRU,
    HDE,
    FIFO,
    LFUDA,
    ARC,
    S3FIFO;

    @Override
    public EvictionPolicy.Factory factory(Trace trace) {
        return factory();
    }

    EvictionPolicy.Factory factory() {
        return switch (this) {
            case LRU -> EvictionPolicy.lru();
            case HDE -> EvictionPolicy.hde();
            case FIFO -> maximumBlocks -> new FifoPolicy();
            case LFUDA -> maximumBlocks -> new LfuDaPolicy();
            case ARC -> ArcPolicy::new;
            case S3FIFO -> S3FifoPolicy::new;
        };
    }
}
