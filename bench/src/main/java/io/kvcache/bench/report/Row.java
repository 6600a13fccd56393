package io.kvcache.bench.report;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A line of a table.
 *
 * <p>Thread-safe: immutable.
 *
 * @param labels a text for each key of the table
 * @param values a number for each column; null where there is none
 */
public record Row(List<String> labels, List<@Nullable Double> values) {
    /** Copies the lists. */
    public Row {
        labels = List.copyOf(labels);
        values = Collections.unmodifiableList(new ArrayList<@Nullable Double>(values)); // may hold null
    }

    /** A row with one label. */
    public static Row of(String label, @Nullable Double... values) {
        return new Row(List.of(label), Arrays.asList(values));
    }
}
