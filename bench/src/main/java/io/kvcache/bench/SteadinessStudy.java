package io.kvcache.bench;

import io.kvcache.bench.report.Bar;
import io.kvcache.bench.report.Column;
import io.kvcache.bench.report.Findings;
import io.kvcache.bench.report.Plot;
import io.kvcache.bench.report.Plot.Axis;
import io.kvcache.bench.report.Plot.Line;
import io.kvcache.bench.report.Plot.Point;
import io.kvcache.bench.report.Ratio;
import io.kvcache.bench.report.Row;
import io.kvcache.bench.report.Table;
import java.time.Duration;
import java.util.ArrayList;
import java.util.DoubleSummaryStatistics;
import java.util.List;
import java.util.Locale;
import java.util.function.ToDoubleFunction;
import java.util.stream.DoubleStream;
import org.jspecify.annotations.Nullable;

/**
 * Whether a cache that is full, shared by tenants and used in every way by two threads is after minutes as quick and as large as it was
 * after its start.
 *
 * <p>Thread-safe: immutable.
 */
final class SteadinessStudy implements Study {
    private static final int THREADS = 2;
    private static final int TENTHS = 10;
    private static final int INTERVALS_PER_TENTH = 6;
    private static final double MEBIBYTE = 1 << 20;

    /** What a sequence takes on the Java heap: its handle. */
    private static final double HANDLE_BYTES = 64;

    @Override
    public String name() {
        return "steadiness";
    }

    @Override
    public String title() {
        return "Minutes of mixed work on a full cache: latency, throughput and memory over time";
    }

    @Override
    public List<String> notShown() {
        return List.of(
                "How long callers would wait who come at times of their own: each thread sends its next request when"
                    + " the last one is done (a closed loop), so a pause delays requests that are then not counted as"
                    + " late.",
                "A model: keys and values are written, in 4 layers of 2 heads of 64, and one row of a prompt is read;"
                        + " nothing is computed.",
                "More threads than two, and memory beyond 256 MiB.",
                "Days: what grows by less than the figures vary within minutes stays unseen.");
    }

    @Override
    public Duration expected(Effort effort) {
        return duration(effort).plusSeconds(effort == Effort.SMOKE ? 0 : 1);
    }

    private static Duration duration(Effort effort) {
        return switch (effort) {
            case SMOKE -> Duration.ofMillis(600);
            case QUICK -> Duration.ofSeconds(20);
            case FULL -> Duration.ofMinutes(10);
        };
    }

    private static long cacheBytes(Effort effort) {
        return effort == Effort.SMOKE ? 16L << 20 : 256L << 20;
    }

    @Override
    public boolean wantsOwnProcess() {
        return true;
    }

    /** All of a small heap is there from the start: otherwise heap that is touched for the first time looks like growth. */
    @Override
    public List<String> processFlags() {
        return List.of("-Xms256m", "-Xmx256m", "-XX:+AlwaysPreTouch");
    }

    @Override
    public Findings run(StudyRun run) throws Exception {
        Duration duration = duration(run.effort());
        SteadyRun steady = new SteadyRun(cacheBytes(run.effort()), duration, TENTHS * INTERVALS_PER_TENTH);
        List<SteadyInterval> intervals = steady.run(THREADS);
        List<SteadyInterval> tenths = new ArrayList<>();
        for (int tenth = 0; tenth < TENTHS; tenth++) {
            tenths.add(SteadyInterval.all(tenth(intervals, tenth)));
        }
        return new Findings(
                ratios(run.effort(), intervals, tenths, steady.tally()),
                List.of(latencies(tenths), course(tenths)),
                List.of(latencyPlot(intervals), operationPlot(intervals), memoryPlot(intervals)),
                notes(steady.tally(), cacheBytes(run.effort())));
    }

    private static List<SteadyInterval> tenth(List<SteadyInterval> intervals, int tenth) {
        return intervals.subList(tenth * INTERVALS_PER_TENTH, (tenth + 1) * INTERVALS_PER_TENTH);
    }

    // ---- ratios ----

