package io.kvcache;

import java.util.AbstractList;
import java.util.Arrays;
import java.util.RandomAccess;

/**
 * Tokens as a list, at four bytes each: events and contents can wait by the hundred thousand.
 *
 * <p>Thread-safe: immutable.
 */
final class TokenList extends AbstractList<Integer> implements RandomAccess {
    private final int[] tokens;

    /** Makes a list of an array, which is not copied and not changed any more. */
    TokenList(int[] tokens) {
        this.tokens = tokens;
    }

    static TokenList copyOf(int[] source, int from, int count) {
        return new TokenList(Arrays.copyOfRange(source, from, from + count));
    }

    @Override
    public Integer get(int at) {
        return tokens[at];
    }

    @Override
    public int size() {
        return tokens.length;
    }
}
