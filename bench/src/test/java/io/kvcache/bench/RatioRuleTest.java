package io.kvcache.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.kvcache.bench.report.Bar;
import io.kvcache.bench.report.Ratio;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

final class RatioRuleTest {
    private static Score score(String method, double value, String... params) {
        TreeMap<String, String> named = new TreeMap<>();
        for (int i = 0; i < params.length; i += 2) {
            named.put(params[i], params[i + 1]);
        }
        return new Score(
                "Suite",
                method,
                named,
                value,
                "ns/op",
                "once",
                new TreeMap<>(Map.of("share", new Score.Measure(value / 10, "ratio"))));
    }

    /** Three rounds in which the machine gets slower: times of the rival are 3, 4 and 2 times ours. */
    private static final Scores SCORES = new Scores(List.of(round(1, 3, 10), round(2, 8, 40), round(4, 8, 60)));

    private static List<Score> round(double ours, double rival, double large) {
        return List.of(
                score("ours", ours, "size", "4", "type", "A"),
                score("ours", large, "size", "1000", "type", "A"),
                score("rival", rival, "size", "4"),
                score("rival", 100 * rival, "size", "1000"));
    }

    @Test
    void shouldDivideWithinARoundAndTakeTheMedianOfRounds() {
        List<Ratio> ratios = RatioRule.quotient("appending", "copying", "rival", "ours", Bar.atLeast(2))
                .of(SCORES);
        assertEquals(new Ratio("appending, size 4", "copying", 3, 2, 4, Bar.atLeast(2)), ratios.get(0));
        assertEquals(new Ratio("appending, size 1000", "copying", 20, 800 / 60.0, 30, Bar.atLeast(2)), ratios.get(1));
        assertEquals(2, ratios.size());
    }

    @Test
    void shouldTakeWhatAMethodReports() {
        Ratio ratio = RatioRule.reported("share", "memory", "ours", "share", RatioRule.ANY, null)
                .of(SCORES)
                .getFirst();
        assertEquals(new Ratio("share, size 4", "memory", 0.2, 0.1, 0.4, null), ratio);
    }

    @Test
    void shouldTakeOnlyWhatAgrees() {
        Map<String, String> small = Map.of("size", "4");
        assertEquals(
                1,
                RatioRule.reported("share", "memory", "ours", "share", small, null)
                        .of(SCORES)
                        .size());
        assertEquals(
                List.of(new Ratio("time, size 4", "4 ns", 0.5, 0.25, 1, Bar.atMost(1))),
                RatioRule.limit("time", "4 ns", "ours", small, 4).of(SCORES));
    }

    @Test
    void shouldCompareTheLargestWithTheSmallest() {
        assertEquals(
                List.of(new Ratio("growth", "size from 4 to 1000", 15, 10, 20, null)),
                RatioRule.growth("growth", "ours", "size", 1000, null).of(SCORES));
        assertEquals(
                List.of(), RatioRule.growth("growth", "ours", "size", 999, null).of(SCORES), "one size does not grow");
    }

    @Test
    void shouldDivideGrowthByThatOfALimit() {
        assertEquals(
                List.of(new Ratio("growth", "reads, size from 4 to 1000", 0.15, 0.1, 0.2, Bar.atMost(1.5))),
                RatioRule.growthAgainst("growth", "reads", "ours", "rival", "size", 1000, Bar.atMost(1.5))
                        .of(SCORES));
    }

    @Test
    void shouldCompareTwoValuesOfAParameter() {
        assertEquals(
                List.of(new Ratio("large", "small", 15, 10, 20, null)),
                RatioRule.between("large", "small", "ours", "size", "1000", "4", null)
                        .of(SCORES));
        assertEquals(
                List.of(),
                RatioRule.between("large", "small", "ours", "size", "1000", "5", null)
                        .of(SCORES));
    }

    @Test
    void shouldSayWhatWasNotMeasured() {
        assertEquals(
                "nothing was measured of this method: method=theirs",
                assertThrows(
                                IllegalArgumentException.class,
                                () -> RatioRule.quotient("", "", "theirs", "ours", null)
                                        .of(SCORES))
                        .getMessage());
    }
}
