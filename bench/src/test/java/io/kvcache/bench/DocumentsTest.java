package io.kvcache.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.bench.report.Column;
import io.kvcache.bench.report.DocumentFigures;
import io.kvcache.bench.report.PlotImage;
import io.kvcache.bench.report.ResultsFolder;
import io.kvcache.bench.report.Table;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Documents quote the results that are part of the repository. After a new measurement
 *
 * <pre>mvn -pl bench -am test -Dtest=DocumentsTest -Dsurefire.failIfNoSpecifiedTests=false -Dkvcache.documents=write</pre>
 *
 * enters it.
 */
final class DocumentsTest {
    private static final Path ROOT = Path.of("..").toAbsolutePath().normalize();
    private static final ResultsFolder RESULTS = new ResultsFolder(ROOT.resolve("bench/results"));
    private static final Path PLOT = ROOT.resolve("docs/reuse.png");
    private static final boolean WRITE = "write".equals(System.getProperty("kvcache.documents"));
    private static final Pattern TIME = Pattern.compile("\\d (ns|us|ms|GB/s|B/op)\\b");

    @ParameterizedTest
    @ValueSource(strings = {"README.md", "docs/performance.md"})
    void shouldQuoteTheResults(String name) throws IOException {
        Path document = ROOT.resolve(name);
        String text = Files.readString(document);
        String filled = new DocumentFigures(RESULTS).fill(text);
        if (WRITE) {
            Files.writeString(document, filled);
        } else {
            assertEquals(filled, text);
        }
    }

    /** That it is of these results, the sum in the documents says. */
    @Test
    void shouldShowTheCurvesOfTheResults() throws IOException {
        if (WRITE) {
            Files.write(
                    PLOT,
                    PlotImage.png(RESULTS.read("reuse").findings().plots().getFirst())
                            .orElseThrow());
        }
        assertTrue(Files.exists(PLOT));
    }

    /** What any exact replay of the conversation trace gives. */
    @Test
    void shouldKnowTheOptimumOfTheConversationTrace() {
        Table hits = RESULTS.read("reuse").findings().tables().stream()
                .filter(table -> table.name().equals("hit-blocks"))
                .findFirst()
                .orElseThrow();
        int optimum = hits.columns().indexOf(Column.count("optimum"));
        Map<Double, Double> byBlocks = new HashMap<>();
        hits.rows()
                .forEach(row ->
                        byBlocks.put(row.values().getFirst(), row.values().get(optimum)));
        assertEquals(67_129.0, byBlocks.get(1_709.0));
        assertEquals(87_819.0, byBlocks.get(3_418.0));
        assertEquals(105_592.0, byBlocks.get(8_545.0));
    }

    /** A time outside the tables has not come from a result file. */
    @Test
    void shouldHaveNoFiguresBesideTheTables() throws IOException {
        String text = Files.readString(ROOT.resolve("docs/performance.md"));
        String prose = text.replaceAll("(?s)<!-- figures: .*?<!-- end -->", "").replaceAll("(?s)```.*?```", "");
        List<String> found =
                prose.lines().filter(line -> TIME.matcher(line).find()).toList();
        assertEquals(List.of(), found);
    }

    @Test
    void shouldHaveResultsOfEveryStudy() {
        assertFalse(Studies.names().isEmpty());
        assertEquals(
                Studies.names(),
                RESULTS.readAll(Studies.names()).stream()
                        .map(results -> results.name())
                        .toList());
    }

    @Test
    void shouldHaveNoOtherResults() throws IOException {
        try (Stream<Path> files = Files.list(ROOT.resolve("bench/results"))) {
            List<String> unknown = files.map(file -> file.getFileName().toString())
                    .filter(file -> file.endsWith(".json"))
                    .filter(file -> !Studies.names().contains(file.substring(0, file.length() - ".json".length())))
                    .toList();
            assertEquals(List.of(), unknown);
        }
    }
}
