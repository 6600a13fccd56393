package io.kvcache.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.bench.report.Findings;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class SteadinessStudyTest {
    /** Bookkeeping is checked at the end of the run. */
    @Test
    void shouldRunAndFind(@TempDir Path directory) throws Exception {
        Findings findings = new SteadinessStudy().run(new StudyRun(Effort.SMOKE, null, null, directory));
        findings.ratios().forEach(ratio -> assertTrue(Double.isFinite(ratio.highest()), ratio.toString()));
        assertEquals(
                10 * TimedOperation.values().length,
                findings.tables().get(0).rows().size());
        assertEquals(10, findings.tables().get(1).rows().size());
        assertFalse(findings.plots().getFirst().lines().getFirst().points().isEmpty());
    }

    @Test
    void shouldAddUpIntervals() {
        SteadyInterval one = new SteadyInterval();
        one.seconds = 2;
        one.garbageBytes = 3;
        one.residentBytes = 10;
        one.nanos(TimedOperation.REQUEST).recordValue(1_000);
        one.nanos(TimedOperation.OPEN).recordValue(5);
        SteadyInterval other = new SteadyInterval();
        other.seconds = 3;
        other.garbageBytes = 4;
        other.residentBytes = 8;
        other.nanos(TimedOperation.REQUEST).recordValue(2_000);
        other.nanos(TimedOperation.COMMIT).recordValue(7);
        SteadyInterval both = SteadyInterval.all(List.of(one, other));
        assertEquals(0.4, both.requestsPerSecond());
        assertEquals(2, both.calls());
        assertEquals(7, both.garbageBytes);
        assertEquals(8, both.residentBytes, "at the end");
        assertEquals(1, both.micros(TimedOperation.REQUEST, 50), 0.01);
        assertEquals(2, both.micros(TimedOperation.REQUEST, 99), 0.02);
        assertEquals(0, both.micros(TimedOperation.RESERVE, 99));
    }
}
