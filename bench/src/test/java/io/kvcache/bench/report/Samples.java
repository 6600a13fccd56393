package io.kvcache.bench.report;

import java.util.List;
import java.util.Map;

/** Results that were never measured. Stateless, hence thread-safe. */
final class Samples {
    static final StudyResults RESULTS = new StudyResults(
            "copying",
            "Copying <things>",
            "./kvcache bench --only copying",
            "2026-01-02",
            7,
            new Machine(
                    "a processor",
                    2,
                    1L << 30,
                    "a system",
                    "a JVM",
                    List.of("GC"),
                    List.of("-Xmx1g"),
                    Map.of("a", "1.0")),
            new Findings(
                    List.of(
                            new Ratio("copying", "moving", 2.5, 2, 3, Bar.atLeast(2)),
                            Ratio.exact("keeping", "moving", 0.25, Bar.atLeast(1)),
                            Ratio.exact("bytes", "moving", 1, null)),
                    List.of(new Table(
                            "times",
                            "Times",
                            List.of("what", "size"),
                            List.of(new Column("time", "ns", 3), Column.count("blocks")),
                            List.of(
                                    new Row(List.of("copy", "a|b"), java.util.Arrays.asList(12.345, null)),
                                    new Row(List.of("move", ""), java.util.Arrays.asList(null, 12_345.0))))),
                    List.of(new Plot(
                            "times",
                            "Times",
                            new Plot.Axis("size", true),
                            new Plot.Axis("ns", false),
                            List.of(new Plot.Line(
                                    "copy",
                                    List.of(new Plot.Point(1, 12), new Plot.Point(10, 20), new Plot.Point(100, 24)))))),
                    List.of("A rival moves.")),
            List.of("Other machines."));

    private Samples() {}
}
