package io.kvcache.bench;

import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.openjdk.jmh.infra.BenchmarkParams;
import org.openjdk.jmh.infra.IterationParams;
import org.openjdk.jmh.profile.InternalProfiler;
import org.openjdk.jmh.results.AggregationPolicy;
import org.openjdk.jmh.results.IterationResult;
import org.openjdk.jmh.results.ScalarResult;

/**
 * Secondary figures that a benchmark reports itself, such as a ratio of two times of the same iteration; JMH prints their mean
 * over iterations and forks. {@code ./kvcache jmh} always has this profiler.
 *
 * <p>JMH's own {@code @AuxCounters} cannot print a ratio: what they count is divided by time, or summed over iterations and forks.
 *
 * <p>Thread-safe: but figures are those of the process.
 */
public final class Figures implements InternalProfiler {
    private static final Map<String, Figure> REPORTED = new LinkedHashMap<>();

    private record Figure(double value, String unit) {}

    /** For JMH. */
    public Figures() {}

    /** Reports a figure of the iteration that is about to end; to be called in its tear-down. */
    static void report(String name, double value, String unit) {
        synchronized (REPORTED) {
            REPORTED.put(name, new Figure(value, unit));
        }
    }

    @Override
    public String getDescription() {
        return "Figures that benchmarks report themselves";
    }

    @Override
    public void beforeIteration(BenchmarkParams benchmark, IterationParams iteration) {
        synchronized (REPORTED) {
            REPORTED.clear();
        }
    }

    @Override
    public Collection<ScalarResult> afterIteration(
            BenchmarkParams benchmark, IterationParams iteration, IterationResult result) {
        List<ScalarResult> results = new ArrayList<>();
        synchronized (REPORTED) {
            REPORTED.forEach((name, figure) ->
                    results.add(new ScalarResult(name, figure.value(), figure.unit(), AggregationPolicy.AVG)));
        }
        return results;
    }
}
