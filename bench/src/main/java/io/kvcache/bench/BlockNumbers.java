package io.kvcache.bench;

import org.agrona.collections.Long2LongHashMap;

/**
 * Gives the ids of blocks in a trace dense numbers from 0, in the order in which they come up.
 *
 * <p>Not thread-safe.
 */
final class BlockNumbers {
    private static final int NONE = -1;

    private final Long2LongHashMap numbers = new Long2LongHashMap(NONE);

    int of(long id) {
        long number = numbers.get(id);
        if (number == NONE) {
            number = numbers.size();
            numbers.put(id, number);
        }
        return (int) number;
    }

    /** How many ids there were. */
    int size() {
        return numbers.size();
    }
}
