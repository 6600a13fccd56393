package io.kvcache.bench;

import java.util.Arrays;

/**
 * Several measurements of the same thing.
 *
 * <p>Thread-safe: immutable.
 *
 * @param lowest the least
 * @param median the one in the middle, or the mean of the two there
 * @param highest the greatest
 */
record Spread(double lowest, double median, double highest) {
    static Spread of(double... values) {
        if (values.length == 0) {
            throw new IllegalArgumentException("must have a value: values=0");
        }
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        double middle = (sorted[(sorted.length - 1) / 2] + sorted[sorted.length / 2]) / 2;
        return new Spread(sorted[0], middle, sorted[sorted.length - 1]);
    }
}
