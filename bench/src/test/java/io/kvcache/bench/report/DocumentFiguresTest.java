package io.kvcache.bench.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class DocumentFiguresTest {
    @TempDir
    private Path directory = Path.of("");

    private String fill(String document) {
        return new DocumentFigures(new ResultsFolder(directory)).fill(document);
    }

    @BeforeEach
    void writeResults() {
        new ResultsFolder(directory).write(Samples.RESULTS);
    }

    @Test
    void shouldReadWhatWasWritten() {
        assertEquals(Samples.RESULTS, new ResultsFolder(directory).read("copying"));
    }

    @Test
    void shouldReplaceATable() {
        assertEquals("""
            before
            <!-- figures: copying times -->
            | what | size | time, ns | blocks |
            | --- | --- | --- | --- |
            | copy | a\\|b | 12.3 | |
            | move | | | 12,345 |
            <!-- end -->
            behind
            """, fill("""
                before
                <!-- figures: copying times -->
                | old |
                <!-- end -->
                behind
                """));
    }

    @Test
    void shouldChooseRatios() {
        assertEquals("""
            <!-- figures: copying ratios "copy", copying ratios "keep" -->
            | what | against | ratio | rounds | bar |
            | --- | --- | --- | --- | --- |
            | copying | moving | 2.50 | 2.00 to 3.00 | at least 2.00: met |
            | keeping | moving | 0.250 | | at least 1.00: missed |
            <!-- end -->
            """, fill("<!-- figures: copying ratios \"copy\", copying ratios \"keep\" -->\n<!-- end -->\n"));
    }

    @Test
    void shouldChooseRatiosBehindACommaInQuotes() {
        assertEquals(
                fill("<!-- figures: copying ratios \"copying\" -->\n<!-- end -->\n")
                        .replace("\"copying\"", "\"x, y\", \"copying\""),
                fill("<!-- figures: copying ratios \"x, y\", \"copying\" -->\n<!-- end -->\n"));
    }

    @Test
    void shouldGiveNotesAndWhatIsNotShown() {
        assertEquals(
                "<!-- figures: copying notes -->\n\n- A rival moves.\n- Not shown: Other machines.\n\n<!-- end -->",
                fill("<!-- figures: copying notes -->\n<!-- end -->"));
    }

    @Test
    void shouldTellPlotsOfOtherFiguresApart() {
        String document = "<!-- figures: copying plot a/b.png -->\n<!-- end -->";
        String before = fill(document);
        assertTrue(before.matches("(?s).*!\\[Times]\\(a/b.png \"figures [0-9a-f]{8}\"\\)\n<!-- end -->"), before);
        assertEquals(before, fill(before));
        Findings findings = Samples.RESULTS.findings();
        Plot plot = findings.plots().getFirst();
        Plot other = new Plot(plot.name(), plot.title(), plot.x(), plot.y(), List.of());
        new ResultsFolder(directory)
                .write(new StudyResults(
                        "copying",
                        "",
                        "",
                        "",
                        0,
                        Samples.RESULTS.machine(),
                        new Findings(findings.ratios(), findings.tables(), List.of(other), findings.notes()),
                        List.of()));
        assertNotEquals(before, fill(document));
    }

    @Test
    void shouldGiveTheCommand() {
        assertEquals(
                "<!-- figures: copying command -->\n\n    ./kvcache bench --only copying\n\n<!-- end -->",
                fill("<!-- figures: copying command -->\n<!-- end -->"));
    }

    @Test
    void shouldRefuseWhatIsNotThere() {
        assertEquals(
                "there is no such table: figures=copying sizes",
                assertThrows(
                                IllegalArgumentException.class,
                                () -> fill("<!-- figures: copying sizes -->\n<!-- end -->"))
                        .getMessage());
        assertEquals(
                "there is no such ratio: figures=copying ratios \"x\"",
                assertThrows(
                                IllegalArgumentException.class,
                                () -> fill("<!-- figures: copying ratios \"x\" -->\n<!-- end -->"))
                        .getMessage());
    }
}
