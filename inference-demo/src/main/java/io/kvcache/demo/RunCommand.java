package io.kvcache.demo;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kvcache.KvCache;
import io.kvcache.KvLayout;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
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
 * Continues a prompt with a model and says what that took.
 *
 * <p>Not thread-safe.
 */
@Command(name = "run", mixinStandardHelpOptions = true, description = "Continue a prompt and say what it took.")
final class RunCommand implements Callable<Integer> {
    @Spec
    private @Nullable CommandSpec spec;

    @Mixin
    private ModelOptions modelOptions = new ModelOptions();

    @ArgGroup(multiplicity = "1")
    private PromptOptions prompt = new PromptOptions();

    /** Where the prompt comes from. */
    static final class PromptOptions {
        @Option(names = "--prompt", paramLabel = "TEXT", description = "The text to continue.")
        private @Nullable String text;

        @Option(names = "--prompt-file", paramLabel = "F", description = "A UTF-8 file with the text to continue.")
        private @Nullable Path file;

        @Option(
                names = "--prompts",
                paramLabel = "F",
                description = "A UTF-8 file with a text to continue on each line.")
        private @Nullable Path lines;

        @Option(
                names = "--tokens",
                paramLabel = "ID",
                split = ",",
                description = "Token ids to continue, as they are, for example 1,2,3.")
        private int @Nullable [] tokens;
    }

    @Option(
            names = "--repeat",
            paramLabel = "N",
            defaultValue = "1",
            description = "Run all prompts so many times, with one cache" + DEFAULT_BEHIND)
    private int repeat;

    @Option(names = "--max-tokens", paramLabel = "N", defaultValue = "128", description = DEFAULT)
    private int maxTokens;

    @Mixin
    private ChoiceOptions choiceOptions = new ChoiceOptions();

    @Mixin
    private CacheOptions cacheOptions = new CacheOptions();

    @Option(names = "--ignore-eos", description = "Go on behind the end-of-sequence token.")
    private boolean ignoreEndOfSequence;

    @Option(names = "--json", description = "Print one JSON object on one line in place of text.")
    private boolean json;

    @Option(names = "--stats", description = "Say after each run what it did with the cache.")
    private boolean stats;

    private static final String DEFAULT_BEHIND = " (default: ${DEFAULT-VALUE}).";
    private static final String DEFAULT = "Tokens to generate at most" + DEFAULT_BEHIND;

    @Override
    public Integer call() {
        PrintWriter out = Objects.requireNonNull(spec).commandLine().getOut();
        if (repeat < 1) {
            throw new IllegalArgumentException("must be positive: repeat=" + repeat);
        }
        try (GgufFile file = modelOptions.open()) {
            KvLayout layout = modelOptions.layout(LlamaShape.of(file.metadata()));
            Tokenizer tokenizer = new Tokenizer(file.metadata());
            SamplingOptions sampling = choiceOptions.sampling();
            List<int[]> prompts = prompts(tokenizer);
            List<DecodeRequest.Builder> requests = prompts.stream()
                    .map(tokens -> DecodeRequest.builder(tokens)
                            .maxTokens(maxTokens)
                            .sampling(sampling)
                            .ignoreEndOfSequence(ignoreEndOfSequence))
                    .toList();
            try (KvCache cache = cacheOptions.build(
                            layout,
                            file,
                            Objects.requireNonNull(spec).commandLine().getErr());
                    Llama llama = modelOptions.load(file, layout, longest(prompts))) {
                Decoder decoder = new Decoder(llama, tokenizer, cache, System::nanoTime);
                for (int round = 0; round < repeat; round++) {
                    requests.forEach(request -> run(decoder, request, out));
                }
            }
        }
        return 0;
    }

    private void run(Decoder decoder, DecodeRequest.Builder request, PrintWriter out) {
        if (json) {
            out.println(toJson(decoder.generate(request, text -> {})));
        } else {
            Generation generation = decoder.generate(request, text -> {
                out.print(text);
                out.flush();
            });
            out.println();
            out.println(RunReport.summary(generation));
            if (stats) {
                out.println(RunReport.stats(generation.stats()));
            }
        }
    }

    private List<int[]> prompts(Tokenizer tokenizer) {
        if (prompt.tokens != null) {
            return List.of(prompt.tokens);
        }
        if (prompt.lines == null) {
            String text = prompt.text != null
                    ? prompt.text
                    : TextFile.read("promptFile", Objects.requireNonNull(prompt.file));
            return List.of(tokenizer.encode(text));
        }
        List<int[]> prompts = TextFile.read("promptFile", prompt.lines)
                .lines()
                .filter(line -> !line.isBlank())
                .map(tokenizer::encode)
                .toList();
        if (prompts.isEmpty()) {
            throw new IllegalArgumentException("file has no prompt: prompts=" + prompt.lines);
        }
        return prompts;
    }

    private static int longest(List<int[]> prompts) {
        return prompts.stream().mapToInt(tokens -> tokens.length).max().orElseThrow();
    }

    private String toJson(Generation generation) {
        ObjectNode fields = new ObjectMapper().valueToTree(generation);
        if (!stats) {
            fields.remove("stats");
        }
        return JsonLine.of(fields);
    }
}
