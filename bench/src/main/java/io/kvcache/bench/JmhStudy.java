package io.kvcache.bench;

import io.kvcache.bench.report.Findings;
import io.kvcache.bench.report.Plot;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.openjdk.jmh.profile.GCProfiler;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.results.format.ResultFormatType;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.ChainedOptionsBuilder;
import org.openjdk.jmh.runner.options.OptionsBuilder;

/**
 * JMH suites as a study. Every method runs in a process of its own, all methods in turns, round by round, so that rivals meet the same
 * weather.
 *
 * <p>Not thread-safe.
 */
final class JmhStudy implements Study {
    private final String name;
    private final String title;
    private final List<JmhSuite> suites = new ArrayList<>();
    private final List<RatioRule> rules = new ArrayList<>();
    private final List<Function<Scores, Plot>> plots = new ArrayList<>();
    private final List<String> notes = new ArrayList<>();
    private final List<String> notShown = new ArrayList<>();

    JmhStudy(String name, String title) {
        this.name = name;
        this.title = title;
    }

    JmhStudy suite(JmhSuite suite) {
        suites.add(suite);
        return this;
    }

    JmhStudy ratio(RatioRule rule) {
        rules.add(rule);
        return this;
    }

    /** Draws the scores of a suite over a numeric parameter. */
    JmhStudy plot(Class<?> suite, String plotTitle, String param) {
        plots.add(scores -> ScoreTables.plot(scores, suite.getSimpleName(), plotTitle, param));
        return this;
    }

    /** Says how rivals are set up, and what they lack. */
    JmhStudy note(String sentence) {
        notes.add(sentence);
        return this;
    }

    JmhStudy notShown(String sentence) {
        notShown.add(sentence);
        return this;
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public String title() {
        return title;
    }

    @Override
    public List<String> notShown() {
        return List.copyOf(notShown);
    }

    @Override
    public boolean wantsOwnProcess() {
        return false;
    }

    @Override
    public Duration expected(Effort effort) {
        Duration round = suites.stream().map(suite -> suite.expected(effort)).reduce(Duration.ZERO, Duration::plus);
        return round.multipliedBy(rounds(effort));
    }

    /** Names of all benchmarks in it. */
    List<String> benchmarks() {
        return suites.stream().flatMap(suite -> suite.benchmarks().stream()).toList();
    }

    private static int rounds(Effort effort) {
        return effort == Effort.FULL ? 3 : 1;
    }

    @Override
    public Findings run(StudyRun run) throws RunnerException {
        List<List<Score>> rounds = new ArrayList<>();
        for (int round = 0; round < rounds(run.effort()); round++) {
            rounds.add(round(run, round));
        }
        return findings(new Scores(rounds));
    }

    /** What scores say. */
    Findings findings(Scores scores) {
        return new Findings(
                rules.stream().flatMap(rule -> rule.of(scores).stream()).toList(),
                ScoreTables.tables(scores),
                plots.stream().map(plot -> plot.apply(scores)).toList(),
                Stream.concat(notes.stream(), processes(scores)).toList());
    }

    /** How the methods of each suite ran. */
    private static Stream<String> processes(Scores scores) {
        Map<String, Set<String>> methods = new LinkedHashMap<>(); // by suite and process
        scores.distinct()
                .forEach(score -> methods.computeIfAbsent(
                                score.suite() + " ran " + score.process(), key -> new TreeSet<>())
                        .add(score.method()));
        return methods.entrySet().stream()
                .map(entry -> entry.getKey() + ": " + String.join(", ", entry.getValue()) + "; rounds "
                        + scores.rounds().size() + ".");
    }

    private List<Score> round(StudyRun run, int round) throws RunnerException {
        List<Score> scores = new ArrayList<>();
        for (int suite : IntStream.range(0, suites.size()).toArray()) {
            String file = name + "-" + suite + "-" + round;
            for (RunResult result : run(suites.get(suite), run, run.directory().resolve(file))) {
                Score score = Score.of(result);
                if (scores.stream()
                        .noneMatch(score::isOf)) { // suites of the same class may overlap where sizes are small
                    scores.add(score);
                }
            }
        }
        return scores;
    }

    private static Collection<RunResult> run(JmhSuite suite, StudyRun run, Path file) throws RunnerException {
        ChainedOptionsBuilder options = suite.options(new OptionsBuilder(), run)
                .forks(run.effort() == Effort.SMOKE ? 0 : 1) // a process for each takes a second
                .addProfiler(GCProfiler.class)
                .addProfiler(Figures.class)
                .shouldFailOnError(true)
                .resultFormat(ResultFormatType.JSON)
                .result(file + ".json")
                .output(file + ".log");
        return new Runner(options.build()).run();
    }
}
