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
 * Runs the JMH suites: every argument goes to JMH, and the profilers for garbage and for {@link Figures} besides.
 *
 * <p>Not thread-safe.
 */
@Command(name = "jmh", description = "Run JMH benchmarks, for example: jmh Append -f 1 (options: jmh -h).")
public final class JmhCommand implements CliCommand, Callable<Integer> {
    @Unmatched
    private List<String> arguments = new ArrayList<>();

    /** For {@link java.util.ServiceLoader}. */
    public JmhCommand() {}

    @Override
    public Integer call() throws IOException {
        List<String> extended = new ArrayList<>(arguments);
        extended.addAll(List.of("-prof", "gc", "-prof", Figures.class.getName()));
        Main.main(extended.toArray(String[]::new));
        return 0;
    }
}
