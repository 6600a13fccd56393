package io.kvcache.bench;

import io.kvcache.bench.report.ResultsFolder;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * A study in a JVM of its own: nothing that ran before has left compiled code or memory there.
 *
 * <p>Not thread-safe.
 */
final class StudyProcess {
    private static final String NONE = "";

    private StudyProcess() {}

    /** Runs a study with the flags and the class path of this JVM; what it prints goes to a log beside its raw results. */
    static void run(Study study, StudyRun run, Path results) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>();
        command.add(ProcessHandle.current().info().command().orElse("java"));
        command.addAll(ManagementFactory.getRuntimeMXBean().getInputArguments());
        command.addAll(study.processFlags());
        command.addAll(List.of("-classpath", System.getProperty("java.class.path"), StudyProcess.class.getName()));
        command.addAll(List.of(
                study.name(),
                run.effort().name(),
                text(run.traceFile()),
                text(run.modelFile()),
                run.directory().toString(),
                results.toString()));
        Path log = run.directory().resolve(study.name() + ".log");
        Process process = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(log.toFile())
                .start();
        int exitCode;
        try {
            exitCode = process.waitFor();
        } finally {
            process.destroy(); // where the wait was interrupted
        }
        if (exitCode != 0) {
            throw new IllegalStateException("process of the study failed: study=" + study.name() + " exitCode="
                    + exitCode + " says=" + lastLine(log));
        }
    }

    private static String text(@Nullable Path file) {
        return file == null ? NONE : file.toString();
    }

    private static @Nullable Path file(String text) {
        return text.equals(NONE) ? null : Path.of(text);
    }

    private static String lastLine(Path log) throws IOException {
        List<String> lines = Files.readAllLines(log);
        return lines.isEmpty() ? "nothing" : lines.getLast().strip();
    }

    /** The process. */
    public static void main(String[] arguments) throws Exception {
        Locale.setDefault(Locale.ROOT);
        StudyRun run = new StudyRun(
                Effort.valueOf(arguments[1]), file(arguments[2]), file(arguments[3]), Path.of(arguments[4]));
        new StudyRunner(new ResultsFolder(Path.of(arguments[5])), Clock.systemUTC())
                .run(Studies.named(arguments[0]), run);
        System.exit(0); // native libraries may have left threads
    }
}
