package io.kvcache.bench.report;

import static j2html.TagCreator.body;
import static j2html.TagCreator.code;
import static j2html.TagCreator.dd;
import static j2html.TagCreator.div;
import static j2html.TagCreator.dl;
import static j2html.TagCreator.document;
import static j2html.TagCreator.dt;
import static j2html.TagCreator.each;
import static j2html.TagCreator.h1;
import static j2html.TagCreator.h2;
import static j2html.TagCreator.h3;
import static j2html.TagCreator.head;
import static j2html.TagCreator.html;
import static j2html.TagCreator.img;
import static j2html.TagCreator.li;
import static j2html.TagCreator.meta;
import static j2html.TagCreator.p;
import static j2html.TagCreator.rawHtml;
import static j2html.TagCreator.section;
import static j2html.TagCreator.style;
import static j2html.TagCreator.table;
import static j2html.TagCreator.tbody;
import static j2html.TagCreator.td;
import static j2html.TagCreator.th;
import static j2html.TagCreator.thead;
import static j2html.TagCreator.title;
import static j2html.TagCreator.tr;
import static j2html.TagCreator.ul;

import j2html.tags.DomContent;
import java.util.Base64;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** All results on one page that needs nothing beside itself. Stateless, hence thread-safe. */
public final class HtmlReport {
    private static final String STYLE = """
        body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
        table { border-collapse: collapse; margin: .5rem 0 1.5rem; font-size: 13px }
        th, td { border-bottom: 1px solid #ddd; padding: .2rem .7rem; text-align: left; vertical-align: top }
        .number { text-align: right; font-variant-numeric: tabular-nums }
        .met { color: #060 } .missed { color: #a00; font-weight: bold }
        dt { font-weight: bold } dd { margin: 0 0 .4rem 1rem }
        img { max-width: 100%; height: auto }
        code { background: #f4f4f4; padding: 0 .2rem }
        """;

    private HtmlReport() {}

    /**
     * Writes the page.
     *
     * @param studies what was found
     * @param failures what went wrong: of these studies there is no result, or an earlier one
     */
    public static String of(List<StudyResults> studies, List<String> failures) {
        return document(html(
                        head(
                                meta().withCharset("utf-8"),
                                meta().withName("viewport").withContent("width=device-width, initial-scale=1"),
                                title("kvcache benchmarks"),
                                style(rawHtml(STYLE))),
                        body(
                                h1("kvcache benchmarks"),
                                each(machines(studies), HtmlReport::machine),
                                failures.isEmpty() ? div() : failed(failures),
                                notShown(studies),
                                h2("Ratios"),
                                p("Each is the cache against a rival, or against what the machine can do, in the"
                                        + " same run. Where there are rounds, the ratio is their median, beside"
                                        + " the least and the greatest."),
                                cells(Cells.of(studies.stream()
                                        .flatMap(study -> study.findings().ratios().stream())
                                        .toList())),
                                each(studies, HtmlReport::study)))
                .withLang("en"));
    }

    private static List<Machine> machines(List<StudyResults> studies) {
        return studies.stream().map(StudyResults::machine).distinct().toList();
    }

    private static DomContent machine(Machine machine) {
        String versions = machine.versions().entrySet().stream()
                .sorted(Map.Entry.comparingByKey())
                .map(version -> version.getKey() + " " + version.getValue())
                .collect(Collectors.joining(", "));
        return dl(
                dt("Machine"),
                dd(String.format(
                        Locale.ROOT,
                        "%s, %d processors, %.0f GiB, %s",
                        machine.processor(),
                        machine.processors(),
                        machine.memoryBytes() / 0x1p30,
                        machine.system())),
                dt("JVM"),
                dd(machine.jvm() + ", " + String.join(", ", machine.collectors())),
                dt("Flags"),
                dd(code(String.join(" ", machine.flags()))),
                dt("Versions"),
                dd(versions));
    }

    private static DomContent failed(List<String> failures) {
        return section(
                h2("What failed"),
                p("Where there are results of these studies below, they are from an earlier run."),
                ul(each(failures, failure -> li(failure).withClass("missed"))));
    }

    private static DomContent notShown(List<StudyResults> studies) {
        return section(
                h2("What the figures do not show"),
                ul(
                        li("Other machines. Times on a shared machine vary by up to two times for seconds: judge"
                                + " ratios, not times."),
                        each(
                                studies,
                                study -> each(study.notShown(), sentence -> li(study.name() + ": " + sentence)))));
    }

    private static DomContent study(StudyResults study) {
        Findings findings = study.findings();
        return section(
                h2(study.name()),
                p(study.title()),
                p(
                        code(study.command()),
                        rawHtml(" &nbsp; "),
                        j2html.TagCreator.text(study.measured() + ", took " + study.seconds() + " s")),
                findings.ratios().isEmpty() ? div() : cells(Cells.of(findings.ratios())),
                each(findings.plots(), HtmlReport::plot),
                each(findings.tables(), each -> div(h3(each.title()), cells(Cells.of(each)))),
                ul(each(findings.notes(), note -> li(note))));
    }

    private static DomContent plot(Plot plot) {
        return PlotImage.png(plot)
                .<DomContent>map(png -> img().withSrc(
                                "data:image/png;base64," + Base64.getEncoder().encodeToString(png))
                        .withAlt(plot.title())
                        .attr("width", PlotImage.WIDTH))
                .orElseGet(() -> p("No plot of " + plot.title()
                        + ": this machine has no fonts. Install fontconfig and a font, and run again."));
    }

    private static DomContent cells(Cells cells) {
        return table(
                thead(tr(each(cells.headings(), heading -> th(heading)))),
                tbody(each(cells.lines(), line -> tr(tds(cells, line)))));
    }

    private static DomContent[] tds(Cells cells, List<String> line) {
        return IntStream.range(0, line.size())
                .<DomContent>mapToObj(i -> td(line.get(i)).withClass(looks(line.get(i), i >= cells.numbersFrom())))
                .toArray(DomContent[]::new);
    }

    private static String looks(String cell, boolean isNumber) {
        if (cell.endsWith(": met")) {
            return "met";
        }
        return cell.endsWith(": missed") ? "missed" : isNumber ? "number" : "";
    }
}