    private static List<Ratio> ratios(
            Effort effort, List<SteadyInterval> intervals, List<SteadyInterval> tenths, SteadyTally tally) {
        List<SteadyInterval> last = tenth(intervals, TENTHS - 1);
        List<Ratio> ratios = new ArrayList<>();
        ratios.add(lastToSecond("requests a second", last, tenths, SteadyInterval::requestsPerSecond, null));
        for (TimedOperation operation : TimedOperation.values()) {
            ToDoubleFunction<SteadyInterval> p99 = interval -> interval.micros(operation, 99);
            ratios.add(lastToSecond("p99 of " + label(operation), last, tenths, p99, null));
        }
        // In a short run the memory of the compiler, which is still at work, would decide.
        Bar residentBar = effort == Effort.FULL ? Bar.atMost(1.05) : null;
        ratios.add(lastToSecond("resident memory", last, tenths, interval -> interval.residentBytes, residentBar));
        double handles = HANDLE_BYTES * tally.sequences() / tally.requests(); // of a request
        ratios.add(ratio(
                "Java heap that a request allocates, last tenth",
                "the handles of its sequences, 64 bytes each",
                last,
                tenths.getLast(),
                interval -> interval.garbageBytesPerRequest() / handles,
                null));
        // In a run that is too short there may be a tenth without any.
        return ratios.stream().filter(ratio -> Double.isFinite(ratio.value())).toList();
    }

    private static Ratio lastToSecond(
            String what,
            List<SteadyInterval> last,
            List<SteadyInterval> tenths,
            ToDoubleFunction<SteadyInterval> figure,
            @Nullable Bar bar) {
        double second = figure.applyAsDouble(tenths.get(1));
        return ratio(
                what + ", last tenth",
                "the second tenth",
                last,
                tenths.getLast(),
                interval -> figure.applyAsDouble(interval) / second,
                bar);
    }

    /** The ratio of a whole; lowest and highest are those of its parts. */
    private static Ratio ratio(
            String what,
            String rival,
            List<SteadyInterval> parts,
            SteadyInterval whole,
            ToDoubleFunction<SteadyInterval> figure,
            @Nullable Bar bar) {
        double value = figure.applyAsDouble(whole);
        DoubleSummaryStatistics ofParts = DoubleStream.concat(
                        DoubleStream.of(value), parts.stream().mapToDouble(figure))
                .filter(Double::isFinite)
                .summaryStatistics();
        return new Ratio(what, rival, value, ofParts.getMin(), ofParts.getMax(), bar);
    }

    private static String label(TimedOperation operation) {
        return operation.name().toLowerCase(Locale.ROOT);
    }

    // ---- tables ----

    private static Table latencies(List<SteadyInterval> tenths) {
        List<Column> columns = List.of(
                Column.count("count"),
                new Column("p50", "us", 3),
                new Column("p99", "us", 3),
                new Column("p99.9", "us", 3),
                new Column("max", "us", 3));
        List<Row> rows = new ArrayList<>();
        for (TimedOperation operation : TimedOperation.values()) {
            for (int tenth = 0; tenth < TENTHS; tenth++) {
                SteadyInterval figures = tenths.get(tenth);
                rows.add(new Row(
                        List.of(label(operation), String.valueOf(tenth + 1)),
                        List.of(
                                (double) figures.count(operation),
                                figures.micros(operation, 50),
                                figures.micros(operation, 99),
                                figures.micros(operation, 99.9),
                                figures.micros(operation, 100))));
            }
        }
        return new Table(
                "latencies", "Time of operations by tenth of the run", List.of("operation", "tenth"), columns, rows);
    }

    private static Table course(List<SteadyInterval> tenths) {
        List<Column> columns = List.of(
                new Column("requests", "1/s", 3),
                new Column("open, reserve and commit", "1/s", 3),
                new Column("resident", "MiB", 4),
                new Column("cache", "MiB", 4),
                new Column("Java heap used", "MiB", 3),
                new Column("garbage a request", "B", 3),
                new Column("garbage a call", "B", 3),
                Column.count("collections"),
                new Column("collecting", "ms", 3));
        List<Row> rows = new ArrayList<>();
        for (int tenth = 0; tenth < TENTHS; tenth++) {
            rows.add(row(tenth, tenths.get(tenth)));
        }
        return new Table("course", "Throughput and memory by tenth of the run", List.of("tenth"), columns, rows);
    }

    private static Row row(int tenth, SteadyInterval figures) {
        return Row.of(
                String.valueOf(tenth + 1),
                figures.requestsPerSecond(),
                figures.calls() / figures.seconds,
                figures.residentBytes == 0 ? null : figures.residentBytes / MEBIBYTE,
                figures.nativeBytes / MEBIBYTE,
                figures.heapBytes / MEBIBYTE,
                figures.calls() == 0 ? null : figures.garbageBytesPerRequest(),
                figures.calls() == 0 ? null : (double) figures.garbageBytes / figures.calls(),
                (double) figures.collections,
                (double) figures.collectionMillis);
    }

