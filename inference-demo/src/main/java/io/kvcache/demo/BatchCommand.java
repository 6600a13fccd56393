package io.kvcache.demo;

import io.kvcache.KvCache;
import io.kvcache.KvLayout;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/**
 * Runs a file of requests through one loop over one cache.
 *
 * <p>Not thread-safe.
 */
@Command(
        name = "batch",
        mixinStandardHelpOptions = true,
        description = {
            "Run the requests of a file together over one cache.",
            "Each line of the file is a JSON object: prompt (a text) or tokens (an array of ids), and, all optional,"
                    + " id, max_tokens (128), n (1), best_of, temperature (0), top_k, top_p, seed, priority (0: the"
                    + " greater goes first), namespace (\"default\"), session, timeout_ms, ignore_eos.",
            "Lines of the same namespace and session are the turns of one conversation: each continues what was said"
                    + " before it, and starts when the turn before has ended.",
            "Results come as requests end, in any order: each names the line of its request, and its id if it has one."
        })
final class BatchCommand implements Callable<Integer> {
    @Spec
    private @Nullable CommandSpec spec;

    @Parameters(paramLabel = "REQUESTS.jsonl", description = "A UTF-8 file with a request on each line.")
    private Path requests = Path.of("");

    @Mixin
    private ModelOptions modelOptions = new ModelOptions();

    @Mixin
    private CacheOptions cacheOptions = new CacheOptions();

    @Option(
            names = "--concurrency",
            paramLabel = "N",
            defaultValue = "32",
            description = "Samples that run at a time, at most (default: ${DEFAULT-VALUE}).")
    private int concurrency;

    @Option(
            names = "--draft-tokens",
            paramLabel = "N",
            defaultValue = "0",
            description =
                    "Tokens to guess from the text so far and verify in a step, at most (default: ${DEFAULT-VALUE}).")
    private int draftTokens;

    @Option(
            names = "--json",
            description = "Print one JSON object a line in place of text; a summary on standard error.")
    private boolean json;

    @Option(names = "--quiet", description = "Show no progress bar on a terminal.")
    private boolean quiet;

    @Override
    public Integer call() {
        DecodeOptions options =
                DecodeOptions.DEFAULT.withConcurrency(concurrency).withDraftTokens(draftTokens);
        List<BatchRequest> batch = BatchFile.read(requests);
        try (GgufFile file = modelOptions.open()) {
            LlamaShape shape = LlamaShape.of(file.metadata());
            KvLayout layout = modelOptions.layout(shape);
            Tokenizer tokenizer = new Tokenizer(file.metadata());
            try (KvCache cache = cacheOptions.build(layout, file, err());
                    Llama llama = modelOptions.load(file, layout, shape.contextTokens(), concurrency);
                    DecodeLoop loop =
                            new DecodeLoop(llama, cache, tokenizer.eos().orElse(-1), options, System::nanoTime)) {
                return run(batch, loop, tokenizer);
            }
        }
    }

    private int run(List<BatchRequest> batch, DecodeLoop loop, Tokenizer tokenizer) {
        BatchTally tally = new BatchTally(System::nanoTime);
        if (quiet || !Terminal.isInteractive()) {
            run(batch, loop, tokenizer, tally, Runnable::run);
        } else {
            try (BatchProgress progress = new BatchProgress(err(), batch.size())) {
                run(batch, loop, tokenizer, tally, progress::ended);
            }
        }
        return report(tally, loop);
    }

    private void run(
            List<BatchRequest> batch,
            DecodeLoop loop,
            Tokenizer tokenizer,
            BatchTally tally,
            Consumer<Runnable> printing) {
        new BatchRun(loop, tokenizer, outcome -> {
                    tally.add(outcome);
                    printing.accept(() -> print(outcome));
                })
                .run(batch);
    }

    private void print(BatchOutcome outcome) {
        out().println(json ? JsonLine.of(outcome) : outcome.text());
        out().flush();
    }

    private int report(BatchTally tally, DecodeLoop loop) {
        BatchSummary summary = tally.summary(loop.stats());
        if (!json) {
            out().println(summary.text());
        }
        if (tally.failed() > 0) {
            err().println("requests failed: failed=" + tally.failed() + " requests=" + summary.requests());
        }
        if (json) {
            err().println(JsonLine.of(summary));
        }
        return tally.failed() > 0 ? 1 : 0;
    }

    private PrintWriter out() {
        return Objects.requireNonNull(spec).commandLine().getOut();
    }

    private PrintWriter err() {
        return Objects.requireNonNull(spec).commandLine().getErr();
    }
}
