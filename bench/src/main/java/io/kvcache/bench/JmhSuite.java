package io.kvcache.bench;

import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import org.openjdk.jmh.runner.BenchmarkList;
import org.openjdk.jmh.runner.BenchmarkListEntry;
import org.openjdk.jmh.runner.format.OutputFormat;
import org.openjdk.jmh.runner.format.OutputFormatFactory;
import org.openjdk.jmh.runner.options.ChainedOptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;
import org.openjdk.jmh.runner.options.VerboseMode;

/**
 * Methods of a benchmark class, with the parameters that a study wants, and how long each runs.
 *
 * <p>Not thread-safe.
 */
final class JmhSuite {
    private static final String SHIPPED_MODEL = "shipped";
    private static final Duration START = Duration.ofMillis(1_200); // of a JVM, with the set-up of most suites

    /** Sizes that are as small as can be where a benchmark is only to be seen running, whichever of them it has. */
    private static final Map<String, List<String>> SMOKE_PARAMS =
            Map.of("tokens", List.of("256"), "megabytes", List.of("1"), "blocks", List.of("2000"));

    private final String include;
    private final Map<String, List<String>> fullParams = new LinkedHashMap<>();
    private final Map<String, List<String>> quickParams = new LinkedHashMap<>();
    private Duration setUp = Duration.ZERO;
    private int slower = 1;
    private boolean once;
    private boolean takesModel;

    private JmhSuite(String include) {
        this.include = include;
    }

    /** All methods of a class, or those named. */
    static JmhSuite of(Class<?> suite, String... methods) {
        String any = methods.length == 0 ? ".*" : "(" + String.join("|", methods) + ")$";
        return new JmhSuite("^" + Pattern.quote(suite.getName()) + "\\." + any);
    }

    /** Gives a parameter these values; without it, those of its annotation. */
    JmhSuite param(String name, String... values) {
        fullParams.put(name, List.of(values));
        return this;
    }

    /** Gives a parameter these values where there is little time. */
    JmhSuite quick(String name, String... values) {
        quickParams.put(name, List.of(values));
        return this;
    }

    /** Says how long the set-up of a method takes beyond the start of a JVM. */
    JmhSuite setUp(Duration duration) {
        setUp = duration;
        return this;
    }

    /** Runs methods so many times as long: those that the JIT takes long to compile. */
    JmhSuite slower(int times) {
        slower = times;
        return this;
    }

    /** Keeps the iterations of the class, which takes single shots in a new JVM. */
    JmhSuite once() {
        once = true;
        return this;
    }

    /** Runs with the model of the run beside the shipped one: the class has a parameter of that name. */
    JmhSuite takesModel() {
        takesModel = true;
        return this;
    }

    private Map<String, List<String>> params(Effort effort) {
        Map<String, List<String>> params = new LinkedHashMap<>(fullParams);
        if (effort != Effort.FULL) {
            params.putAll(quickParams);
        }
        if (effort == Effort.SMOKE) {
            params.putAll(SMOKE_PARAMS);
        }
        return params;
    }

    private int iterations(Effort effort) {
        return effort == Effort.FULL ? 2 : 1;
    }

    private long iterationMillis(Effort effort) {
        return switch (effort) {
            case SMOKE -> 20;
            case QUICK -> 250L * slower;
            case FULL -> 500L * slower;
        };
    }

    /** Tells JMH. */
    ChainedOptionsBuilder options(ChainedOptionsBuilder options, StudyRun run) {
        Effort effort = run.effort();
        TimeValue time = TimeValue.milliseconds(iterationMillis(effort));
        ChainedOptionsBuilder builder = options.include(include);
        if (!once) {
            builder.warmupIterations(iterations(effort))
                    .warmupTime(time)
                    .measurementIterations(iterations(effort))
                    .measurementTime(time);
        }
        params(effort).forEach((name, values) -> builder.param(name, values.toArray(String[]::new)));
        if (takesModel && run.modelFile() != null) {
            builder.param("model", SHIPPED_MODEL, run.modelFile().toString());
        }
        return builder;
    }

    /** How long a round takes, roughly. */
    Duration expected(Effort effort) {
        Duration one = START.plus(setUp).plus(Duration.ofMillis(2L * iterations(effort) * iterationMillis(effort)));
        return one.multipliedBy(runs(effort));
    }

    private int runs(Effort effort) {
        return entries().stream().mapToInt(entry -> runs(entry, params(effort))).sum();
    }

    private static int runs(BenchmarkListEntry entry, Map<String, List<String>> params) {
        return entry.getParams().orElse(Map.of()).entrySet().stream()
                .mapToInt(param -> params.containsKey(param.getKey())
                        ? params.get(param.getKey()).size()
                        : param.getValue().length)
                .reduce(1, (sets, values) -> sets * values);
    }

    /** Names of the benchmarks. */
    List<String> benchmarks() {
        return entries().stream().map(BenchmarkListEntry::getUsername).toList();
    }

    private Set<BenchmarkListEntry> entries() {
        OutputFormat silent = OutputFormatFactory.createFormatInstance(System.out, VerboseMode.SILENT);
        return BenchmarkList.defaultList().find(silent, List.of(include), List.of());
    }
}
