package io.kvcache.bench;

import io.kvcache.bench.report.HtmlReport;
import io.kvcache.bench.report.ResultsFolder;
import io.kvcache.demo.KvCacheCli.CliCommand;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/**
 * Runs the studies, one after the other, and makes a report of all results in the directory.
 *
 * <p>Not thread-safe.
 */
@Command(
        name = "bench",
        mixinStandardHelpOptions = true,
        description = "Measure everything: results as JSON, and a report to look at in a browser.")
public final class BenchCommand implements CliCommand, Callable<Integer> {
    private static final String RAW = "raw";
    private static final String REPORT = "report.html";

    @Spec
    private @Nullable CommandSpec spec;

    @Option(names = "--quick", description = "All within five minutes: orders of magnitude.")
    private boolean quick;

    @Option(
            names = "--only",
            paramLabel = "NAME",
            split = ",",
            description = "Run this study only; several may be named. See --list.")
    private List<String> only = new ArrayList<>();

    @Option(
            names = "--out",
            paramLabel = "DIR",
            defaultValue = "bench-results",
            description =
                    "Where results go (default: ${DEFAULT-VALUE}); those of other studies that are there stay, and are"
                            + " part of the report.")
    private Path directory = Path.of("bench-results");

    @Option(
            names = "--trace",
            paramLabel = "TRACE",
            description = "A trace of requests as replay takes it, for the studies that need one (default: the small"
                    + " generated sample that is shipped).")
    private @Nullable Path traceFile;

    @Option(
            names = "--model",
            paramLabel = "F.gguf",
            description = "A model that the study of the decode loop measures beside the shipped one.")
    private @Nullable Path modelFile;

    @Option(names = "--list", description = "Say which studies there are, and how long they take; run nothing.")
    private boolean list;

    /** For {@link java.util.ServiceLoader}. */
    public BenchCommand() {}

    private Effort effort() {
        return quick ? Effort.QUICK : Effort.FULL;
    }

    @Override
    public Integer call() throws IOException, InterruptedException {
        List<Study> studies = studies();
        PrintWriter out = Objects.requireNonNull(spec).commandLine().getOut();
        if (list) {
            studies.forEach(study ->
                    out.println(study.name() + ": " + study.title() + " (" + words(study.expected(effort())) + ")"));
            return 0;
        }
        if (traceFile != null) {
            TraceReader.read(traceFile); // what is wrong with it is said now, not in half an hour
        }
        if (modelFile != null && !Files.isReadable(modelFile)) {
            throw new IllegalArgumentException("file cannot be read: file=" + modelFile);
        }
        makeDirectories();
        ResultsFolder results = new ResultsFolder(directory);
        List<String> failures = runAll(studies, results, out);
        Path report = directory.resolve(REPORT);
        Files.writeString(report, HtmlReport.of(results.readAll(Studies.names()), failures));
        out.println("report: " + report);
        failures.forEach(spec.commandLine().getErr()::println);
        return failures.isEmpty() ? 0 : 1;
    }

    private void makeDirectories() {
        try {
            Files.createDirectories(directory.resolve(RAW));
        } catch (IOException e) {
            throw new IllegalArgumentException("directory cannot be made: directory=" + directory, e);
        }
    }

    private List<Study> studies() {
        for (String name : only) {
            if (!Studies.names().contains(name)) {
                throw new ParameterException(
                        Objects.requireNonNull(spec).commandLine(),
                        "no such study: name=" + name + " studies=" + String.join(",", Studies.names()));
            }
        }
        return Studies.all().stream()
                .filter(study -> only.isEmpty() || only.contains(study.name()))
                .toList();
    }

    private List<String> runAll(List<Study> studies, ResultsFolder results, PrintWriter out)
            throws InterruptedException {
        Duration all = studies.stream().map(study -> study.expected(effort())).reduce(Duration.ZERO, Duration::plus);
        out.println(studies.size() + " studies, " + words(all) + " in all");
        out.flush();
        List<String> failures = new ArrayList<>();
        for (int i = 0; i < studies.size(); i++) {
            Study study = studies.get(i);
            out.println("[" + (i + 1) + "/" + studies.size() + "] " + study.name() + ": " + study.title() + ", "
                    + words(study.expected(effort())));
            out.flush();
            long start = System.nanoTime();
            String failure = run(study, results);
            if (failure != null) {
                failures.add(failure);
            }
            Duration took = Duration.ofNanos(System.nanoTime() - start);
            out.println("      " + (failure == null ? "took " : "failed after ") + took.toSeconds() + " s");
            out.flush();
        }
        return failures;
    }

    /** Returns what went wrong, or null; the other studies go on. */
    private @Nullable String run(Study study, ResultsFolder results) throws InterruptedException {
        StudyRun run = new StudyRun(effort(), traceFile, modelFile, directory.resolve(RAW));
        try {
            if (study.wantsOwnProcess()) {
                StudyProcess.run(study, run, directory);
            } else {
                new StudyRunner(results, Clock.systemUTC()).run(study, run);
            }
            return null;
        } catch (InterruptedException e) {
            throw e;
        } catch (Exception e) {
            return "study failed: name=" + study.name() + " reason="
                    + String.valueOf(e.getMessage()).strip().replaceAll("\\s*\\R\\s*", " ") + " logs="
                    + directory.resolve(RAW);
        }
    }

    private static String words(Duration duration) {
        return duration.toSeconds() < 90
                ? "about " + Math.max(1, duration.toSeconds()) + " s"
                : "about " + (duration.toSeconds() + 30) / 60 + " minutes";
    }
}
