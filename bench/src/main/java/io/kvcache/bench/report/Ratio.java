package io.kvcache.bench.report;

import org.jspecify.annotations.Nullable;

/**
 * The cache against a named rival or limit, both measured in the same run.
 *
 * <p>Thread-safe: immutable.
 *
 * @param what what is compared, so that the sentence "what: value times rival" says which way round it is
 * @param rival what it is divided by: a library and its configuration, a limit of the machine, or the same at another size
 * @param value the median over rounds
 * @param lowest of all rounds
 * @param highest of all rounds
 * @param bar what it has to be; null where the ratio is only told
 */
public record Ratio(
        String what,
        String rival,
        double value,
        double lowest,
        double highest,
        @Nullable Bar bar) {
    /** A ratio that comes out the same every time. */
    public static Ratio exact(String what, String rival, double value, @Nullable Bar bar) {
        return new Ratio(what, rival, value, value, value, bar);
    }
}
