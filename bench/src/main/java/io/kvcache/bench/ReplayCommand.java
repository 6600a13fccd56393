package io.kvcache.bench;

import io.kvcache.demo.JsonLine;
import io.kvcache.demo.KvCacheCli.CliCommand;
import java.math.BigDecimal;
import java.math.RoundingMode;
import java.nio.file.Path;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/**
 * Replays a trace of requests through a cache and says how much of the prompts was cached.
 *
 * <p>Not thread-safe.
 */
@Command(
        name = "replay",
        mixinStandardHelpOptions = true,
        description = "Replay a trace of requests and say how much of their prompts was cached.")
public final class ReplayCommand implements CliCommand, Callable<Integer> {
    @Spec
    private @Nullable CommandSpec spec;

    @Parameters(arity = "0..1", paramLabel = "TRACE", description = TraceReader.FILE_DESCRIPTION)
    private @Nullable Path file;

    @Option(
            names = "--policy",
            paramLabel = "NAME",
            defaultValue = "LRU",
            converter = TracePolicyNames.class,
            completionCandidates = TracePolicyNames.class,
            description =
                    "What decides who goes when memory is full: ${COMPLETION-CANDIDATES} (default: ${DEFAULT-VALUE})."
                            + " OPTIMUM knows the trace to its end: no policy hits more.")
    private TracePolicy policy = ReplayPolicy.LRU;

    @ArgGroup
    private @Nullable Capacity capacity;

    @Option(names = "--json", description = "Print one JSON object on one line in place of text.")
    private boolean json;

    /** How much a cache holds. */
    static final class Capacity {
        @Option(
                names = "--capacity-blocks",
                paramLabel = "N",
                description = "Blocks that the cache holds (default: all of the trace).")
        private @Nullable Integer blocks;

        @Option(
                names = "--capacity-fraction",
                paramLabel = "X",
                description =
                        "The same as a share, above 0 and up to 1, of the distinct blocks of the trace, rounded up.")
        private @Nullable Double fraction;

        private int blocks(int distinctBlocks) {
            if (blocks != null) {
                if (blocks < 1) {
                    throw new IllegalArgumentException("must be positive: capacityBlocks=" + blocks);
                }
                return blocks;
            }
            double share = Objects.requireNonNull(fraction);
            if (!(share > 0 && share <= 1)) {
                throw new IllegalArgumentException("must be above 0 and at most 1: capacityFraction=" + share);
            }
            return BigDecimal.valueOf(share) // as it was typed: 0.07 of 100 is 7
                    .multiply(BigDecimal.valueOf(distinctBlocks))
                    .setScale(0, RoundingMode.CEILING)
                    .intValueExact();
        }
    }

    /** For {@link java.util.ServiceLoader}. */
    public ReplayCommand() {}

    @Override
    public Integer call() {
        Trace trace = file == null ? TraceReader.sample() : TraceReader.read(file);
        int allBlocks = Math.max(1, trace.distinctBlocks());
        int maximumBlocks = capacity == null ? allBlocks : capacity.blocks(allBlocks);
        CommandLine commandLine = Objects.requireNonNull(spec).commandLine();
        IntConsumer progress =
                json ? done -> {} : new ReplayProgress(trace.requests().size(), System::nanoTime, commandLine.getErr());
        ReplayReport report = new Replay(trace).run(maximumBlocks, policy.factory(trace), progress);
        commandLine.getOut().println(json ? JsonLine.of(report) : summary(report, maximumBlocks));
        return 0;
    }

    private String summary(ReplayReport report, int maximumBlocks) {
        return String.format(
                """
                %d requests with %d full blocks of %d tokens, %d of them distinct
                room for %d blocks, %s decides who goes
                %d blocks hit: %.2f%% of all input tokens were cached\
                """,
                report.requests(),
                report.blockReferences(),
                Trace.TOKENS_PER_BLOCK,
                report.distinctBlocks(),
                maximumBlocks,
                policy.label(),
                report.hitBlocks(),
                100 * report.tokenHitRatio());
    }
}
