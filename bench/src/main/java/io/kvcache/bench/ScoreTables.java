package io.kvcache.bench;

import io.kvcache.bench.report.Column;
import io.kvcache.bench.report.Plot;
import io.kvcache.bench.report.Row;
import io.kvcache.bench.report.Table;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** Scores as tables and plots. Stateless, hence thread-safe. */
final class ScoreTables {
    private static final int DIGITS = 3;

    private ScoreTables() {}

    /** A table for each suite: its methods with the parameters that vary, the median score of all rounds and every secondary figure. */
    static List<Table> tables(Scores scores) {
        return scores.distinct().stream()
                .map(Score::suite)
                .distinct()
                .map(suite -> table(scores, suite))
                .toList();
    }

    private static Table table(Scores scores, String suite) {
        List<Score> rows = scores.distinct().stream()
                .filter(score -> score.suite().equals(suite))
                .toList();
        Set<String> params = new LinkedHashSet<>();
        rows.forEach(row -> params.addAll(scores.varying(row).keySet()));
        Map<String, String> figures = figures(rows); // name -> unit
        List<String> keys = new ArrayList<>(List.of("method"));
        keys.addAll(params);
        String unit = rows.getFirst().unit();
        List<Column> columns = new ArrayList<>(List.of(
                new Column("median", unit, DIGITS),
                new Column("lowest", unit, DIGITS),
                new Column("highest", unit, DIGITS)));
        figures.forEach((name, of) -> columns.add(column(name, of)));
        return new Table(
                suite.toLowerCase(Locale.ROOT),
                suite + fixed(scores, suite),
                keys,
                columns,
                rows.stream()
                        .map(row -> row(scores, row, params, figures.keySet()))
                        .toList());
    }

    private static String fixed(Scores scores, String suite) {
        String fixed = scores.fixed(suite).entrySet().stream()
                .map(param -> param.getKey() + " " + param.getValue())
                .collect(Collectors.joining(", "));
        return fixed.isEmpty() ? "" : " (" + fixed + ")";
    }

    /** Garbage and what benchmarks report themselves; of JMH's own profiler nothing else is a figure by itself. */
    private static Map<String, String> figures(List<Score> rows) {
        Map<String, String> figures = new TreeMap<>();
        for (Score row : rows) {
            row.figures().forEach((name, figure) -> {
                if (name.equals(Score.GARBAGE) || !name.startsWith("gc.")) {
                    figures.put(name, figure.unit());
                }
            });
        }
        return new LinkedHashMap<>(figures);
    }

    private static Column column(String figure, String unit) {
        return figure.equals(Score.GARBAGE)
                ? new Column("garbage", unit, 0)
                : new Column(figure, unit.equals("ratio") ? "" : unit, DIGITS);
    }

    private static Row row(Scores scores, Score row, Set<String> params, Set<String> figures) {
        List<String> labels = new ArrayList<>(List.of(row.method()));
        params.forEach(param -> labels.add(row.params().getOrDefault(param, "")));
        Spread spread = scores.spread(round -> round.of(row));
        List<@Nullable Double> values = new ArrayList<>();
        values.add(spread.median());
        values.add(spread.lowest());
        values.add(spread.highest());
        for (String figure : figures) {
            boolean has = row.figures().containsKey(figure);
            values.add(has ? scores.spread(round -> round.of(row, figure)).median() : null);
        }
        return new Row(labels, values);
    }

    /** The scores of a suite over a numeric parameter: a line for each method and each set of other parameters. */
    static Plot plot(Scores scores, String suite, String title, String param) {
        Map<String, List<Plot.Point>> lines = new LinkedHashMap<>();
        String unit = "";
        for (Score score : scores.distinct()) {
            String at = score.params().get(param);
            if (score.suite().equals(suite) && at != null) {
                unit = score.unit();
                lines.computeIfAbsent(line(scores, score, param), name -> new ArrayList<>())
                        .add(new Plot.Point(
                                Double.parseDouble(at),
                                scores.spread(round -> round.of(score)).median()));
            }
        }
        return new Plot(
                suite.toLowerCase(Locale.ROOT),
                title,
                new Plot.Axis(param, true),
                new Plot.Axis(unit, true),
                lines.entrySet().stream()
                        .map(line -> new Plot.Line(line.getKey(), sorted(line.getValue())))
                        .toList());
    }

    private static List<Plot.Point> sorted(List<Plot.Point> points) {
        return points.stream().sorted(Comparator.comparingDouble(Plot.Point::x)).toList();
    }

    private static String line(Scores scores, Score score, String param) {
        Map<String, String> others = new TreeMap<>(scores.varying(score));
        others.remove(param);
        return others.isEmpty() ? score.method() : score.method() + " " + String.join(" ", others.values());
    }
}
