package io.kvcache.demo;

import io.kvcache.KvCache;
import io.kvcache.KvLayout;
import io.kvcache.Namespace;
import io.kvcache.OpenOptions;
import io.kvcache.Sequence;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Queue;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicLong;
import org.agrona.concurrent.NanoClock;
import org.jspecify.annotations.Nullable;

/**
 * Continues many prompts at once over one cache. Requests come and go between steps (continuous batching; Yu et al., "Orca", 2022); each
 * step computes one token of every sample that generates, and prompts in chunks, in one batch.
 *
 * <pre>
 *   submit --> waiting --admit--> running --step--> tokens to listeners --> result
 *                 ^                  |
 *                 +---- preempt -----+   memory is full: full blocks stay cached, what is lost is computed again
 * </pre>
 *
 * <p>Never stuck: a request that can never fit is refused by {@link #submit}; of those that run, the most urgent that started first
 * never gives way, so it comes to its end; and nobody is overtaken for ever.
 *
 * <p>Requests are submitted and cancelled by any thread; everything else belongs to one thread.
 */
public final class DecodeLoop implements AutoCloseable {
    /** What others do with the cache can make room: the queue is looked at after so many steps, though nothing happened here. */
    private static final int STEPS_BETWEEN_LOOKS = 32;

    /** So long a step waits for a tier when it has nothing to compute; then it looks for requests again. */
    private static final Duration STEP_PATIENCE = Duration.ofMillis(10);

    /** So long a request that is alone and has no room waits for the room of loads that nobody needs any more. */
    private static final Duration ROOM_PATIENCE = Duration.ofMillis(250);

    private final Model model;
    private final KvCache cache;
    private final KvLayout layout;
    private final int endOfSequence;
    private final DecodeOptions options;
    private final NanoClock clock;

    private final Queue<Job> submitted = new ConcurrentLinkedQueue<>();
    private final AtomicLong arrivals = new AtomicLong();
    private final WaitingJobs waiting = new WaitingJobs();
    private final List<Job> running = new ArrayList<>(); // in order of their start
    private final List<Branch> active = new ArrayList<>(); // their samples that run, likewise
    private long starts;
    private int stepsToLook;
    private volatile boolean closed;

    // The step at hand.
    private final StepBatch batch = new StepBatch();
    private final List<Branch> computed = new ArrayList<>(); // [sequences of the batch]
    private final List<Branch> choosing = new ArrayList<>();
    private float[] logits = new float[0]; // [batch.logits()][vocabulary]

    private final Counters counters = new Counters();

    /** See {@link LoopStats}. */
    private static final class Counters {
        long completed;
        long cancelled;
        long failed;
        long steps;
        long computedTokens;
        long generatedTokens;
        long preemptions;
        long recomputedTokens;
        long draftedTokens;
        long acceptedTokens;
        long shifts;
        long stepNanos;
        long modelNanos;
        long choiceNanos;
        double heldSlotNanos;
        double unusedSlotNanos;
    }

    /**
     * Makes a loop.
     *
     * @param cache built for the model's layout; left open. Others may use it too
     * @param endOfSequence the id that ends a sample; -1 if there is none
     * @param clock nanoseconds from any origin
     * @throws IllegalArgumentException if the model computes fewer tokens at once than samples run
     */
    public DecodeLoop(Model model, KvCache cache, int endOfSequence, DecodeOptions options, NanoClock clock) {
        if (options.concurrency() > model.maximumRows()) {
            throw new IllegalArgumentException("a step must have a row for each sample: concurrency="
                    + options.concurrency() + " maximumRows=" + model.maximumRows());
        }
        this.model = model;
        this.cache = cache;
        this.layout = cache.layout();
        this.endOfSequence = endOfSequence;
        this.options = options;
        this.clock = clock;
    }

    // ---- requests ----

