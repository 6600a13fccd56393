package io.kvcache.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.bench.report.Findings;
import io.kvcache.bench.report.Row;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class MemoryStudyTest {
    @Test
    void shouldFitMoreInBlocks(@TempDir Path directory) {
        Findings findings = new MemoryStudy().run(new StudyRun(Effort.SMOKE, null, null, directory));
        findings.ratios().forEach(ratio -> assertTrue(ratio.value() > 1, ratio.toString()));
        assertEquals(findings, new MemoryStudy().run(new StudyRun(Effort.SMOKE, null, null, directory)));

        List<Row> rows = findings.tables().getFirst().rows();
        for (Row row : rows) {
            double reserved = Objects.requireNonNull(row.values().get(2));
            double used = Objects.requireNonNull(row.values().get(3));
            assertEquals(
                    100 * (1 - used / reserved),
                    Objects.requireNonNull(row.values().get(4)),
                    1e-6);
            assertTrue(Objects.requireNonNull(row.values().get(5)) <= 64, row.toString());
        }
        assertEquals(23, rows.getFirst().values().getFirst(), "64 GiB are 23.7 times the longest, of 22,156 tokens");
    }
}
