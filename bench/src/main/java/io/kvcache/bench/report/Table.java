package io.kvcache.bench.report;

import java.util.List;

/**
 * Figures in rows and columns.
 *
 * <p>Thread-safe: immutable.
 *
 * @param name short, of letters and hyphens, unique within a study; documents refer to it
 * @param title what the table shows
 * @param keys headings of the labels that each row begins with
 * @param columns headings of the numbers behind them
 * @param rows the figures
 */
public record Table(String name, String title, List<String> keys, List<Column> columns, List<Row> rows) {
    /** Copies the lists and checks that every row is complete. */
    public Table {
        keys = List.copyOf(keys);
        columns = List.copyOf(columns);
        rows = List.copyOf(rows);
        for (Row row : rows) {
            if (row.labels().size() != keys.size() || row.values().size() != columns.size()) {
                throw new IllegalArgumentException(
                        "a row must have a label for each key and a number for each column: table=" + name + " keys="
                                + keys + " columns=" + columns + " row=" + row);
            }
        }
    }
}
