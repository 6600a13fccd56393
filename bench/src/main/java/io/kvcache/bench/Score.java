package io.kvcache.bench;

import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.openjdk.jmh.infra.BenchmarkParams;
import org.openjdk.jmh.results.RunResult;

/**
 * What JMH measured of a method in one process.
 *
 * <p>Thread-safe: immutable.
 *
 * @param suite the simple name of its class
 * @param method its name
 * @param params of the benchmark, by name
 * @param value the score
 * @param unit of the score
 * @param process how it ran: iterations, and flags beside those of this JVM
 * @param figures secondary ones by name: those of {@link Figures} and of JMH's profilers
 */
record Score(
        String suite,
        String method,
        SortedMap<String, String> params,
        double value,
        String unit,
        String process,
        SortedMap<String, Measure> figures) {
    private static final String MODEL = "model"; // a parameter that may be a file

    /** Bytes allocated on the Java heap for each operation, as JMH's profiler calls them. */
    static final String GARBAGE = "gc.alloc.rate.norm";

    /** A secondary figure. */
    record Measure(double value, String unit) {}

    Score {
        params = Collections.unmodifiableSortedMap(new TreeMap<>(params));
        figures = Collections.unmodifiableSortedMap(new TreeMap<>(figures));
    }

    static Score of(RunResult result) {
        BenchmarkParams benchmark = result.getParams();
        String name = benchmark.getBenchmark();
        int dot = name.lastIndexOf('.');
        SortedMap<String, String> params = new TreeMap<>();
        benchmark.getParamsKeys().forEach(key -> params.put(key, label(key, benchmark.getParam(key))));
        SortedMap<String, Measure> figures = new TreeMap<>();
        result.getSecondaryResults()
                .forEach((figure, measured) ->
                        figures.put(figure, new Measure(measured.getScore(), measured.getScoreUnit())));
        return new Score(
                name.substring(name.lastIndexOf('.', dot - 1) + 1, dot),
                name.substring(dot + 1),
                params,
                result.getPrimaryResult().getScore(),
                result.getPrimaryResult().getScoreUnit(),
                process(benchmark),
                figures);
    }

    /** A model's file without its directory. */
    private static String label(String param, String value) {
        return param.equals(MODEL) ? String.valueOf(Path.of(value).getFileName()) : value;
    }

    private static String process(BenchmarkParams benchmark) {
        List<String> flags = new ArrayList<>(benchmark.getJvmArgs());
        flags.removeAll(ManagementFactory.getRuntimeMXBean().getInputArguments());
        return process(
                benchmark.getMeasurement().getCount(),
                benchmark.getMeasurement().getTime().toString(),
                benchmark.getWarmup().getCount(),
                flags);
    }

    static String process(int iterations, String time, int warmups, List<String> flags) {
        String besides = flags.isEmpty() ? "" : ", with " + String.join(" ", flags);
        return iterations + " x " + time + " after " + warmups + " of warm-up" + besides;
    }

    /** Whether this is the name of its method, alone or behind its suite and a dot. */
    boolean isNamed(String name) {
        return name.equals(method) || name.equals(suite + "." + method);
    }

    /** Whether it is of the same method with the same parameters. */
    boolean isOf(Score other) {
        return suite.equals(other.suite) && method.equals(other.method) && params.equals(other.params);
    }

    /** Whether parameters that both know have the same values. */
    boolean agreesWith(Map<String, String> others) {
        return params.entrySet().stream()
                .allMatch(param ->
                        others.getOrDefault(param.getKey(), param.getValue()).equals(param.getValue()));
    }

    /** The score, or a secondary figure; null where there is none of that name. */
    @Nullable
    Double figure(@Nullable String name) {
        if (name == null) {
            return value;
        }
        Measure measure = figures.get(name);
        return measure == null ? null : measure.value();
    }
}
