package io.kvcache.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.bench.report.Findings;
import io.kvcache.bench.report.HtmlReport;
import io.kvcache.bench.report.ResultsFolder;
import io.kvcache.bench.report.StudyResults;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.openjdk.jmh.runner.BenchmarkList;
import org.openjdk.jmh.runner.BenchmarkListEntry;
import org.openjdk.jmh.runner.format.OutputFormatFactory;
import org.openjdk.jmh.runner.options.VerboseMode;

final class StudiesTest {
    @TempDir
    private Path directory = Path.of("");

    static Stream<Study> studies() {
        return Studies.all().stream();
    }

    /** Every benchmark and every workload once, as short as can be; figures are not looked at, only that they are there. */
    @ParameterizedTest
    @MethodSource("studies")
    void shouldRunEveryStudy(Study study) throws Exception {
        ResultsFolder results = new ResultsFolder(directory);
        Clock clock = Clock.fixed(Instant.EPOCH, ZoneOffset.UTC);
        new StudyRunner(results, clock).run(study, new StudyRun(Effort.SMOKE, null, null, directory));
        StudyResults read = results.read(study.name());
        Findings findings = read.findings();
        assertFalse(findings.tables().isEmpty());
        assertFalse(findings.ratios().isEmpty());
        findings.ratios().forEach(ratio -> assertTrue(Double.isFinite(ratio.value()), ratio::toString));
        assertFalse(read.notShown().isEmpty(), "a study says what its figures do not show");
        assertEquals("1970-01-01", read.measured());
        assertTrue(
                HtmlReport.of(List.of(read), List.of()).contains(study.title().replace("<", "&lt;")));
    }

    @Test
    void shouldHaveEveryBenchmarkInAStudy() {
        var silent = OutputFormatFactory.createFormatInstance(System.out, VerboseMode.SILENT);
        Set<String> missing = new TreeSet<>();
        for (BenchmarkListEntry entry : BenchmarkList.defaultList().getAll(silent, List.of())) {
            missing.add(entry.getUsername());
        }
        studies()
                .filter(JmhStudy.class::isInstance)
                .flatMap(study -> ((JmhStudy) study).benchmarks().stream())
                .forEach(missing::remove);
        assertEquals(Set.of(), missing);
    }

    @Test
    void shouldHaveNamesOfTheirOwn() {
        assertEquals(Studies.names().size(), new HashSet<>(Studies.names()).size());
    }

    @Test
    void shouldFinishInFiveMinutesWhereTimeIsShort() {
        Duration all = studies().map(study -> study.expected(Effort.QUICK)).reduce(Duration.ZERO, Duration::plus);
        assertTrue(all.toSeconds() <= 300, all::toString);
    }
}
