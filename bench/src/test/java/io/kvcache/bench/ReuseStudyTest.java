package io.kvcache.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.bench.report.Column;
import io.kvcache.bench.report.Findings;
import io.kvcache.bench.report.Plot;
import io.kvcache.bench.report.Ratio;
import io.kvcache.bench.report.Row;
import io.kvcache.bench.report.Table;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

final class ReuseStudyTest {
    private static final int POLICIES = 7;

    private final Trace sample = TraceReader.sample();

    private static Findings run(Effort effort) {
        return new ReuseStudy().run(new StudyRun(effort, null, null, Path.of("")));
    }

    private double hits(TracePolicy policy, int blocks) {
        return new Replay(sample)
                .run(blocks, policy.factory(sample), requests -> {})
                .hitBlocks();
    }

    @Test
    void shouldTellEachPolicyAndCapacity() {
        Findings findings = run(Effort.SMOKE);
        Table blocks = findings.tables().get(1);
        assertEquals("hit-blocks", blocks.name());
        assertEquals(
                List.of("blocks", "lru", "hde", "fifo", "lfuda", "arc", "s3fifo", "optimum"),
                blocks.columns().stream().map(Column::name).toList());
        assertEquals(
                List.of(List.of("2%"), List.of("10%")),
                blocks.rows().stream().map(Row::labels).toList());
        int tenth = Math.ceilDiv(sample.distinctBlocks(), 10);
        List<@Nullable Double> expected = new ArrayList<>();
        expected.add((double) tenth);
        TracePolicyNames.ALL.forEach(policy -> expected.add(hits(policy, tenth)));
        assertEquals(expected, blocks.rows().get(1).values());
        assertTrue(
                findings.notes().getFirst().startsWith("600 requests ask for 7090 full blocks, 2439 of them distinct"));
    }

    @Test
    void shouldCompareHdeWithLruAndEachPolicyWithTheOptimum() {
        List<Ratio> ratios = run(Effort.SMOKE).ratios();
        assertEquals(2 + 2 * (POLICIES - 1), ratios.size());
        Ratio first = ratios.getFirst();
        assertEquals("hits of hde with room for 2% of the distinct blocks", first.what());
        assertEquals("lru", first.rival());
        int capacity = Math.ceilDiv(sample.distinctBlocks(), 50);
        assertEquals(hits(ReplayPolicy.HDE, capacity) / hits(ReplayPolicy.LRU, capacity), first.value());
        List<Ratio> shares =
                ratios.stream().filter(ratio -> ratio.rival().equals("optimum")).toList();
        assertEquals(2 * (POLICIES - 1), shares.size());
        assertTrue(shares.stream().allMatch(ratio -> ratio.value() > 0 && ratio.value() < 1), shares.toString());
    }

    @Test
    void shouldDrawALineForEachPolicyDownToWhatCannotHit() {
        Findings findings = run(Effort.FULL);
        Plot plot = findings.plots().getFirst();
        assertEquals(POLICIES, plot.lines().size());
        assertTrue(plot.x().logarithmic());
        for (Plot.Line line : plot.lines()) {
            assertEquals(12, line.points().size());
            assertEquals(
                    plot.lines().getFirst().points().getLast(), line.points().getLast());
        }
        List<Plot.Point> optimum = plot.lines().getLast().points();
        for (int i = 1; i < optimum.size(); i++) {
            assertTrue(optimum.get(i).x() > optimum.get(i - 1).x());
            assertTrue(optimum.get(i).y() <= optimum.get(i - 1).y());
        }
        Table ratios = findings.tables().getFirst();
        assertEquals("hit-ratio", ratios.name());
        assertEquals(12, ratios.rows().size());
        assertEquals("0.5%", ratios.rows().getFirst().labels().getFirst());
        assertEquals("100%", ratios.rows().getLast().labels().getFirst());
        List<@Nullable Double> roomForAll = ratios.rows().getLast().values();
        assertEquals(1, roomForAll.subList(1, 1 + POLICIES).stream().distinct().count());
    }
}
