package io.kvcache.bench;

import io.kvcache.bench.MemoryOutcome.Moment;
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
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.function.ToDoubleFunction;
import org.jspecify.annotations.Nullable;

/**
 * How many sequences of the lengths of a trace fit in a memory at a time, and how much of what they take holds tokens: with room
 * for the longest request set aside for each, with buffers that double, and in blocks. Blocks are those of a real cache; the two
 * rivals are arithmetic, which does them no wrong: their memory is never in pieces.
 *
 * <p>Thread-safe: immutable.
 */
final class MemoryStudy implements Study {
    /** Keys and values of a token: 32 layers x 8 K/V heads x 128 elements x 2 bytes, for K and for V: 128 KiB. */
    private static final long TOKEN_BYTES = 32L * 8 * 128 * 2 * 2;

    private static final long USUAL_SLOTS = (64L << 30) / TOKEN_BYTES;

    /** Sequences of the greatest length that fit at least; more than a buffer of half the length and its successor need. */
    private static final int LEAST_LONGEST = 4;

    private static final double GIB = 1L << 30;

    /** Which outcomes are compared. */
    private enum Kind {
        PREALLOCATION,
        DOUBLING,
        PAGED
    }

    /** The order is that of tables. */
    private enum Way {
        PREALLOCATION(Kind.PREALLOCATION, "preallocation of the longest request"),
        DOUBLING_POWERS(Kind.DOUBLING, "doubling buffers, powers of two"),
        DOUBLING_EXACT(Kind.DOUBLING, "doubling buffers, exact for the prompt"),
        PAGED_16(Kind.PAGED, "kvcache, 16 tokens a block"),
        PAGED_64(Kind.PAGED, "kvcache, 64 tokens a block");

        final Kind kind;
        final String label;

        Way(Kind kind, String label) {
            this.kind = kind;
            this.label = label;
        }

        TokenStorage create(long slots, int longest) {
            return switch (this) {
                case PREALLOCATION -> new ContiguousBuffers(slots, longest, BufferRule.WHOLE_CONTEXT);
                case DOUBLING_POWERS -> new ContiguousBuffers(slots, longest, BufferRule.POWER_OF_TWO);
                case DOUBLING_EXACT -> new ContiguousBuffers(slots, longest, BufferRule.EXACT);
                case PAGED_16 -> new PagedBlocks(slots, longest, 16);
                case PAGED_64 -> new PagedBlocks(slots, longest, 64);
            };
        }
    }

    private record Result(Way way, MemoryOutcome outcome) {}

    @Override
    public String name() {
        return "memory";
    }

    @Override
    public String title() {
        return "Sequences that fit in a memory: blocks against preallocation and doubling buffers";
    }

    @Override
    public List<String> notShown() {
        return List.of(
                "Sharing: only the lengths of requests are taken from the trace, and each sequence has its tokens to"
                    + " itself. Blocks can share prefixes, which would fit more sequences still; buffers in one piece"
                    + " cannot.",
                "Fragmentation between buffers: the rivals' memory is a number, and any free part of it fits any"
                        + " buffer.",
                "Time: a step adds a token to each sequence, whatever it would take to compute; prompts are there at"
                        + " once, and copies of buffers cost nothing but the memory of both while they are made.",
                "Times of arrival: the queue is never empty.");
    }

    @Override
    public Duration expected(Effort effort) {
        return switch (effort) {
            case SMOKE -> Duration.ofSeconds(1);
            case QUICK -> Duration.ofSeconds(4);
            case FULL -> Duration.ofSeconds(10);
        };
    }

    @Override
    public boolean wantsOwnProcess() {
        return false;
    }

    @Override
    public Findings run(StudyRun run) {
        List<TraceRequest> requests = run.trace().requests();
        int count = count(run.effort(), requests.size());
        int longest = Math.max(1, MemorySimulation.longest(requests));
        long memorySlots = Math.max(USUAL_SLOTS, (long) LEAST_LONGEST * longest);
        List<Result> results = new ArrayList<>();
        for (Way way : Way.values()) {
            try (TokenStorage storage = way.create(memorySlots, longest)) {
                results.add(new Result(way, new MemorySimulation(storage, requests, count).run()));
            }
        }
        return new Findings(
                ratios(results, run.traceFile() != null),
                List.of(table(results, run.traceName(), memorySlots)),
                plots(results, run.traceName(), memorySlots),
                notes(requests, count, longest, memorySlots));
    }

    /** How many requests start. */
    private static int count(Effort effort, int requests) {
        return switch (effort) {
            case SMOKE -> Math.min(requests, 200);
            case QUICK -> Math.clamp(requests, 2_000, 4_000);
            case FULL -> Math.max(requests, 4_000);
        };
    }

    // ---- ratios ----

    /** The bars are for traces of the world: the longest request of the sample is only three times the mean. */
    private static List<Ratio> ratios(List<Result> results, boolean isGiven) {
        ToDoubleFunction<MemoryOutcome> peak = MemoryOutcome::peakSequences;
        ToDoubleFunction<MemoryOutcome> mean = MemoryOutcome::meanSequences;
        return List.of(
                ratio("most sequences at a time", results, Kind.PREALLOCATION, peak, isGiven ? Bar.atLeast(8) : null),
                ratio("mean of sequences at a time", results, Kind.PREALLOCATION, mean, null),
                ratio("most sequences at a time", results, Kind.DOUBLING, peak, isGiven ? Bar.atLeast(1.2) : null),
                ratio("mean of sequences at a time", results, Kind.DOUBLING, mean, null));
    }