    /**
     * Takes a request in. To cancel it, cancel the result; the tokens that its listener got by then are all that remain.
     *
     * @return what becomes of it, completed by the thread of the loop; with an exception if its listener threw, or if others hold so
     *     much of the cache that it cannot go on though it is alone
     * @throws IllegalArgumentException if a token is outside the vocabulary, the prompt is longer than the context, or prompt and
     *     samples can never fit into the cache, with the numbers
     * @throws IllegalStateException if the loop is closed
     */
    public CompletableFuture<DecodeResult> submit(DecodeRequest request) {
        checkTokens(request.prompt());
        int limit = checkLength(request);
        Namespace namespace = cache.namespace(request.namespace());
        Job job =
                new Job(request, namespace, limit, arrivals.incrementAndGet(), clock.nanoTime(), options.overtaking());
        checkFits(job);
        job.branches.add(newBranch(job, 0));
        submitted.add(job);
        if (closed) {
            takeSubmitted();
            throw new IllegalStateException("loop is closed");
        }
        return job.result;
    }

    private Branch newBranch(Job job, int index) {
        int text = (int) Math.min((long) job.request.promptTokens() + job.limit, model.contextTokens() + 1L);
        return new Branch(job, index, model.vocabularySize(), text, options.draftTokens());
    }

    private void checkTokens(int[] prompt) {
        for (int token : prompt) {
            if (token < 0 || token >= model.vocabularySize()) {
                throw new IllegalArgumentException("token id outside the vocabulary: token=" + token
                        + " vocabularySize=" + model.vocabularySize());
            }
        }
    }

    /** Returns how many tokens can be generated: as many as asked for, while there is a position to compute them from. */
    private int checkLength(DecodeRequest request) {
        int context = model.contextTokens();
        if (request.promptTokens() > context) {
            throw new IllegalArgumentException("prompt is longer than the context: promptTokens="
                    + request.promptTokens() + " contextTokens=" + context);
        }
        ContextShift shift = request.shift();
        if (shift == null) {
            return Math.min(request.maxTokens(), context - request.promptTokens() + 1);
        }
        if ((long) shift.sinks() + shift.window() >= context) {
            throw new IllegalArgumentException("a shift must make room in the context: sinks=" + shift.sinks()
                    + " window=" + shift.window() + " contextTokens=" + context);
        }
        return request.maxTokens();
    }

    private void checkFits(Job job) {
        DecodeRequest request = job.request;
        if (request.bestOf() > options.concurrency()) {
            throw new IllegalArgumentException("more samples than run at a time: samples=" + request.bestOf()
                    + " concurrency=" + options.concurrency());
        }
        long needed = job.mostBlocks(layout, model.contextTokens());
        if (needed > job.namespace.mostBlocks()) {
            throw new IllegalArgumentException("cache too small for prompt and continuation: promptTokens="
                    + request.promptTokens() + " newTokens=" + job.limit + " samples=" + request.bestOf()
                    + " blocksNeeded=" + needed + " blocks=" + job.namespace.mostBlocks() + " blockBytes="
                    + layout.blockBytes());
        }
    }

    // ---- steps ----

    /** Computes batches until nothing is left to do. */
    public void run() {
        while (step()) {
            // step has done it
        }
    }

    /**
     * Ends requests that are cancelled or overdue, admits others, and computes one batch. Where all that is left to compute is on
     * its way from a tier, it waits for that a little instead.
     *
     * @return whether there was anything to do; if not, the loop is idle until the next {@link #submit}
     * @throws IllegalStateException if the loop is closed
     */
    public boolean step() {
        if (closed) {
            throw new IllegalStateException("loop is closed");
        }
        long start = clock.nanoTime();
        takeSubmitted();
        endOverdue(start);
        admit(start);
        if (!assemble()) {
            return !waiting.isEmpty() || !active.isEmpty();
        }
        long assembled = clock.nanoTime();
        compute();
        long modelDone = clock.nanoTime();
        commit();
        long committed = clock.nanoTime();
        choose();
        long chosen = clock.nanoTime();
        tell(chosen);
        counters.steps++;
        counters.modelNanos += modelDone - assembled;
        counters.choiceNanos += chosen - committed;
        measure(clock.nanoTime() - start);
        return true;
    }

