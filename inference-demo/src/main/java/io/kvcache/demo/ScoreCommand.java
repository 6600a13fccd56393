package io.kvcache.demo;

import io.kvcache.KvCache;
import io.kvcache.KvLayout;
import java.nio.file.Path;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/**
 * Measures how well a model predicts a text, with its keys and values in a type of choice.
 *
 * <p>Not thread-safe.
 */
@Command(
        name = "score",
        mixinStandardHelpOptions = true,
        description = {
            "Say how well a model predicts a text: mean loss and perplexity.",
            "What is longer than the model's context is scored in consecutive windows of the context length, each from"
                    + " its own first token with nothing before it; that token has no score."
        })
final class ScoreCommand implements Callable<Integer> {
    @Spec
    private @Nullable CommandSpec spec;

    @Mixin
    private ModelOptions modelOptions = new ModelOptions();

    @ArgGroup(multiplicity = "1")
    private TextOptions text = new TextOptions();

    /** Where the text comes from. */
    static final class TextOptions {
        @Option(
                names = "--text-file",
                paramLabel = "F",
                description = "A UTF-8 file with the text, tokenised as a prompt is.")
        private @Nullable Path file;

        @Option(
                names = "--tokens",
                paramLabel = "ID",
                split = ",",
                description = "Token ids, as they are, for example 1,2,3; @F takes them from a file.")
        private int @Nullable [] tokens;
    }

    @Option(
            names = "--json",
            description = "Print one JSON object on one line in place of text, with the log-probability of each token.")
    private boolean json;

    @Override
    public Integer call() {
        try (GgufFile file = modelOptions.open()) {
            LlamaShape shape = LlamaShape.of(file.metadata());
            KvLayout layout = modelOptions.layout(shape);
            int[] tokens = tokens(file);
            int longest = Math.clamp(tokens.length, 1, shape.contextTokens());
            try (KvCache cache = KvCache.builder(layout)
                            .maximumBytes(layout.blocksFor(longest) * layout.blockBytes())
                            .build();
                    Llama llama = modelOptions.load(file, layout, longest)) {
                Score score = new Scorer(llama, cache).score(tokens);
                String result = json ? JsonLine.of(score) : summary(score, layout);
                Objects.requireNonNull(spec).commandLine().getOut().println(result);
            }
        }
        return 0;
    }

    private int[] tokens(GgufFile file) {
        if (text.tokens != null) {
            return text.tokens;
        }
        String content = TextFile.read("textFile", Objects.requireNonNull(text.file));
        if (content.isEmpty()) {
            throw new IllegalArgumentException("file is empty: textFile=" + text.file);
        }
        return new Tokenizer(file.metadata()).encode(content);
    }

    private static String summary(Score score, KvLayout layout) {
        return String.format(
                "mean loss %.5f, perplexity %.4f [%d tokens scored; KV %s, %d bytes a token]",
                score.meanLoss(), score.perplexity(), score.tokens(), layout.keyType(), layout.bytesPerToken());
    }
}
