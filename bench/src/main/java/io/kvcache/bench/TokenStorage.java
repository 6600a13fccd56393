package io.kvcache.bench;

import org.jspecify.annotations.Nullable;

/**
 * A way to keep the keys and values of sequences in a memory of limited size, as far as lengths go. Memory is counted in slots:
 * each is room for one token.
 *
 * <p>Not thread-safe.
 */
interface TokenStorage extends AutoCloseable {
    /** Starts a sequence that has so many tokens; null where there is no room for these and one more. */
    @Nullable
    Stored start(int tokens);

    /** Slots that are taken now, with a token in them or without. */
    long reservedSlots();

    /** The most that were ever taken. */
    long peakReservedSlots();

    /** Gives back what sequences have not. */
    @Override
    void close();

    /**
     * A sequence in memory.
     *
     * <p>Not thread-safe.
     */
    interface Stored {
        int tokens();

        /** Appends a token; false where there is no room for it, and nothing has changed. */
        boolean tryGrow();

        /** Gives back its memory. It is not used any more. */
        void release();
    }
}
