package io.kvcache.bench;

import io.kvcache.KvLayout;
import io.kvcache.KvType;
import io.kvcache.bench.report.Column;
import io.kvcache.bench.report.Findings;
import io.kvcache.bench.report.Plot;
import io.kvcache.bench.report.Ratio;
import io.kvcache.bench.report.Row;
import io.kvcache.bench.report.Table;
import io.kvcache.demo.DecodeOptions;
import io.kvcache.demo.GgufFile;
import io.kvcache.demo.Llama;
import io.kvcache.demo.LlamaShape;
import io.kvcache.demo.Model;
import io.kvcache.demo.ShippedModel;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Requests through the demo's decode loop on the shipped model, with equal prefixes shared and not: time to first token, and tokens per
 * second. Rounds take turns, so that both see the machine in the same state.
 *
 * <p>Not thread-safe.
 */
final class ServingStudy implements Study {
    private static final int TOKENS_PER_BLOCK = 16;
    private static final int ROWS = 128; // of a step: prompts are computed in chunks of at most as many tokens
    private static final String RIVAL = "the same requests, each in a namespace of its own";

    /** For the command. */
    ServingStudy() {}

    @Override
    public String name() {
        return "serving";
    }

    @Override
    public String title() {
        return "Time to first token and tokens per second, prefixes shared against not shared";
    }

    @Override
    public List<String> notShown() {
        return List.of(
                "Other models: the shipped one has a million parameters and a context of 512 tokens. Where a token"
                        + " costs more to compute, so does each that is found.",
                "Memory that is short: nothing is evicted here.",
                "Callers that think or arrive at random: each asks again at once.");
    }

    @Override
    public Duration expected(Effort effort) {
        return switch (effort) {
            case SMOKE -> Duration.ofSeconds(2);
            case QUICK -> Duration.ofSeconds(25);
            case FULL -> Duration.ofMinutes(2);
        };
    }

    @Override
    public boolean wantsOwnProcess() {
        return true;
    }

    /** The traffic. */
    static List<ServingMix> mixes(Effort effort) {
        return effort == Effort.SMOKE
                ? List.of(ServingMix.chat(2, 3), ServingMix.agent(4, 2, 2), ServingMix.batch(5))
                : List.of(ServingMix.chat(8, 8), ServingMix.agent(16, 3, 8), ServingMix.batch(64));
    }

    private static int rounds(Effort effort) {
        return switch (effort) {
            case SMOKE -> 1;
            case QUICK -> 2;
            case FULL -> 9;
        };
    }

    @Override
    public Findings run(StudyRun run) {
        List<ServingRounds> all =
                mixes(run.effort()).stream().map(ServingRounds::new).toList();
        try (GgufFile file = ShippedModel.open()) {
            KvLayout layout = LlamaShape.of(file.metadata()).kvLayout(KvType.F16, TOKENS_PER_BLOCK);
            try (Llama model = new Llama(file, layout, ROWS)) {
                if (run.effort() != Effort.SMOKE) {
                    warmUp(all.getFirst().mix(), model, layout);
                }
                for (int round = 0; round < rounds(run.effort()); round++) {
                    all.forEach(rounds -> round(rounds, model, layout));
                }
            }
        }
        return findings(all);
    }

    /** Lets the JIT see both ways. */
    private static void warmUp(ServingMix mix, Model model, KvLayout layout) {
        ServingRun.of(mix, true, model, layout);
        ServingRun.of(mix, false, model, layout);
    }

    private static void round(ServingRounds rounds, Model model, KvLayout layout) {
        rounds.add(true, ServingRun.of(rounds.mix(), true, model, layout));
        rounds.add(false, ServingRun.of(rounds.mix(), false, model, layout));
    }

    // ---- findings ----

    private static Findings findings(List<ServingRounds> all) {
        List<Ratio> ratios = new ArrayList<>();
        List<Row> rows = new ArrayList<>();
        List<String> notes = new ArrayList<>();
        for (ServingRounds rounds : all) {
            ratios.addAll(ratios(rounds));
            rows.add(row(rounds, true));
            rows.add(row(rounds, false));
            notes.add("%s: %s; %d of %d answers differ with sharing and without, by rounding."
                    .formatted(
                            rounds.mix().name(),
                            rounds.mix().description(),
                            rounds.unlikeAnswers(),
                            rounds.of(true).size() * rounds.mix().requests()));
        }
        notes.add("Figures are medians over " + all.getFirst().of(true).size()
                + " rounds, each with an empty cache. Time to first token counts from the request, waiting included."
                + " Ids are random, answers the most probable tokens; at most " + DecodeOptions.DEFAULT.concurrency()
                + " samples run at a time, " + ROWS + " tokens are computed in a step.");
        return new Findings(ratios, List.of(table(rows)), List.of(plot(all.getFirst())), notes);
    }

    private static List<Ratio> ratios(ServingRounds rounds) {
        String name = rounds.mix().name();
        return List.of(
                rounds.ratio(
                        "median time to first token without sharing, " + name,
                        "the same requests with sharing",
                        null,
                        (shared, separate) -> separate.firstTokenMillis(.5) / shared.firstTokenMillis(.5)),
                rounds.ratio(
                        "tokens per second with sharing, " + name,
                        RIVAL,
                        null,
                        (shared, separate) -> shared.tokensPerSecond() / separate.tokensPerSecond()));
    }

    private static Table table(List<Row> rows) {
        return new Table(
                "serving",
                "Three kinds of traffic",
                List.of("traffic", "prefixes"),
                List.of(
                        Column.count("requests"),
                        Column.count("prompt tokens"),
                        Column.ratio("cached share"),
                        new Column("first token, median", "ms", 3),
                        new Column("first token, nine in ten", "ms", 3),
                        new Column("generated", "tokens/s", 3),
                        Column.count("most blocks in use")),
                rows);
    }

    private static Row row(ServingRounds rounds, boolean sharing) {
        return new Row(
                List.of(rounds.mix().name(), sharing ? "shared" : "not shared"),
                List.of(
                        (double) rounds.mix().requests(),
                        rounds.median(sharing, ServingOutcome::promptTokens),
                        rounds.median(sharing, outcome -> (double) outcome.cachedTokens() / outcome.promptTokens()),
                        rounds.median(sharing, outcome -> outcome.firstTokenMillis(.5)),
                        rounds.median(sharing, outcome -> outcome.firstTokenMillis(.9)),
                        rounds.median(sharing, ServingOutcome::tokensPerSecond),
                        rounds.median(sharing, ServingOutcome::peakBlocks)));
    }

    private static Plot plot(ServingRounds chat) {
        return new Plot(
                "chat-by-turn",
                "Time to first token in a chat",
                new Plot.Axis("turn", false),
                new Plot.Axis("median time to first token, ms", false),
                List.of(line("shared", chat, true), line("not shared", chat, false)));
    }

    private static Plot.Line line(String name, ServingRounds chat, boolean sharing) {
        int turns = chat.mix().scripts().getFirst().turns();
        return new Plot.Line(
                name,
                IntStream.range(0, turns)
                        .mapToObj(turn -> new Plot.Point(
                                turn + 1.0, chat.median(sharing, outcome -> outcome.firstTokenMillisOfTurn(turn))))
                        .toList());
    }
}
