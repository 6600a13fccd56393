package io.kvcache.bench;

import io.kvcache.demo.KvCacheCli.CliCommand;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.openjdk.jmh.Main;
import picocli.CommandLine.Command;
import picocli.CommandLine.Unmatched;

/**
 * Runs the JMH suites: every argument goes to JMH.
 *
 * <p>Not thread-safe.
 */
@Command(name = "jmh", description = "Run JMH benchmarks, for example: jmh Append -prof gc (options: jmh -h).")
public final class JmhCommand implements CliCommand, Callable<Integer> {
    @Unmatched
    private List<String> arguments = new ArrayList<>();

    /** For {@link java.util.ServiceLoader}. */
    public JmhCommand() {}

    @Override
    public Integer call() throws IOException {
        Main.main(arguments.toArray(String[]::new));
        return 0;
    }
}
