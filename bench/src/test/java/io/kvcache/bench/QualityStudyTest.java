package io.kvcache.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.bench.report.Findings;
import io.kvcache.bench.report.Row;
import io.kvcache.bench.report.Table;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class QualityStudyTest {
    @Test
    void shouldFindEveryTypeNearF32(@TempDir Path directory) {
        Findings findings = new QualityStudy().run(new StudyRun(Effort.SMOKE, null, null, directory));
        Table table = findings.tables().getFirst();
        assertEquals(
                List.of("F32", "F16", "BF16", "INT8"),
                table.rows().stream().map(row -> row.labels().getFirst()).toList());
        assertEquals(
                List.of(2560.0, 1280.0, 1280.0, 720.0),
                table.rows().stream().map(row -> value(row, 0)).toList());
        Row exact = table.rows().getFirst();
        assertNull(exact.values().getLast());
        assertEquals(Math.exp(value(exact, 1)), value(exact, 2), 1e-9);
        for (Row row : table.rows().subList(1, 4)) {
            double perplexity = value(row, 2);
            assertEquals(Math.exp(value(row, 1)), perplexity, 1e-9);
            assertTrue(Math.abs(perplexity / value(exact, 2) - 1) < .01, row::toString);
            assertEquals(100 * (perplexity / value(exact, 2) - 1), value(row, 3), 1e-9);
            assertTrue(value(row, 3) != 0, row::toString);
        }
        assertEquals(6, findings.ratios().size());
    }

    private static double value(Row row, int column) {
        return Objects.requireNonNull(row.values().get(column));
    }
}
