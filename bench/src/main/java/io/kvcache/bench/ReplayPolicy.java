package io.kvcache.bench;

import io.kvcache.EvictionPolicy;

/**
 * The policies that a replay can compare, by their names on the command line.
 *
 * <p>Thread-safe: immutable.
 */
public enum ReplayPolicy {
    LRU,
    HDE,
    FIFO,
    LFUDA,
    ARC,
    S3FIFO;

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
