package io.kvcache.bench.report;

import java.util.List;

/**
 * Everything that is kept of a study: reports and documents are made from this alone.
 *
 * <p>Thread-safe: immutable.
 *
 * @param name of the study
 * @param title what it measures, against what
 * @param command repeats it
 * @param measured the day
 * @param seconds that it took
 * @param machine what it ran on
 * @param findings what it found out
 * @param notShown what its figures do not show
 */
public record StudyResults(
        String name,
        String title,
        String command,
        String measured,
        long seconds,
        Machine machine,
        Findings findings,
        List<String> notShown) {
    /** Copies the list. */
    public StudyResults {
        notShown = List.copyOf(notShown);
    }
}
