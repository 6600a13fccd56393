package io.kvcache.bench;

import io.kvcache.KvCache;
import io.kvcache.KvLayout;
import io.kvcache.KvType;
import io.kvcache.bench.report.Bar;
import io.kvcache.bench.report.Column;
import io.kvcache.bench.report.Findings;
import io.kvcache.bench.report.Ratio;
import io.kvcache.bench.report.Row;
import io.kvcache.bench.report.Table;
import io.kvcache.demo.GgufFile;
import io.kvcache.demo.Llama;
import io.kvcache.demo.LlamaShape;
import io.kvcache.demo.Score;
import io.kvcache.demo.Scorer;
import io.kvcache.demo.ShippedModel;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * How well the shipped model predicts held-out text, by the type in which the cache keeps keys and values. All else is computed in F32,
 * so the same model with F32 is what a type is compared with.
 *
 * <p>Not thread-safe.
 */
final class QualityStudy implements Study {
    private static final int TOKENS_PER_BLOCK = 16;
    private static final int ROWS = 128;
    private static final int SMOKE_TOKENS = 128;

    /** For the command. */
    QualityStudy() {}

    /** What a type comes to. */
    private record Quality(KvType type, long bytesPerToken, Score score) {
        double timesPerplexityOf(Quality other) {
            return score.perplexity() / other.score.perplexity();
        }
    }

    @Override
    public String name() {
        return "quality";
    }

    @Override
    public String title() {
        return "What types of keys and values cost in quality, against F32";
    }

    @Override
    public List<String> notShown() {
        return List.of(
                "What a type does to other models: this one is small, with heads of 32 elements, where a scale of 4"
                        + " bytes for each makes INT8 .56 of F16; with heads of 128 it is .52.");
    }

    @Override
    public Duration expected(Effort effort) {
        return effort == Effort.SMOKE ? Duration.ofSeconds(1) : Duration.ofSeconds(10);
    }

    @Override
    public boolean wantsOwnProcess() {
        return false;
    }

    @Override
    public Findings run(StudyRun run) {
        int[] slice = ShippedModel.heldOutTokens();
        int[] tokens = run.effort() == Effort.SMOKE ? Arrays.copyOf(slice, SMOKE_TOKENS) : slice;
        List<Quality> all = new ArrayList<>();
        try (GgufFile file = ShippedModel.open()) {
            for (KvType type : KvType.values()) {
                all.add(quality(file, type, tokens));
            }
        }
        return findings(all, tokens.length == slice.length);
    }

    private static Quality quality(GgufFile file, KvType type, int[] tokens) {
        LlamaShape shape = LlamaShape.of(file.metadata());
        KvLayout layout = shape.kvLayout(type, TOKENS_PER_BLOCK);
        try (KvCache cache = KvCache.builder(layout)
                        .maximumBytes(layout.blocksFor(shape.contextTokens()) * layout.blockBytes())
                        .build();
                Llama model = new Llama(file, layout, ROWS)) {
            return new Quality(type, layout.bytesPerToken(), new Scorer(model, cache).score(tokens));
        }
    }

    private static Findings findings(List<Quality> all, boolean whole) {
        Quality exact = all.stream()
                .filter(quality -> quality.type == KvType.F32)
                .findFirst()
                .orElseThrow();
        List<Ratio> ratios = new ArrayList<>();
        List<Row> rows = new ArrayList<>();
        for (Quality quality : all) {
            if (quality.type != KvType.F32) {
                ratios.addAll(ratios(quality, exact, whole));
            }
            rows.add(row(quality, exact));
        }
        Table table = new Table(
                "quality",
                "How well " + exact.score.tokens() + " tokens of held-out text are predicted",
                List.of("type"),
                List.of(
                        new Column("a token", "bytes", 0),
                        new Column("mean loss", "nats", 6),
                        new Column("perplexity", "", 6),
                        new Column("change against F32", "%", 2)),
                rows);
        return new Findings(
                ratios,
                List.of(table),
                List.of(),
                List.of(
                        "The text is scored in windows of 512 tokens, each by itself.",
                        "A change of either sign is rounding; only its size says something.",
                        "The model's reference implementation, in double precision without a cache, gives a mean loss"
                                + " of 2.37573 and a perplexity of 10.7589 for the whole text."));
    }

    /** A bar for a part of the text would say nothing. */
    private static List<Ratio> ratios(Quality quality, Quality exact, boolean whole) {
        Bar bar = Bar.atMost(quality.type == KvType.INT8 ? 1.005 : 1.001);
        return List.of(
                Ratio.exact(
                        "perplexity with keys and values in " + quality.type,
                        "the same model with F32",
                        quality.timesPerplexityOf(exact),
                        whole ? bar : null),
                Ratio.exact(
                        "bytes of a token in " + quality.type,
                        "F32",
                        (double) quality.bytesPerToken / exact.bytesPerToken,
                        null));
    }

    private static Row row(Quality quality, Quality exact) {
        return Row.of(
                quality.type.name(),
                (double) quality.bytesPerToken,
                quality.score.meanLoss(),
                quality.score.perplexity(),
                quality.type == KvType.F32 ? null : 100 * (quality.timesPerplexityOf(exact) - 1));
    }
}
