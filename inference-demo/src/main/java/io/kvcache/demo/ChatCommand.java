package io.kvcache.demo;

import io.kvcache.KvCache;
import io.kvcache.KvLayout;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParentCommand;
import picocli.CommandLine.Spec;

/**
 * Reads lines from standard input and answers each.
 *
 * <p>Not thread-safe.
 */
@Command(
        name = "chat",
        mixinStandardHelpOptions = true,
        description = {
            "Answer the lines of standard input, computing only what is new in each turn.",
            "A line is appended to what was said so far, and continued: no template is put around it. /help lists what"
                    + " else can be typed."
        })
final class ChatCommand implements Callable<Integer> {
    @Spec
    private @Nullable CommandSpec spec;

    @ParentCommand
    private @Nullable KvCacheCli cli;

    @Mixin
    private ModelOptions modelOptions = new ModelOptions();

    @Option(
            names = "--max-tokens",
            paramLabel = "N",
            defaultValue = "128",
            description = "Tokens to generate at most, in each turn (default: ${DEFAULT-VALUE}).")
    private int maxTokens;

    @Mixin
    private ChoiceOptions choiceOptions = new ChoiceOptions();

    @Mixin
    private CacheOptions cacheOptions = new CacheOptions();

    @Override
    public Integer call() {
        if (maxTokens < 1) {
            throw new IllegalArgumentException("must be positive: maxTokens=" + maxTokens);
        }
        SamplingOptions sampling = choiceOptions.sampling();
        try (GgufFile file = modelOptions.open()) {
            LlamaShape shape = LlamaShape.of(file.metadata());
            KvLayout layout = modelOptions.layout(shape);
            Tokenizer tokenizer = new Tokenizer(file.metadata());
            int contextTokens = shape.contextTokens();
            try (KvCache cache = cacheOptions.build(layout, file, err());
                    Llama llama = modelOptions.load(file, layout, contextTokens)) {
                Decoder decoder = new Decoder(llama, tokenizer, cache, System::nanoTime);
                Chat chat =
                        new Chat(decoder, tokenizer, cache.namespace("default"), contextTokens, maxTokens, sampling);
                return converse(new ChatLines(chat, decoder, cache, out(), err(), Terminal.isInteractive()));
            }
        }
    }

    private int converse(ChatLines lines) {
        try (BufferedReader in = new BufferedReader(Objects.requireNonNull(cli).in())) {
            lines.prompt();
            for (String line = in.readLine(); line != null && lines.take(line); line = in.readLine()) {
                lines.prompt();
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return lines.failed() ? 1 : 0;
    }

    private PrintWriter out() {
        return Objects.requireNonNull(spec).commandLine().getOut();
    }

    private PrintWriter err() {
        return Objects.requireNonNull(spec).commandLine().getErr();
    }
}
