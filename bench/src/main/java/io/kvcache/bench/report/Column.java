package io.kvcache.bench.report;

/**
 * What the numbers below a heading are.
 *
 * <p>Thread-safe: immutable.
 *
 * @param name the heading
 * @param unit behind each number in the heading; empty for ratios and counts
 * @param digits significant digits that are shown; 0 shows whole numbers, grouped by thousands
 */
public record Column(String name, String unit, int digits) {
    /** A column of counts. */
    public static Column count(String name) {
        return new Column(name, "", 0);
    }

    /** A column of ratios. */
    public static Column ratio(String name) {
        return new Column(name, "", 3);
    }
}