    private void takeSubmitted() {
        for (Job job = submitted.poll(); job != null; job = submitted.poll()) {
            if (closed) {
                job.result.cancel(false);
            } else {
                waiting.add(job);
                stepsToLook = 0;
            }
        }
    }

    private void endOverdue(long now) {
        for (int i = waiting.size() - 1; i >= 0; i--) {
            if (isOver(waiting.get(i), now)) {
                Job job = waiting.get(i);
                waiting.remove(i);
                end(job, now);
            }
        }
        for (int i = running.size() - 1; i >= 0; i--) {
            if (isOver(running.get(i), now)) {
                end(running.get(i), now);
            }
        }
    }

    private static boolean isOver(Job job, long now) {
        return job.result.isDone() || job.isPast(now);
    }

    private void end(Job job, long now) {
        for (int i = 0; i < job.branches.size(); i++) {
            if (!job.branches.get(i).isFinished()) {
                job.branches.get(i).finish(FinishReason.DEADLINE);
            }
        }
        complete(job, now, null);
    }

    // ---- admission ----

    /**
     * Starts requests for which there is room, beside what those that run still need for their prompts, and with something left for
     * what they generate.
     */
    private void admit(long now) {
        if (waiting.isEmpty() || (stepsToLook-- > 0 && !running.isEmpty())) {
            return;
        }
        stepsToLook = STEPS_BETWEEN_LOOKS;
        Job job = waiting.take(this::hasRoom);
        while (job != null) {
            start(job, now);
            job = waiting.take(this::hasRoom);
        }
    }

    private boolean hasRoom(Job job) {
        if (active.isEmpty()) {
            return true; // it fits: others hold nothing here
        }
        if (job.openBranches() > options.concurrency() - promisedBranches()) {
            return false;
        }
        long blocks = job.blocksOfOthers(layout) + promisedBlocks() + watermarkBlocks(job.namespace);
        long slots = Math.min(blocks * layout.tokensPerBlock() + 1, Integer.MAX_VALUE);
        return job.namespace.hasRoom(job.firstOpen().text(), OpenOptions.DEFAULT.withRoom((int) slots));
    }

    private int promisedBranches() {
        int branches = 0;
        for (Job job : running) {
            branches += job.openBranches();
        }
        return branches;
    }

    private long promisedBlocks() {
        long blocks = 0;
        for (Branch branch : active) {
            blocks += layout.blocksFor(branch.length()) - branch.sequence().blocks();
        }
        return blocks;
    }

    private long watermarkBlocks(Namespace namespace) {
        return (long) Math.ceil(options.watermark() * namespace.mostBlocks());
    }

    private void start(Job job, long now) {
        running.add(job);
        try {
            for (int i = 0; i < job.branches.size(); i++) {
                Branch branch = job.branches.get(i);
                if (!branch.isFinished()) {
                    branch.start(open(job, branch.text()));
                    active.add(branch);
                }
            }
            job.started(now, ++starts);
        } catch (IllegalStateException e) { // no slot for a sequence
            complete(job, now, e);
        }
    }

    /** Opens the session of a request, where it knows more of the text than the cache does, or else the text. */
    private Sequence open(Job job, int[] text) {
        String key = job.request.session();
        Sequence stored = key == null ? null : job.namespace.get(key);
        if (stored != null) {
            if (beginsWith(text, stored) && stored.length() > job.namespace.probe(text)) {
                return stored;
            }
            stored.close();
        }
        return job.namespace.open(text);
    }

    private static boolean beginsWith(int[] text, Sequence sequence) {
        int length = sequence.length();
        int at = 0;
        while (at < length && at < text.length && sequence.token(at) == text[at]) {
            at++;
        }
        return at == length && length < text.length;
    }

