package io.kvcache.bench;

import io.kvcache.KvLayout;
import io.kvcache.demo.ByteSize;
import io.kvcache.demo.JsonLine;
import io.kvcache.demo.KvCacheCli.CliCommand;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/**
 * Says how much memory for keys and values a trace of requests deserves: what can be reused at all, how much of it some sizes of memory
 * reach, and which memory reaches nearly all of it. Requests are served one after the other: what many hold at once is not
 * modelled.
 *
 * <p>Not thread-safe.
 */
@Command(
        name = "plan",
        mixinStandardHelpOptions = true,
        description = {
            "Say how much memory for keys and values a trace of requests deserves.",
            "Replays the trace with many sizes, which takes a minute or two for ten thousand requests. Requests are"
                    + " served one after the other: what many hold at once is not modelled, and needs memory besides."
        })
public final class PlanCommand implements CliCommand, Callable<Integer> {
    @Spec
    private @Nullable CommandSpec spec;

    @Parameters(arity = "0..1", paramLabel = "TRACE", description = TraceReader.FILE_DESCRIPTION)
    private @Nullable Path file;

    @Mixin
    private KvShapeOptions shape = new KvShapeOptions();

    @Option(
            names = "--memory",
            paramLabel = "SIZE",
            split = ",",
            converter = ByteSize.class,
            description = "Sizes of memory to look at, such as 16GiB,64GiB (default: powers of two, from about a"
                    + " thousandth of what everything needs up to all of it).")
    private @Nullable List<Long> memory;

    @Option(
            names = "--policy",
            paramLabel = "NAME",
            split = ",",
            defaultValue = "LRU,HDE,OPTIMUM",
            converter = TracePolicyNames.class,
            completionCandidates = TracePolicyNames.class,
            description = "What decides who goes when memory is full, one or several of ${COMPLETION-CANDIDATES}"
                    + " (default: ${DEFAULT-VALUE}). OPTIMUM knows the trace to its end: no policy hits more.")
    private List<TracePolicy> policies = List.of();

    @Option(names = "--json", description = "Print one JSON object on one line in place of text.")
    private boolean json;

    /** For {@link java.util.ServiceLoader}. */
    public PlanCommand() {}

    @Override
    public Integer call() {
        KvLayout layout = shape.traceLayout();
        Trace trace = file == null ? TraceReader.sample() : TraceReader.read(file);
        CommandLine commandLine = Objects.requireNonNull(spec).commandLine();
        Replays.Listener progress =
                json ? (setup, hitBlocks) -> {} : new ReplaysProgress(System::nanoTime, commandLine.getErr());
        List<TracePolicy> chosen = policies.stream().distinct().toList();
        CapacityPlan plan = new CapacityPlan(new Replays(trace, progress), layout, chosen);
        PlanReport report = plan.report(memory == null ? plan.ladder() : memory);
        commandLine.getOut().println(json ? JsonLine.of(report) : PlanText.of(report));
        return 0;
    }
}
