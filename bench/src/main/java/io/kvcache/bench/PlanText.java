package io.kvcache.bench;

import io.kvcache.bench.PlanReport.Need;
import io.kvcache.bench.PlanReport.Size;
import io.kvcache.demo.ByteSize;
import java.util.List;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * A plan for people to read.
 *
 * <p>Thread-safe: stateless.
 */
final class PlanText {
    /** Of a column: a policy's name, a share or a size has room. */
    private static final String CELL = "%12s";

    private PlanText() {}

    static String of(PlanReport report) {
        return Stream.of(reuse(report), sizes(report), needs(report))
                .flatMap(Function.identity())
                .collect(Collectors.joining(System.lineSeparator()));
    }

    private static Stream<String> reuse(PlanReport report) {
        return Stream.of(
                String.format(
                        "%d requests with %d full blocks of %d tokens, %d of them distinct",
                        report.requests(), report.blockReferences(), Trace.TOKENS_PER_BLOCK, report.distinctBlocks()),
                String.format(
                        "%d bytes a token, %s a block, %s for all distinct blocks",
                        report.bytesPerToken(),
                        ByteSize.text(report.blockBytes()),
                        ByteSize.text(report.distinctBytes())),
                String.format(
                        "%d blocks hit with room for all: %.2f%% of all input tokens are within reach",
                        report.reachableBlocks(), 100 * report.reachableTokenHitRatio()));
    }

    private static Stream<String> sizes(PlanReport report) {
        List<String> policies =
                report.sizes().stream().map(Size::policy).distinct().toList();
        List<Long> memories =
                report.sizes().stream().map(Size::memoryBytes).distinct().toList();
        return Stream.concat(
                Stream.of(
                        "",
                        "share of all input tokens cached, by memory and by what decides who goes",
                        line("memory", Stream.concat(Stream.of("blocks"), policies.stream()))),
                memories.stream().map(memory -> sizeLine(memory, report)));
    }

    private static String sizeLine(long memory, PlanReport report) {
        List<Size> sizes = report.sizes().stream()
                .filter(size -> size.memoryBytes() == memory)
                .toList();
        String blocks = Integer.toString(sizes.getFirst().blocks());
        Stream<String> ratios = sizes.stream().map(size -> String.format("%.2f%%", 100 * size.tokenHitRatio()));
        return line(ByteSize.text(memory), Stream.concat(Stream.of(blocks), ratios));
    }

    private static Stream<String> needs(PlanReport report) {
        if (report.needs().isEmpty()) {
            return Stream.of("", "no block is asked for twice: no memory is worth anything here");
        }
        List<String> policies =
                report.needs().stream().map(Need::policy).distinct().toList();
        List<Integer> parts =
                report.needs().stream().map(Need::percentOfReachable).distinct().toList();
        return Stream.of(
                        Stream.of("", "memory for a part of the hits within reach", line("part", policies.stream())),
                        parts.stream().map(part -> needLine(part, report)),
                        Stream.of(
                                "Found by replays: 2% less memory, or one block, is too little, and all larger sizes"
                                        + " replayed are enough.",
                                "Sizes between them were not replayed: more memory need not hit more under every"
                                        + " policy.",
                                "Not modelled: requests at work at once, whose blocks cannot go and need memory"
                                        + " besides; answers; parts of blocks."))
                .flatMap(Function.identity());
    }

    private static String needLine(int part, PlanReport report) {
        Predicate<Need> ofPart = need -> need.percentOfReachable() == part;
        return line(part + "%", report.needs().stream().filter(ofPart).map(need -> ByteSize.text(need.memoryBytes())));
    }

    private static String line(String first, Stream<String> others) {
        return String.format(CELL, first) + others.map(CELL::formatted).collect(Collectors.joining());
    }
}