    // ---- a batch ----

    /**
     * Chooses what is computed and makes room for it, for all of it or for none: guesses are left out first, then requests give way.
     *
     * @return whether there is anything to compute
     */
    private boolean assemble() {
        boolean guessing = options.draftTokens() > 0;
        boolean loading = true;
        while (!active.isEmpty()) {
            Branch refused = shiftContexts();
            if (refused == null) {
                if (!plan(guessing)) {
                    return false;
                }
                fill();
                if (cache.tryReserve(batch.sequences(), batch.rowsBySequence())) {
                    return true;
                }
            }
            if (guessing) {
                guessing = false;
            } else if (loading && running.size() == 1) {
                loading = false;
                awaitRoomOfLoads();
            } else {
                makeRoom();
            }
        }
        return false;
    }

    /** Makes positions for those whose context is full; returns one for which there was no memory. */
    private @Nullable Branch shiftContexts() {
        for (int i = 0; i < active.size(); i++) {
            Branch branch = active.get(i);
            ContextShift shift = branch.job.request.shift();
            if (shift != null && branch.sequence().length() == model.contextTokens()) {
                if (!branch.shift(shift, model)) {
                    return branch;
                }
                counters.shifts++;
            }
        }
        return null;
    }

    /**
     * Gives each sample its rows: one to those that generate, what is left to prompts in the order of their start, then to guesses.
     *
     * @return whether there is anything to compute; if not, what was waited for may have arrived
     */
    private boolean plan(boolean guessing) {
        int left = model.maximumRows();
        for (int i = 0; i < active.size(); i++) {
            Branch branch = active.get(i);
            branch.guesses = 0;
            branch.rows = branch.pending() == 1 ? 1 : 0;
            left -= branch.rows;
        }
        for (int i = 0; i < active.size() && left > 0; i++) {
            Branch branch = active.get(i);
            if (branch.rows == 0 && !othersCompute(branch)) {
                branch.rows = Math.min(branch.pending(), left);
                left -= branch.rows;
            }
        }
        if (left == model.maximumRows()) {
            // All wait, for tiers, which is over soon, or for sequences that are not of this loop: it goes on without
            // those, as they may never end.
            Branch first = active.getFirst();
            if (awaitsTier(first.sequence())) {
                return false;
            }
            first.rows = Math.min(first.pending(), left);
        }
        for (int i = 0; guessing && i < active.size() && left > 0; i++) {
            left -= guess(active.get(i), left);
        }
        return true;
    }

