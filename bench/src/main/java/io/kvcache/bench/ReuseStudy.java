package io.kvcache.bench;

import io.kvcache.bench.Replays.Setup;
import io.kvcache.bench.report.Column;
import io.kvcache.bench.report.Findings;
import io.kvcache.bench.report.Plot;
import io.kvcache.bench.report.Ratio;
import io.kvcache.bench.report.Row;
import io.kvcache.bench.report.Table;
import java.math.BigDecimal;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;
import org.jspecify.annotations.Nullable;

/**
 * How much of a trace of requests is found in the cache, by policy and capacity, against the best that can be done with the future
 * known.
 *
 * <p>Not thread-safe.
 */
final class ReuseStudy implements Study {
    private static final int ALL = 1000;

    /** What ratios are told for, in thousandths of the distinct blocks. */
    private static final List<Integer> QUOTED = List.of(10, 20, 50, 100, 200);

    private static final List<Integer> QUICK = List.of(10, 20, 50, 100, 200, 500);
    private static final List<Integer> SMOKE = List.of(20, 100);
    private static final List<Integer> FULL = List.of(5, 10, 20, 35, 50, 70, 100, 140, 200, 300, 500, ALL);

    @Override
    public String name() {
        return "reuse";
    }

    @Override
    public String title() {
        return "Prompt tokens found in the cache, by policy and capacity, against the offline optimum";
    }

    @Override
    public List<String> notShown() {
        return List.of(
                "Requests are served one after the other; what many hold at once, and what that leaves to others, is"
                        + " not shown.",
                "Only full blocks of " + Trace.TOKENS_PER_BLOCK
                        + " tokens of prompts count; smaller blocks find a little more, and answers are not cached.",
                "A policy's own time is not shown, nor how its hits would change the times of requests.",
                "One trace is one traffic: policies can change places on another.");
    }

    @Override
    public Duration expected(Effort effort) {
        return switch (effort) {
            case SMOKE -> Duration.ofSeconds(2);
            case QUICK -> Duration.ofSeconds(10);
            case FULL -> Duration.ofMinutes(3);
        };
    }

    @Override
    public boolean wantsOwnProcess() {
        return true;
    }

    @Override
    public Findings run(StudyRun run) {
        Replays replays = new Replays(run.trace(), (setup, hitBlocks) -> {});
        List<Integer> thousandths = switch (run.effort()) {
            case SMOKE -> SMOKE;
            case QUICK -> QUICK;
            case FULL -> FULL;
        };
        replays.replayAll(setups(thousandths, replays));
        String trace = run.traceName();
        return new Findings(
                ratios(thousandths, replays),
                List.of(
                        table(
                                "hit-ratio",
                                "Share of all input tokens that hit, " + trace,
                                Column::ratio,
                                replays::tokenHitRatio,
                                thousandths,
                                replays),
                        table(
                                "hit-blocks",
                                "Blocks that hit, " + trace,
                                Column::count,
                                replays::hitBlocks,
                                thousandths,
                                replays)),
                List.of(missRatios(trace, thousandths, replays)),
                notes(replays));
    }

    private static List<Setup> setups(List<Integer> thousandths, Replays replays) {
        return thousandths.stream()
                .map(part -> capacity(part, replays))
                .flatMap(blocks -> TracePolicyNames.ALL.stream().map(policy -> new Setup(policy, blocks)))
                .toList();
    }

    /** Blocks, rounded up. */
    private static int capacity(int thousandths, Replays replays) {
        return Math.max(1, (int) Math.ceilDiv((long) thousandths * replays.distinctBlocks(), (long) ALL));
    }

    private static String percent(int thousandths) {
        return BigDecimal.valueOf(thousandths, 1).stripTrailingZeros().toPlainString() + "%";
    }

    private static List<Ratio> ratios(List<Integer> thousandths, Replays replays) {
        List<Ratio> ratios = new ArrayList<>();
        for (int part : thousandths.stream().filter(QUOTED::contains).toList()) {
            add(ratios, ReplayPolicy.HDE, ReplayPolicy.LRU, part, replays);
        }
        for (ReplayPolicy policy : ReplayPolicy.values()) {
            for (int part : thousandths.stream().filter(QUOTED::contains).toList()) {
                add(ratios, policy, OfflinePolicy.OPTIMUM, part, replays);
            }
        }
        return ratios;
    }

    /** Nothing where the rival hits nothing. */
    private static void add(
            List<Ratio> ratios, TracePolicy policy, TracePolicy rival, int thousandths, Replays replays) {
        int blocks = capacity(thousandths, replays);
        double hits = replays.hitBlocks(new Setup(policy, blocks));
        long rivalHits = replays.hitBlocks(new Setup(rival, blocks));
        if (rivalHits > 0) {
            String what =
                    "hits of " + policy.label() + " with room for " + percent(thousandths) + " of the distinct blocks";
            ratios.add(Ratio.exact(what, rival.label(), hits / rivalHits, null));
        }
    }

    private static Table table(
            String name,
            String title,
            Function<String, Column> column,
            ToDoubleFunction<Setup> figure,
            List<Integer> thousandths,
            Replays replays) {
        List<Column> columns = new ArrayList<>(List.of(Column.count("blocks")));
        TracePolicyNames.ALL.forEach(policy -> columns.add(column.apply(policy.label())));
        List<Row> rows = new ArrayList<>();
        for (int part : thousandths) {
            int blocks = capacity(part, replays);
            List<@Nullable Double> values = new ArrayList<>();
            values.add((double) blocks);
            TracePolicyNames.ALL.forEach(policy -> values.add(figure.applyAsDouble(new Setup(policy, blocks))));
            rows.add(new Row(List.of(percent(part)), values));
        }
        return new Table(name, title, List.of("room, of the distinct blocks"), columns, rows);
    }

    private static Plot missRatios(String trace, List<Integer> thousandths, Replays replays) {
        int[] capacities = thousandths.stream()
                .mapToInt(part -> capacity(part, replays))
                .distinct()
                .toArray();
        List<Plot.Line> lines = TracePolicyNames.ALL.stream()
                .map(policy -> new Plot.Line(
                        policy.label(),
                        Arrays.stream(capacities)
                                .mapToObj(blocks ->
                                        new Plot.Point(blocks, 1 - replays.tokenHitRatio(new Setup(policy, blocks))))
                                .toList()))
                .toList();
        return new Plot(
                "miss-ratio",
                "Share of all input tokens that miss, " + trace,
                new Plot.Axis("room in blocks of " + Trace.TOKENS_PER_BLOCK + " tokens", true),
                new Plot.Axis("miss ratio of tokens", false),
                lines);
    }

    private static List<String> notes(Replays replays) {
        Trace trace = replays.trace();
        String counts = String.format(
                "%d requests ask for %d full blocks, %d of them distinct: with room for all, %d hit.",
                trace.requests().size(), trace.blockReferences(), replays.distinctBlocks(), replays.reachableBlocks());
        return List.of(
                counts,
                "Every policy decides among leaves only, in the same cache; only who goes differs.",
                "The optimum evicts the leaf that is asked for last; it knows the trace, so no cache can do it.",
                "fifo, lfuda, arc and s3fifo are our own, after their papers, made to choose among leaves; sizes of"
                        + " queues and ghosts are those of the papers.",
                "Replays have no chance in them: each comes out the same every time.");
    }
}
