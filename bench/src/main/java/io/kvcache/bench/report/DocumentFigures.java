package io.kvcache.bench.report;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.zip.CRC32;

/**
 * Puts figures into documents, between two comments:
 *
 * <pre>
 * &lt;!-- figures: reuse hits --&gt;      a table of a study
 * &lt;!-- figures: lookup ratios --&gt;    its ratios
 * &lt;!-- figures: reuse plot docs/reuse.png --&gt;    its first plot, an image that lies there
 * &lt;!-- figures: memory command --&gt;   the command that repeats it
 * &lt;!-- figures: memory notes --&gt;     how rivals are set up, and what the figures do not show
 * &lt;!-- end --&gt;
 * </pre>
 *
 * <p>Behind {@code ratios} may stand texts in quotes: then only ratios that begin with one of them are shown, and other studies may follow
 * behind a comma.
 *
 * <p>Not thread-safe.
 */
public final class DocumentFigures {
    private static final Pattern PLACE =
            Pattern.compile("<!-- figures: ([^>]+) -->\\n(.*?)<!-- end -->", Pattern.DOTALL);
    private static final Pattern QUOTED = Pattern.compile("\"([^\"]*)\"");

    private final ResultsFolder results;

    /** Takes figures from a folder. */
    public DocumentFigures(ResultsFolder results) {
        this.results = results;
    }

    /** Returns the document with the figures of now. */
    public String fill(String document) {
        return PLACE.matcher(document)
                .replaceAll(place -> Matcher.quoteReplacement(
                        "<!-- figures: " + place.group(1) + " -->\n" + figures(place.group(1)) + "<!-- end -->"));
    }

    private String figures(String reference) {
        if (reference.contains(" ratios")) {
            return Cells.of(Pattern.compile(", (?=[a-z/]+ ratios\\b)")
                            .splitAsStream(reference)
                            .flatMap(part -> ratios(part).stream())
                            .toList())
                    .markdown();
        }
        String[] words = reference.split(" ", 2);
        StudyResults study = results.read(words[0]);
        if (words[1].equals("command")) {
            return "\n    " + study.command() + "\n\n";
        }
        if (words[1].startsWith("plot ")) {
            return plot(study.findings().plots().getFirst(), words[1].substring("plot ".length()));
        }
        if (words[1].equals("notes")) {
            return "\n"
                    + Stream.concat(
                                    study.findings().notes().stream(),
                                    study.notShown().stream().map(sentence -> "Not shown: " + sentence))
                            .map(sentence -> "- " + sentence + "\n")
                            .collect(Collectors.joining())
                    + "\n";
        }
        return study.findings().tables().stream()
                .filter(table -> table.name().equals(words[1]))
                .map(table -> Cells.of(table).markdown())
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException("there is no such table: figures=" + reference));
    }

    /** The sum tells images of other figures apart: who draws a new one fills the document, too. */
    private static String plot(Plot plot, String file) {
        CRC32 sum = new CRC32();
        sum.update(plot.toString().getBytes(StandardCharsets.UTF_8));
        return String.format("![%s](%s \"figures %08x\")\n", plot.title(), file, sum.getValue());
    }

    private List<Ratio> ratios(String reference) {
        List<Ratio> all = results.read(reference.substring(0, reference.indexOf(' ')))
                .findings()
                .ratios();
        List<String> beginnings =
                QUOTED.matcher(reference).results().map(found -> found.group(1)).toList();
        List<Ratio> chosen = all.stream()
                .filter(ratio -> beginnings.isEmpty() || beginnings.stream().anyMatch(ratio.what()::startsWith))
                .toList();
        if (chosen.isEmpty()) {
            throw new IllegalArgumentException("there is no such ratio: figures=" + reference);
        }
        return chosen;
    }
}
