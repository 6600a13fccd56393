package io.kvcache.demo;

import io.kvcache.KvLayout;
import io.kvcache.MissReason;
import io.kvcache.Namespace;
import io.kvcache.TierStats;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/**
 * A request on its way through a {@link DecodeLoop}: waiting, with no memory of its own, or running.
 *
 * <p>Not thread-safe: belongs to the thread of the loop; others see {@link #result} only.
 */
final class Job {
    /** Who goes first when nothing else is known: whoever was overtaken often enough, the more urgent, the earlier. */
    static final Comparator<Job> ORDER = Comparator.comparingInt((Job job) -> job.isOverdue() ? 0 : 1)
            .thenComparingLong(job -> -(long) job.request.priority())
            .thenComparingLong(job -> job.arrival);

    final DecodeRequest request;
    final Namespace namespace;
    final int limit; // tokens of a sample at most
    final CompletableFuture<DecodeResult> result = new CompletableFuture<>();
    final List<Branch> branches = new ArrayList<>(); // one until the prompt is computed
    private final long arrival;
    private final long submitted;
    private final long deadline; // Long.MAX_VALUE: none
    private final int overtaking;

    int overtaken;
    long starts; // of all jobs, when it started last: the greater, the later
    int cachedNow; // tokens of its text, when the queue was looked at last

    // For the result.
    private long started = -1;
    private CachedTokens cached = CachedTokens.NONE;
    private MissReason missReason = MissReason.NONE;
    private int missedAt;
    int preemptions;
    long recomputedTokens;
    long draftedTokens;
    long acceptedTokens;
    private long firstToken = -1;
    private long lastToken;

    /** Takes a request in; {@code now} in nanoseconds, {@code overtaking} by how many others it can be overtaken. */
    Job(DecodeRequest request, Namespace namespace, int limit, long arrival, long now, int overtaking) {
        this.request = request;
        this.namespace = namespace;
        this.limit = limit;
        this.arrival = arrival;
        this.submitted = now;
        this.deadline = deadline(request.timeout(), now);
        this.overtaking = overtaking;
    }

    private static long deadline(@Nullable Duration timeout, long now) {
        if (timeout == null || timeout.compareTo(Duration.ofNanos(Long.MAX_VALUE - Math.max(0, now))) >= 0) {
            return Long.MAX_VALUE;
        }
        return now + timeout.toNanos();
    }

    // ---- order ----

    boolean arrivedBefore(Job other) {
        return arrival < other.arrival;
    }

    /** Whether it was overtaken as often as may be: it goes before all others, and gives way last. */
    boolean isOverdue() {
        return overtaken > overtaking;
    }

    /** Whether it gives way to another one that runs: the less urgent, the one that started later. */
    boolean givesWayBefore(Job other) {
        if (isOverdue() != other.isOverdue()) {
            return other.isOverdue();
        }
        return request.priority() != other.request.priority()
                ? request.priority() < other.request.priority()
                : starts > other.starts;
    }

    boolean isPast(long now) {
        return now >= deadline;
    }

    // ---- samples ----

    boolean choosesAmongSamples() {
        return request.bestOf() > request.samples();
    }

    /** Samples that run, or will when it starts; all those of a prompt that is still to be computed count. */
    int openBranches() {
        int finished = 0;
        for (int i = 0; i < branches.size(); i++) {
            finished += branches.get(i).isFinished() ? 1 : 0;
        }
        return request.bestOf() - finished;
    }

    /** Whether the prompt is computed and its samples are still to be forked. */
    boolean isToFork() {
        return branches.size() < request.bestOf();
    }

    boolean isFinished() {
        return !isToFork() && openBranches() == 0;
    }

    /** The first sample that is not finished. */
    Branch firstOpen() {
        int at = 0;
        while (branches.get(at).isFinished()) {
            at++;
        }
        return branches.get(at);
    }

    /** Blocks that it needs at its end, at most: full blocks of the prompt are shared by its samples, nothing else. */
    long mostBlocks(KvLayout layout, int contextTokens) {
        ContextShift shift = request.shift();
        if (shift != null) {
            long whole = layout.blocksFor(contextTokens);
            return request.bestOf() * whole + layout.blocksFor(shift.window()) + 1; // copies, while one shifts
        }
        long shared = request.promptTokens() / layout.tokensPerBlock();
        return shared + request.bestOf() * (layout.blocksFor(request.promptTokens() + limit - 1) - shared);
    }

    /** Blocks that its samples need to go on, besides those of the first one's text. */
    long blocksOfOthers(KvLayout layout) {
        int others = openBranches() - 1;
        long blocks = isToFork() ? others : 0; // each copies the prompt's last block
        for (int i = 0; i < branches.size() && !isToFork(); i++) {
            Branch branch = branches.get(i);
            long shared = request.promptTokens() / layout.tokensPerBlock();
            blocks += branch.isFinished() || branch == firstOpen() ? 0 : layout.blocksFor(branch.length() + 1) - shared;
        }
        return blocks;
    }

    // ---- what happens to it ----

    /** Notes what the first start found. */
    void started(long now, long newStarts) {
        starts = newStarts;
        if (started < 0) {
            started = now;
            missReason = firstOpen().sequence().missReason();
            missedAt = firstOpen().sequence().missedAt();
        }
    }

    /** Notes the first token: by now all of the prompt that was to be found is. */
    void toldFirst(Branch branch, List<TierStats> tiers, long now) {
        firstToken = now;
        cached = CachedTokens.of(branch.sequence(), tiers, request.promptTokens());
    }

    boolean hasToldAny() {
        return firstToken >= 0;
    }

    /** Notes a token. */
    void told(long now) {
        lastToken = now;
    }

    /** Gives all memory back. */
    void stop() {
        for (int i = 0; i < branches.size(); i++) {
            branches.get(i).stop();
        }
    }

    /** Ends it, if nobody has: with the samples that it has got, the best ones first where they compete. */
    void complete(long now, @Nullable Throwable failure) {
        stop();
        if (failure != null) {
            result.completeExceptionally(failure);
            return;
        }
        List<Sample> samples = new ArrayList<>();
        branches.forEach(branch -> samples.add(branch.sample()));
        if (choosesAmongSamples()) {
            samples.sort(Comparator.comparingDouble(Sample::meanLogProbability).reversed());
        }
        boolean told = hasToldAny();
        result.complete(new DecodeResult(
                samples.subList(0, Math.min(samples.size(), request.samples())),
                request.promptTokens(),
                cached,
                missReason,
                missedAt,
                preemptions,
                recomputedTokens,
                draftedTokens,
                acceptedTokens,
                (started < 0 ? now : started) - submitted,
                (told ? firstToken : now) - submitted,
                told ? lastToken - firstToken : 0));
    }
}