    // ---- plots ----

    private static Plot latencyPlot(List<SteadyInterval> intervals) {
        List<Line> lines = List.of(
                line("p50", intervals, interval -> interval.micros(TimedOperation.REQUEST, 50)),
                line("p99", intervals, interval -> interval.micros(TimedOperation.REQUEST, 99)),
                line("p99.9", intervals, interval -> interval.micros(TimedOperation.REQUEST, 99.9)),
                line("max", intervals, interval -> interval.micros(TimedOperation.REQUEST, 100)));
        return plot("requests", "Time of a request in the course of the run", new Axis("us", true), lines);
    }

    private static Plot operationPlot(List<SteadyInterval> intervals) {
        List<Line> lines = new ArrayList<>();
        for (TimedOperation operation : List.of(TimedOperation.OPEN, TimedOperation.RESERVE, TimedOperation.COMMIT)) {
            lines.add(line(label(operation) + ", p99", intervals, interval -> interval.micros(operation, 99)));
            lines.add(line(label(operation) + ", p99.9", intervals, interval -> interval.micros(operation, 99.9)));
        }
        return plot("operations", "Time of operations in the course of the run", new Axis("us", true), lines);
    }

    private static Plot memoryPlot(List<SteadyInterval> intervals) {
        List<Line> lines = List.of(
                line("resident", intervals, interval -> interval.residentBytes / MEBIBYTE),
                line("blocks of the cache", intervals, interval -> interval.nativeBytes / MEBIBYTE),
                line("Java heap used", intervals, interval -> interval.heapBytes / MEBIBYTE));
        return plot("memory", "Memory in the course of the run", new Axis("MiB", false), lines);
    }

    private static Plot plot(String name, String title, Axis y, List<Line> lines) {
        return new Plot(name, title, new Axis("seconds", false), y, lines);
    }

    /** A line through the intervals, without those of which the figure is 0: they had none. */
    private static Line line(String name, List<SteadyInterval> intervals, ToDoubleFunction<SteadyInterval> figure) {
        List<Point> points = new ArrayList<>();
        double seconds = 0;
        for (SteadyInterval interval : intervals) {
            seconds += interval.seconds;
            double value = figure.applyAsDouble(interval);
            if (value > 0) {
                points.add(new Point(seconds, value));
            }
        }
        return new Line(name, points);
    }

    // ---- notes ----

    private static List<String> notes(SteadyTally tally, long cacheBytes) {
        return List.of(
                String.format(
                        Locale.ROOT,
                        "Two threads, a cache of %,d MiB, four tenants: one with a floor of an eighth of it, one with"
                            + " a ceiling of a quarter, one that may pin, one whose blocks live a tenth of a second"
                            + " and which is erased now and then. Prompts begin with one of %,d prefixes of 64 to 511"
                            + " tokens, by Zipf's law; all of them together are several times as large as the cache,"
                            + " which stays full.",
                        cacheBytes >> 20,
                        SteadyPrompts.PREFIXES),
                String.format(
                        Locale.ROOT,
                        "%,d requests; %,d found no room and ended; %,d continued a session, %,d sessions were stored,"
                                + " %,d forks, %,d truncates, %,d pins, %,d erasures. Keys of %,d cached tokens were"
                                + " looked at: all were those of the token.",
                        tally.requests(),
                        tally.refused(),
                        tally.continued(),
                        tally.stored(),
                        tally.forks(),
                        tally.truncates(),
                        tally.pins(),
                        tally.erasures(),
                        tally.checkedTokens()),
                "At the end every sequence was closed, all bookkeeping was counted again and found right, and nothing"
                        + " had leaked.",
                "The run begins when the cache is full. Its first tenth is warm-up. Lowest and highest are single"
                    + " intervals, a sixtieth of the run each, of the last tenth. Times are to within 1 %. The time of"
                    + " a request holds what the workload itself does, and waits for the lock that both threads need.",
                "Resident memory is the whole process, its Java heap included, which the JVM enlarges as it likes"
                        + " unless it is told to take all of it at start (-Xms equal to -Xmx, -XX:+AlwaysPreTouch).");
    }
}
