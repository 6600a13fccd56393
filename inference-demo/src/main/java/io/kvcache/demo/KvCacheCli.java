package io.kvcache.demo;

import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.io.Reader;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.ServiceLoader;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;

/**
 * The command line. Commands of other modules join in as services of {@link CliCommand}. Whatever goes wrong is one line
 * on standard error and an exit code: 2 for a call that cannot be understood, 1 for one that cannot be carried out.
 *
 * <p>Not thread-safe.
 */
@Command(
        name = "kvcache",
        mixinStandardHelpOptions = true,
        version = "kvcache 0.1.0-SNAPSHOT",
        description = "Language models on paged, shared K/V memory.",
        subcommands = {
            RunCommand.class,
            ChatCommand.class,
            BatchCommand.class,
            ScoreCommand.class,
            MakeModelCommand.class
        })
public final class KvCacheCli {
    /** A command that another module adds. */
    public interface CliCommand {}

    private final Reader in;

    private KvCacheCli(Reader in) {
        this.in = in;
    }

    /** Standard input. */
    Reader in() {
        return in;
    }

    /** The program. */
    public static void main(String[] arguments) {
        Locale.setDefault(Locale.ROOT);
        System.setProperty("java.util.logging.SimpleFormatter.format", "%5$s%n"); // a warning is one line, too
        Reader in = new InputStreamReader(System.in, StandardCharsets.UTF_8);
        PrintWriter out = new PrintWriter(System.out, false, StandardCharsets.UTF_8);
        PrintWriter err = new PrintWriter(System.err, true, StandardCharsets.UTF_8);
        int exitCode = execute(in, out, err, arguments);
        out.flush();
        System.exit(exitCode);
    }

    /** Runs one call with nothing on standard input and returns its exit code. */
    static int execute(PrintWriter out, PrintWriter err, String... arguments) {
        return execute(Reader.nullReader(), out, err, arguments);
    }

    /** Runs one call and returns its exit code. */
    static int execute(Reader in, PrintWriter out, PrintWriter err, String... arguments) {
        CommandLine commandLine = new CommandLine(new KvCacheCli(in));
        ServiceLoader.load(CliCommand.class).forEach(commandLine::addSubcommand);
        commandLine.setOut(out);
        commandLine.setErr(err);
        commandLine.setCaseInsensitiveEnumValuesAllowed(true);
        commandLine.setParameterExceptionHandler((failure, ignored) -> {
            String command = failure.getCommandLine().getCommandSpec().qualifiedName();
            err.println(oneLine(failure.getMessage()) + " (see " + command + " --help)");
            return CommandLine.ExitCode.USAGE;
        });
        commandLine.setExecutionExceptionHandler((failure, command, parsed) -> {
            err.println(explain(failure));
            return CommandLine.ExitCode.SOFTWARE;
        });
        try {
            if (arguments.length == 0) {
                commandLine.usage(err);
                return CommandLine.ExitCode.USAGE;
            }
            return commandLine.execute(arguments);
        } catch (OutOfMemoryError failure) {
            err.println("out of memory: " + oneLine(failure.getMessage())
                    + " (give the JVM more: KVCACHE_JAVA_OPTS=-Xmx8g)");
            return CommandLine.ExitCode.SOFTWARE;
        }
    }

    private static String explain(Exception failure) {
        boolean expected = failure instanceof GgufException
                || failure instanceof IllegalArgumentException
                || failure instanceof IllegalStateException;
        String message = oneLine(failure.getMessage());
        return expected ? message : failure.getClass().getSimpleName() + ": " + message;
    }

    private static String oneLine(@Nullable String message) {
        return message == null ? "no details" : message.strip().replaceAll("\\s*\\R\\s*", " ");
    }
}
