package io.kvcache.bench.report;

import java.util.ArrayList;
import java.util.List;

/**
 * A table as text, for whatever form it is written in.
 *
 * <p>Thread-safe: immutable.
 *
 * @param headings above each column
 * @param numbersFrom the first column that holds numbers
 * @param lines texts, as many as headings in each
 */
record Cells(List<String> headings, int numbersFrom, List<List<String>> lines) {
    static Cells of(Table table) {
        List<String> headings = new ArrayList<>(table.keys());
        for (Column column : table.columns()) {
            headings.add(column.unit().isEmpty() ? column.name() : column.name() + ", " + column.unit());
        }
        return new Cells(
                List.copyOf(headings),
                table.keys().size(),
                table.rows().stream().map(row -> line(table, row)).toList());
    }

    private static List<String> line(Table table, Row row) {
        List<String> line = new ArrayList<>(row.labels());
        for (int i = 0; i < row.values().size(); i++) {
            line.add(Figure.text(row.values().get(i), table.columns().get(i).digits()));
        }
        return line;
    }

    static Cells of(List<Ratio> ratios) {
        return new Cells(
                RatioTable.HEADINGS, 2, ratios.stream().map(RatioTable::cells).toList());
    }

    /** For documents. */
    String markdown() {
        StringBuilder text = new StringBuilder();
        appendLine(text, headings);
        appendLine(text, headings.stream().map(heading -> "---").toList());
        lines.forEach(line -> appendLine(text, line));
        return text.toString();
    }

    private static void appendLine(StringBuilder text, List<String> cells) {
        text.append('|');
        cells.forEach(cell -> text.append(cell.isEmpty() ? " |" : " " + cell.replace("|", "\\|") + " |"));
        text.append('\n');
    }
}
