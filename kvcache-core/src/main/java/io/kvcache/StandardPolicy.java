package io.kvcache;

import java.util.Locale;

/**
 * The policies that come with the cache, as constants: equal choices are equal, and say their name.
 *
 * <p>Thread-safe: immutable.
 */
enum StandardPolicy implements EvictionPolicy.Factory {
    LRU {
        @Override
        public EvictionPolicy create(int maximumBlocks) {
            return new LruPolicy();
        }
    },
    HDE {
        @Override
        public EvictionPolicy create(int maximumBlocks) {
            return new HdePolicy(maximumBlocks);
        }
    };

    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT) + "()";
    }
}
