package io.kvcache.bench.report;

import java.util.List;

/** Ratios in the words that reports and documents share. Stateless, hence thread-safe. */
final class RatioTable {
    static final List<String> HEADINGS = List.of("what", "against", "ratio", "rounds", "bar");

    private RatioTable() {}

    /** A cell for each heading. */
    static List<String> cells(Ratio ratio) {
        boolean same = ratio.lowest() == ratio.highest();
        String rounds = same ? "" : Figure.ratio(ratio.lowest()) + " to " + Figure.ratio(ratio.highest());
        return List.of(ratio.what(), ratio.rival(), Figure.ratio(ratio.value()), rounds, bar(ratio));
    }

    private static String bar(Ratio ratio) {
        Bar bar = ratio.bar();
        return bar == null ? "" : words(bar) + (bar.isMetBy(ratio.value()) ? ": met" : ": missed");
    }

    private static String words(Bar bar) {
        return (bar.side() == Bar.Side.AT_LEAST ? "at least " : "at most ") + Figure.ratio(bar.value());
    }
}