    private static Ratio ratio(
            String what, List<Result> results, Kind rivals, ToDoubleFunction<MemoryOutcome> figure, @Nullable Bar bar) {
        Result rival = results.stream()
                .filter(result -> result.way.kind == rivals)
                .max(Comparator.comparingDouble(result -> figure.applyAsDouble(result.outcome)))
                .orElseThrow();
        Result cache = results.stream()
                .filter(result -> result.way == Way.PAGED_64)
                .findAny()
                .orElseThrow();
        double value = figure.applyAsDouble(cache.outcome) / figure.applyAsDouble(rival.outcome);
        return Ratio.exact(what + ", " + cache.way.label, rival.way.label, value, bar);
    }

    // ---- tables ----

    private static Table table(List<Result> results, String traceName, long memorySlots) {
        List<Column> columns = List.of(
                Column.count("most sequences"),
                new Column("mean sequences", "", 4),
                new Column("mean reserved", "GiB", 4),
                new Column("mean used", "GiB", 4),
                new Column("waste", "%", 3),
                new Column("most reserved", "GiB", 4),
                Column.count("gave way"),
                Column.count("tokens computed again"),
                Column.count("steps"));
        return new Table(
                "memory",
                String.format(Locale.ROOT, "Lengths of %s in %.4g GiB, 128 KiB a token", traceName, gib((double)
                        memorySlots)),
                List.of("way"),
                columns,
                results.stream().map(MemoryStudy::row).toList());
    }

    private static Row row(Result result) {
        MemoryOutcome outcome = result.outcome;
        return Row.of(
                result.way.label,
                (double) outcome.peakSequences(),
                outcome.meanSequences(),
                gib(outcome.meanReservedSlots()),
                gib(outcome.meanUsedTokens()),
                100 * outcome.wasteShare(),
                gib((double) outcome.peakReservedSlots()),
                (double) outcome.preemptions(),
                (double) outcome.recomputedTokens(),
                (double) outcome.steps());
    }

    private static double gib(double slots) {
        return slots * TOKEN_BYTES / GIB;
    }

    // ---- plots ----

    private static List<Plot> plots(List<Result> results, String traceName, long memorySlots) {
        Line memory = new Line(
                "memory", List.of(new Point(0, gib((double) memorySlots)), new Point(100, gib((double) memorySlots))));
        List<Line> used = new ArrayList<>(lines(results, moment -> gib(moment.usedTokens())));
        List<Line> reserved = new ArrayList<>(lines(results, moment -> gib(moment.reservedSlots())));
        used.add(memory);
        reserved.add(memory);
        return List.of(
                plot("used", "Memory that holds tokens, " + traceName, "GiB used", used),
                plot("reserved", "Memory that is taken, " + traceName, "GiB reserved", reserved),
                plot(
                        "sequences",
                        "Sequences that run at a time, " + traceName,
                        "sequences",
                        lines(results, Moment::sequences)));
    }

    private static Plot plot(String name, String title, String y, List<Line> lines) {
        return new Plot(name, title, new Axis("% of the steps of each run", false), new Axis(y, false), lines);
    }

    private static List<Line> lines(List<Result> results, ToDoubleFunction<Moment> figure) {
        return results.stream()
                .map(result -> new Line(result.way.label, points(result.outcome, figure)))
                .toList();
    }

    private static List<Point> points(MemoryOutcome outcome, ToDoubleFunction<Moment> figure) {
        return outcome.timeline().stream()
                .map(moment -> new Point(100.0 * moment.step() / outcome.steps(), figure.applyAsDouble(moment)))
                .toList();
    }

    // ---- notes ----

    private static List<String> notes(List<TraceRequest> requests, int count, int longest, long memorySlots) {
        return List.of(
                String.format(
                        Locale.ROOT,
                        "%,d requests start, in the order of the trace, which has %,d and begins anew where it ends."
                            + " Prompts have %,.0f tokens on average, answers %,.0f; the longest request has %,d with"
                            + " its answer.",
                        count,
                        requests.size(),
                        requests.stream()
                                .mapToInt(TraceRequest::inputTokens)
                                .average()
                                .orElseThrow(),
                        requests.stream()
                                .mapToInt(TraceRequest::outputTokens)
                                .average()
                                .orElseThrow(),
                        longest),
                String.format(
                        Locale.ROOT,
                        "Bytes are those of a model of 32 layers and 8 K/V heads of 128 in F16: 128 KiB a token. The"
                                + " memory, %.4g GiB, is 64 GiB, or %d times the longest request if that is more.",
                        gib((double) memorySlots),
                        LEAST_LONGEST),
                "A request starts when its prompt and one token fit. Where a sequence that runs finds no room, the one"
                    + " that started last gives way to the head of the queue; its tokens are computed again. The rule"
                    + " is the same for all ways.",
                "Preallocation is in its best configuration: it knows the longest request of the trace and sets aside"
                    + " no more than that, where an engine would take the context of the model. Doubling buffers never"
                    + " exceed that length either; of the two configurations, the one with more sequences is the"
                    + " rival, for each ratio by itself. The ratios are those of 64 tokens a block, the cache's own"
                    + " choice for this model.",
                "Means are over steps, between the growth of the sequences and the end of those that are done. The"
                        + " most reserved counts an old buffer beside the new one.");
    }
}
