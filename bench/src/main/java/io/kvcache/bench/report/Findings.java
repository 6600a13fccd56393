package io.kvcache.bench.report;

import java.util.List;

/**
 * What a study found out.
 *
 * <p>Thread-safe: immutable.
 *
 * @param ratios the cache against rivals and limits: what the study is about
 * @param tables all figures
 * @param plots the same to look at
 * @param notes how rivals were set up, what they lack, and other things that a reader of the figures must know
 */
public record Findings(List<Ratio> ratios, List<Table> tables, List<Plot> plots, List<String> notes) {
    /** Copies the lists. */
    public Findings {
        ratios = List.copyOf(ratios);
        tables = List.copyOf(tables);
        plots = List.copyOf(plots);
        notes = List.copyOf(notes);
    }
}
