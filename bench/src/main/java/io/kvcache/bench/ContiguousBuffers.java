package io.kvcache.bench;

import org.jspecify.annotations.Nullable;

/**
 * Every sequence in one piece. A full buffer is replaced by one of twice the size, but never longer than the longest sequence; both
 * exist while one is copied into the other. Any free memory fits any buffer, as if it never were in pieces.
 *
 * <p>Not thread-safe.
 */
final class ContiguousBuffers implements TokenStorage {
    private final long memorySlots;
    private final int longest;
    private final BufferRule rule;
    private long reserved;
    private long peak;

    ContiguousBuffers(long memorySlots, int longest, BufferRule rule) {
        this.memorySlots = memorySlots;
        this.longest = longest;
        this.rule = rule;
    }

    @Override
    public @Nullable Stored start(int tokens) {
        int needed = Math.min(longest, tokens + 1); // a sequence without a first token needs no room for it
        long slots = Math.min(longest, rule.firstSlots(needed));
        return tryTake(slots) ? new Buffer(tokens, slots) : null;
    }

    private boolean tryTake(long slots) {
        if (slots > memorySlots - reserved) {
            return false;
        }
        reserved += slots;
        peak = Math.max(peak, reserved);
        return true;
    }

    @Override
    public long reservedSlots() {
        return reserved;
    }

    @Override
    public long peakReservedSlots() {
        return peak;
    }

    @Override
    public void close() {
        reserved = 0;
    }

    private final class Buffer implements Stored {
        private int tokens;
        private long slots;

        Buffer(int tokens, long slots) {
            this.tokens = tokens;
            this.slots = slots;
        }

        @Override
        public int tokens() {
            return tokens;
        }

        @Override
        public boolean tryGrow() {
            if (tokens == slots && !replace()) {
                return false;
            }
            tokens++;
            return true;
        }

        private boolean replace() {
            long larger = Math.min(longest, 2 * slots);
            if (larger == slots) {
                throw new IllegalStateException(
                        "sequence outgrows the longest one: tokens=" + tokens + " longest=" + longest);
            }
            if (!tryTake(larger)) {
                return false;
            }
            reserved -= slots;
            slots = larger;
            return true;
        }

        @Override
        public void release() {
            reserved -= slots;
        }
    }
}