    /**
     * Waits a little for what a tier is being asked for; an interrupt ends that, and the rest is computed.
     *
     * @return whether something came, or may still come
     */
    private static boolean awaitsTier(Sequence sequence) {
        if (!sequence.isLoading()) {
            return sequence.adopt() > 0;
        }
        try {
            sequence.await(STEP_PATIENCE);
            return true;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
    }

    /** Takes up what others have computed of a prompt; returns whether somebody is computing what comes next. */
    private static boolean othersCompute(Branch branch) {
        boolean waits = branch.sequence().isFollowing(); // before, so that nothing arrives between the two unnoticed
        branch.sequence().adopt();
        return waits;
    }

    private int guess(Branch branch, int left) {
        if (branch.rows == 1 && branch.generated() > 0 && branch.isCaughtUp()) {
            int positions = model.contextTokens() - branch.sequence().length() - 1;
            branch.guess(Math.min(Math.min(options.draftTokens(), left), positions));
        }
        return branch.guesses;
    }

    private void fill() {
        batch.clear();
        computed.clear();
        for (int i = 0; i < active.size(); i++) {
            Branch branch = active.get(i);
            if (branch.rows > 0) {
                branch.addTo(batch);
                computed.add(branch);
            }
        }
    }

    /** Waits for loads to end: each holds the block that it reads, though nobody may need it any more. */
    private void awaitRoomOfLoads() {
        if (cache.stats().tiers().isEmpty()) {
            return;
        }
        try {
            cache.flush(ROOM_PATIENCE);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Lets the least urgent request that started last give its blocks back; one that is alone and has no room fails. */
    private void makeRoom() {
        Job victim = victim(fullNamespace());
        if (running.size() == 1) {
            fail(
                    victim,
                    new IllegalStateException("no room though nobody else runs: blocks=" + victim.namespace.mostBlocks()
                            + " " + cache.stats()));
            return;
        }
        leave(victim);
        victim.stop();
        victim.preemptions++;
        counters.preemptions++;
        waiting.add(victim);
    }

    private Job victim(@Nullable Namespace of) {
        Job victim = null;
        for (Job job : running) {
            boolean counts = of == null || job.namespace == of;
            victim = counts && (victim == null || job.givesWayBefore(victim)) ? job : victim;
        }
        return Objects.requireNonNull(victim);
    }

    /** A namespace that has reached its own limit, so that nobody else's blocks would help it; null if there is none. */
    private @Nullable Namespace fullNamespace() {
        for (Job job : running) {
            Namespace namespace = job.namespace;
            if (namespace.options().ceilingBytes() < Long.MAX_VALUE
                    && namespace.stats().usedBlocks() + growth(namespace) > namespace.mostBlocks()) {
                return namespace;
            }
        }
        return null;
    }

    /** Blocks that the samples of a namespace need for this step. */
    private long growth(Namespace namespace) {
        long blocks = 0;
        for (Branch branch : computed) {
            boolean counts = branch.job.namespace == namespace;
            int wanted = branch.sequence().length() + branch.rows + branch.guesses;
            blocks += counts ? layout.blocksFor(wanted) - branch.sequence().blocks() : 0;
        }
        return blocks;
    }

    // ---- compute, commit, choose, tell ----

    private void compute() {
        int wanted = Math.multiplyExact(batch.logits(), model.vocabularySize());
        if (logits.length < wanted) {
            logits = new float[Math.max(wanted, 2 * logits.length)];
        }
        boolean done = false;
        try {
            model.forward(batch, logits);
            done = true;
        } finally {
            for (int i = 0; !done && i < computed.size(); i++) {
                Sequence sequence = computed.get(i).sequence();
                sequence.truncate(sequence.length()); // nothing is half done
            }
        }
    }

    /** Commits what was computed, and forks the samples of prompts that are complete now. */
    private void commit() {
        choosing.clear();
        counters.computedTokens += batch.rows();
        for (int i = 0; i < computed.size(); i++) {
            Branch branch = computed.get(i);
            boolean chooses = branch.isCaughtUp();
            int again = branch.commit();
            branch.job.recomputedTokens += again;
            counters.recomputedTokens += again;
            if (chooses) {
                choosing.add(branch);
                forkSamples(branch);
            }
        }
    }

    private void forkSamples(Branch branch) {
        Job job = branch.job;
        try {
            while (job.isToFork()) {
                Branch sample = newBranch(job, job.branches.size());
                sample.forkFrom(branch);
                job.branches.add(sample);
                active.add(sample);
                choosing.add(sample);
            }
        } catch (IllegalStateException e) { // no slot for a sequence
            fail(job, e);
        }
    }

    private void choose() {
        for (int i = 0; i < choosing.size(); i++) {
            Branch branch = choosing.get(i);
            branch.choose(logits, branch.job.request.ignoreEndOfSequence() ? -1 : endOfSequence);
        }
    }

    private void tell(long now) {
        for (int i = 0; i < choosing.size(); i++) {
            Branch branch = choosing.get(i);
            if (branch.isRunning()) { // an exception for another sample may have ended the request
                settle(branch);
                tell(branch, now);
            }
        }
    }

    private void settle(Branch branch) {
        int right = branch.settleGuesses();
        branch.job.draftedTokens += branch.guesses;
        branch.job.acceptedTokens += right;
        counters.draftedTokens += branch.guesses;
        counters.acceptedTokens += right;
    }

    private void tell(Branch branch, long now) {
        Job job = branch.job;
        for (int i = 0; i < branch.chosenTokens() && branch.isRunning(); i++) {
            int token = branch.chosen(i);
            if (token == endOfSequence && !job.request.ignoreEndOfSequence()) {
                finish(branch, FinishReason.END_OF_SEQUENCE, now);
                return;
            }
            if (!job.hasToldAny()) {
                job.toldFirst(branch, cache.stats().tiers(), now);
            }
            job.told(now);
            branch.append(token);
            counters.generatedTokens++;
            try {
                job.request.listener().token(branch.index, token);
            } catch (RuntimeException | Error e) {
                fail(job, e);
                return;
            }
            if (branch.generated() == job.limit) {
                finish(branch, FinishReason.LENGTH, now);
            }
        }
    }

    // ---- the end of requests ----

    private void finish(Branch branch, FinishReason reason, long now) {
        Job job = branch.job;
        if (job.request.session() != null) {
            job.namespace.put(
                    job.request.session(),
                    branch.sequence(),
                    job.namespace.options().retention());
        }
        branch.finish(reason);
        active.remove(branch);
        stepsToLook = 0;
        if (job.isFinished()) {
            complete(job, now, null);
        }
    }

    private void fail(Job job, Throwable failure) {
        complete(job, clock.nanoTime(), failure);
    }

    private void complete(Job job, long now, @Nullable Throwable failure) {
        leave(job);
        if (job.result.isCancelled()) {
            counters.cancelled++;
        } else if (failure != null) {
            counters.failed++;
        } else {
            counters.completed++;
        }
        job.complete(now, failure);
        stepsToLook = 0;
    }

    private void leave(Job job) {
        running.remove(job);
        for (int i = active.size() - 1; i >= 0; i--) {
            if (active.get(i).job == job) {
                active.remove(i);
            }
        }
    }

    // ---- facts ----

    private void measure(long nanos) {
        counters.stepNanos += nanos;
        long held = 0;
        for (int i = 0; i < active.size(); i++) {
            held += (long) active.get(i).sequence().blocks() * layout.tokensPerBlock();
        }
        counters.heldSlotNanos += (double) held * nanos;
        counters.unusedSlotNanos += (double) unusedSlots() * nanos;
    }

    /** Slots of the running sequences' blocks that hold no token. */
    long unusedSlots() {
        long unused = 0;
        for (int i = 0; i < active.size(); i++) {
            Sequence sequence = active.get(i).sequence();
            unused += (long) sequence.blocks() * layout.tokensPerBlock() - sequence.length();
        }
        return unused;
    }

    /** What the loop has done so far. */
    public LoopStats stats() {
        return new LoopStats(
                active.size(),
                waiting.size(),
                counters.completed,
                counters.cancelled,
                counters.failed,
                counters.steps,
                counters.computedTokens,
                counters.generatedTokens,
                counters.preemptions,
                counters.recomputedTokens,
                counters.draftedTokens,
                counters.acceptedTokens,
                counters.shifts,
                counters.stepNanos,
                counters.modelNanos,
                counters.choiceNanos,
                counters.heldSlotNanos,
                counters.unusedSlotNanos);
    }

    /** Cancels what is not finished and gives its memory back. The cache stays open. */
    @Override
    public void close() {
        closed = true;
        takeSubmitted();
        while (!waiting.isEmpty()) {
            Job job = waiting.get(0);
            waiting.remove(0);
            abandon(job);
        }
        while (!running.isEmpty()) {
            abandon(running.getFirst());
        }
    }

    private void abandon(Job job) {
        job.result.completeExceptionally(new CancellationException("loop is closed"));
        leave(job);
        job.stop();
    }
}
