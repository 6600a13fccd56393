package io.kvcache.bench;

/**
 * How large the first buffer of a sequence is, where sequences lie in one piece.
 *
 * <p>Thread-safe: immutable.
 */
enum BufferRule {
    /** As long as any sequence can become: it is never replaced. */
    WHOLE_CONTEXT {
        @Override
        long firstSlots(int tokens) {
            return Integer.MAX_VALUE;
        }
    },

    /** The next power of two, from 16 on: buffers that are given back fit others. */
    POWER_OF_TWO {
        @Override
        long firstSlots(int tokens) {
            return Math.max(16, Long.highestOneBit(2L * tokens - 1));
        }
    },

    /** Exactly what the prompt and the first token need. */
    EXACT {
        @Override
        long firstSlots(int tokens) {
            return tokens;
        }
    };

    /** Slots of the first buffer for so many tokens, at least 1. */
    abstract long firstSlots(int tokens);
}
