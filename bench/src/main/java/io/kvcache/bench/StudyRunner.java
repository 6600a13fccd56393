package io.kvcache.bench;

import io.kvcache.bench.report.Findings;
import io.kvcache.bench.report.Machine;
import io.kvcache.bench.report.ResultsFolder;
import io.kvcache.bench.report.StudyResults;
import java.time.Clock;
import java.time.Duration;
import java.time.LocalDate;
import java.util.concurrent.TimeUnit;

/**
 * Runs a study and writes down what it found, with what a reader needs to repeat and to judge it.
 *
 * <p>Not thread-safe.
 */
final class StudyRunner {
    private final ResultsFolder results;
    private final Clock clock;

    StudyRunner(ResultsFolder results, Clock clock) {
        this.results = results;
        this.clock = clock;
    }

    void run(Study study, StudyRun run) throws Exception {
        long start = clock.millis();
        Findings findings = study.run(run);
        Duration took = Duration.ofMillis(clock.millis() - start);
        results.write(new StudyResults(
                study.name(),
                study.title(),
                command(study, run),
                LocalDate.now(clock).toString(),
                TimeUnit.MILLISECONDS.toSeconds(took.toMillis()),
                Machine.here(),
                findings,
                study.notShown()));
    }

    /** The command line that repeats it. */
    private static String command(Study study, StudyRun run) {
        String quick = run.effort() == Effort.FULL ? "" : " --quick";
        String trace = run.traceFile() == null ? "" : " --trace " + run.traceName();
        String model =
                run.modelFile() == null ? "" : " --model " + run.modelFile().getFileName();
        return "./kvcache bench --only " + study.name() + quick + trace + model;
    }
}
