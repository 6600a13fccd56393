package io.kvcache.bench.report;

/**
 * How great a ratio has to be.
 *
 * <p>Thread-safe: immutable.
 *
 * @param side on which side of the value it has to be
 * @param value the bar
 */
public record Bar(Side side, double value) {
    /** Which ratios meet a bar. */
    public enum Side {
        /** The bar or more. */
        AT_LEAST,

        /** The bar or less. */
        AT_MOST
    }

    /** A bar to reach. */
    public static Bar atLeast(double value) {
        return new Bar(Side.AT_LEAST, value);
    }

    /** A bar not to exceed. */
    public static Bar atMost(double value) {
        return new Bar(Side.AT_MOST, value);
    }

    /** Whether a ratio meets it. */
    public boolean isMetBy(double ratio) {
        return side == Side.AT_LEAST ? ratio >= value : ratio <= value;
    }
}
