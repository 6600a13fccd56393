package io.kvcache.bench;

import static org.junit.jupiter.api.Assertions.assertFalse;

import org.junit.jupiter.api.Test;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.Options;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;
import org.openjdk.jmh.runner.options.VerboseMode;

final class BenchmarksTest {
    /** Every benchmark for one short iteration; figures are not looked at. */
    @Test
    void shouldRunEveryBenchmark() throws RunnerException {
        Options options = new OptionsBuilder()
                .forks(0)
                .warmupIterations(0)
                .measurementIterations(1)
                .measurementTime(TimeValue.milliseconds(20))
                .param("tokens", "256")
                .param("megabytes", "1")
                .param("blocks", "2000")
                .addProfiler(Figures.class)
                .shouldFailOnError(true)
                .verbosity(VerboseMode.SILENT)
                .build();
        assertFalse(new Runner(options).run().isEmpty());
    }
}
