package io.kvcache.attention;

import io.kvcache.KvLayout;
import io.kvcache.Sequence;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Executor;
import org.jspecify.annotations.Nullable;

/**
 * Scaled dot-product attention over the blocks of sequences, read in place. Query heads share K/V heads in equal groups:
 * query head h reads K/V head h / (queryHeads / kvHeads). Queries, outputs and sums are 32-bit floats; keys and values of any
 * type and order of blocks.
 *
 * <p>Many sequences attend in one call, see {@link AttentionBatch}; blocks that several of them share are read once. A row that sees
 * nothing, or whose scores are all minus infinity, gets zeros, and minus infinity as its log-sum-exp.
 *
 * <p>Runs on vectors where Java was started with {@code --add-modules jdk.incubator.vector}, else on plain loops; a warning
 * of the logger {@code io.kvcache.attention} says so. The system property {@code io.kvcache.attention.kernels} forces
 * {@code scalar}, {@code vector128}, {@code vector256} or {@code vector512}. Results differ in rounding only.
 *
 * <p>With keys in F16, vectors want |query x scale| below 65,536.
 *
 * <p>The same batch gives the same result, to the last bit, on the same machine with the same number of threads. In steady state
 * a call allocates nothing; scratch memory grows with the largest batch seen.
 *
 * <p>Not thread-safe: owns scratch memory. Callers use one each; they may work on the same sequences.
 */
public final class PagedAttention {
    // A task has at most so many queries over all K/V heads: their scratch memory stays in the L2 cache, and each
    // loaded
    // tile serves many of them.
    private static final int TASK_QUERIES = 512;
    private static final int LEAST_TASK_QUERIES_PER_HEAD = 16;

    private final KvLayout layout;
    private final int queryHeads;
    private final KernelProvider provider;
    private final LayerShape[] shapes; // [layers]
    private final LayerKind[] kinds; // [layers] those alike are the same object
    private final Crew crew;
    private final RunAttention[] workers; // [threads]
    private final Partials partials = new Partials();
    private final AttentionBatch single = new AttentionBatch();
    private final Crew.Work attendTask = this::attendTask;

    private int[] homeTask = new int[8]; // [rows] the first task of a row, into whose partials others are merged
    private int[] homeRow = new int[8]; // [rows] its place there

    // The call at hand.
    private LayerShape shape;
    private LayerKind kind;
    private float[] queries = new float[0];
    private int queriesFrom;

    /** Layers of the same shape and options cut their work alike. */
    private static final class LayerKind {
        final AttentionOptions options;
        final AttentionPlan plan;
        final int[] places; // [valueHeadSize] of elements in sums
        final float sumFactor;

        private @Nullable AttentionBatch planned;
        private long plannedChanges;
        private long plannedVersions;

        LayerKind(LayerShape shape, AttentionOptions options, KernelProvider provider, int threads) {
            this.options = options;
            int perHead = Math.max(LEAST_TASK_QUERIES_PER_HEAD, TASK_QUERIES / shape.kvHeads);
            int rows = Math.max(1, perHead / shape.group);
            this.plan = new AttentionPlan(shape.tokensPerBlock, shape.group, rows, threads);
            HeadKernels kernels = provider.kernels(shape.valueType(), false);
            this.sumFactor = kernels.sumFactor();
            this.places = new int[shape.valueSize];
            Arrays.setAll(places, element -> kernels.place(element, shape.valueElements));
        }

        /** Makes the plan, unless it was made for the same batch. */
        void plan(AttentionBatch batch) {
            long changes = batch.changes();
            long versions = batch.tableVersions();
            if (batch != planned || changes != plannedChanges || versions != plannedVersions) {
                plan.make(batch, options);
                planned = batch;
                plannedChanges = changes;
                plannedVersions = versions;
            }
        }
    }

    private record KindKey(int kvHeads, int valueSize, AttentionOptions options) {}

    /**
     * Makes an attention for a model, with default options, that runs in the caller's thread.
     *
     * @param layout of the sequences that will be attended to
     * @param queryHeads a multiple of the K/V heads of every layer
     * @throws IllegalArgumentException if it is not
     */
    public PagedAttention(KvLayout layout, int queryHeads) {
        this(builder(layout, queryHeads));
    }

    private PagedAttention(Builder builder) {
        this.layout = builder.layout;
        this.queryHeads = builder.queryHeads;
        this.provider = builder.provider == null ? KernelLookup.chosen() : builder.provider;
        this.shapes = new LayerShape[layout.layers()];
        this.kinds = new LayerKind[layout.layers()];
        Map<KindKey, LayerKind> different = new HashMap<>();
        for (int layer = 0; layer < kinds.length; layer++) {
            shapes[layer] = new LayerShape(layout, layer, queryHeads);
            kinds[layer] = kind(different, layer, builder);
        }
        this.shape = shapes[0];
        this.kind = kinds[0];
        this.crew = new Crew(builder.executor, builder.threads);
        this.workers = new RunAttention[builder.threads];
        Arrays.setAll(workers, worker -> new RunAttention(provider, shape));
    }

    private LayerKind kind(Map<KindKey, LayerKind> different, int layer, Builder builder) {
        AttentionOptions options = builder.layerOptions.getOrDefault(layer, builder.options);
        LayerShape of = shapes[layer];
        KindKey key = new KindKey(of.kvHeads, of.valueSize, options);
        return different.computeIfAbsent(key, k -> new LayerKind(of, options, provider, builder.threads));
    }

    /**
     * Starts an attention with options or threads.
     *
     * @param layout of the sequences that will be attended to
     * @param queryHeads a multiple of the K/V heads of every layer
     * @return a builder
     * @throws IllegalArgumentException if it is not a multiple
     */
    public static Builder builder(KvLayout layout, int queryHeads) {
        return new Builder(layout, queryHeads);
    }

    /**
     * Lets the last position that is committed or reserved attend to all positions up to itself.
     *
     * @param sequence with keys and values written there
     * @param layer from 0
     * @param query [queryHeads][keyHeadSize]
     * @param output [queryHeads][valueHeadSize], overwritten
     */
    public void attend(Sequence sequence, int layer, float[] query, float[] output) {
        attend(sequence, layer, sequence.length() + sequence.reserved() - 1, 1, query, 0, output, 0);
    }

    /**
     * Lets consecutive positions attend, each to all positions up to itself.
     *
     * @param sequence with keys and values written there
     * @param layer from 0
     * @param position the first of them, committed or reserved
     * @param rows how many
     * @param input [rows][queryHeads][keyHeadSize]
     * @param inputFrom index of the first element
     * @param output [rows][queryHeads][valueHeadSize], overwritten
     * @param outputFrom index of the first element
     * @throws IllegalArgumentException if the sequence has another layout
     * @throws IllegalStateException if the sequence is closed
     * @throws IndexOutOfBoundsException if a position, the layer or an array is out of range
     */
    public void attend(
            Sequence sequence,
            int layer,
            int position,
            int rows,
            float[] input,
            int inputFrom,
            float[] output,
            int outputFrom) {
        if (!single.isJust(sequence, position, rows)) {
            single.clear().add(sequence, position, rows);
        }
        attend(single, layer, input, inputFrom, output, outputFrom, null, 0);
    }

    /**
     * Lets the rows of a batch attend.
     *
     * @param batch which positions of which sequences
     * @param layer from 0
     * @param input [rows][queryHeads][keyHeadSize]
     * @param inputFrom index of the first element
     * @param output [rows][queryHeads][valueHeadSize], overwritten
     * @param outputFrom index of the first element
     * @throws IllegalArgumentException if a sequence has another layout
     * @throws IllegalStateException if a sequence is closed
     * @throws IndexOutOfBoundsException if a position, the layer or an array is out of range
     */
    public void attend(AttentionBatch batch, int layer, float[] input, int inputFrom, float[] output, int outputFrom) {
        attend(batch, layer, input, inputFrom, output, outputFrom, null, 0);
    }

    /**
     * Lets the rows of a batch attend, and returns the logarithms of the sums of exponentials of their scores, with which results for
     * disjoint ranges of positions {@link #merge}.
     *
     * @param batch which positions of which sequences
     * @param layer from 0
     * @param input [rows][queryHeads][keyHeadSize]
     * @param inputFrom index of the first element
     * @param output [rows][queryHeads][valueHeadSize], overwritten
     * @param outputFrom index of the first element
     * @param logSumExp [rows][queryHeads], overwritten; null if nobody wants it
     * @param logSumExpFrom index of the first element
     * @throws IllegalArgumentException if a sequence has another layout
     * @throws IllegalStateException if a sequence is closed
     * @throws IndexOutOfBoundsException if a position, the layer or an array is out of range
     */
    public void attend(
            AttentionBatch batch,
            int layer,
            float[] input,
            int inputFrom,
            float[] output,
            int outputFrom,
            float @Nullable [] logSumExp,
            int logSumExpFrom) {
        checkLayer(layer);
        shape = shapes[layer];
        kind = kinds[layer];
        checkSequences(batch);
        long rows = batch.rows();
        Objects.checkFromIndexSize((long) inputFrom, rows * queryHeads * shape.keySize, input.length);
        Objects.checkFromIndexSize((long) outputFrom, rows * queryHeads * shape.valueSize, output.length);
        if (logSumExp != null) {
            Objects.checkFromIndexSize((long) logSumExpFrom, rows * queryHeads, logSumExp.length);
        }
        kind.plan(batch);
        partials.prepare(kind.plan, shape);
        queries = input;
        queriesFrom = inputFrom;
        crew.run(kind.plan.tasks(), attendTask);
        merge(batch.rows());
        finish(batch.rows(), output, outputFrom, logSumExp, logSumExpFrom);
    }

    private void checkLayer(int layer) {
        if (layer < 0 || layer >= shapes.length) {
            throw new IndexOutOfBoundsException("no such layer: layer=" + layer + " layers=" + shapes.length);
        }
    }

    private void checkSequences(AttentionBatch batch) {
        batch.check();
        for (int entry = 0; entry < batch.entries(); entry++) {
            KvLayout other = batch.sequence(entry).layout();
            if (!other.equals(layout)) {
                throw new IllegalArgumentException(
                        "sequence has another layout: sequence=" + other + " attention=" + layout);
            }
        }
    }

    private void attendTask(int worker, int task) {
        workers[worker].attend(kind.plan, task, shape, kind.options, queries, queriesFrom, partials);
    }

    // ---- results ----

    /** Adds what later tasks found out about a row to what the first one did, in their order. */
    private void merge(int rows) {
        if (homeTask.length < rows) {
            homeTask = new int[2 * rows];
            homeRow = new int[2 * rows];
        }
        Arrays.fill(homeTask, 0, rows, -1);
        AttentionPlan plan = kind.plan;
        for (int task = 0; task < plan.tasks(); task++) {
            for (int local = 0; local < plan.rows(task); local++) {
                int row = plan.row(plan.firstRow(task) + local);
                if (homeTask[row] < 0) {
                    homeTask[row] = task;
                    homeRow[row] = local;
                } else {
                    mergeRow(row, task, local);
                }
            }
        }
    }

    private void mergeRow(int row, int task, int local) {
        for (int head = 0; head < queryHeads; head++) {
            partials.merge(partial(homeTask[row], homeRow[row], head), partial(task, local, head));
        }
    }

    /** Where the partials hold a query head of a row of a task. */
    private int partial(int task, int local, int head) {
        int group = shape.group;
        int laidOut = RunAttention.laidOut(shape, kind.plan.rows(task));
        return partials.at(task) + head / group * laidOut + local * group + head % group;
    }

    private void finish(int rows, float[] output, int from, float @Nullable [] logSumExp, int logSumExpFrom) {
        int size = shape.valueSize;
        for (int row = 0; row < rows; row++) {
            for (int head = 0; head < queryHeads; head++) {
                int index = row * queryHeads + head;
                int partial = homeTask[row] < 0 ? -1 : partial(homeTask[row], homeRow[row], head);
                boolean seen = partial >= 0 && partials.totals[partial] != 0;
                if (seen) {
                    unpack(partial, output, from + index * size);
                } else {
                    Arrays.fill(output, from + index * size, from + (index + 1) * size, 0);
                }
                if (logSumExp != null) {
                    logSumExp[logSumExpFrom + index] = seen ? logSumExp(partial) : Float.NEGATIVE_INFINITY;
                }
            }
        }
    }

    private void unpack(int partial, float[] output, int to) {
        float factor = kind.sumFactor / partials.totals[partial];
        int sums = partials.sumAt(partial);
        int[] places = kind.places;
        for (int i = 0; i < places.length; i++) {
            output[to + i] = partials.sums[sums + places[i]] * factor;
        }
    }

    private float logSumExp(int partial) {
        return (float) (partials.greatest[partial] + Math.log(partials.totals[partial]));
    }

    /**
     * Merges results of the same rows for disjoint ranges of positions: {@code output} and {@code logSumExp} become what
     * attention to both ranges at once would have given. A result of minus infinity and zeros is neutral.
     *
     * @param heads rows x queryHeads
     * @param output [heads][valueHeadSize]
     * @param logSumExp [heads]
     * @param otherOutput [heads][valueHeadSize]
     * @param otherLogSumExp [heads]
     * @throws IllegalArgumentException if an array has another size
     */
    public static void merge(
            int heads, float[] output, float[] logSumExp, float[] otherOutput, float[] otherLogSumExp) {
        if (heads < 0
                || logSumExp.length != heads
                || otherLogSumExp.length != heads
                || output.length != otherOutput.length
                || (heads == 0 ? output.length != 0 : output.length % heads != 0)) {
            throw new IllegalArgumentException("results to merge have different sizes: heads=" + heads + " output="
                    + output.length + " otherOutput=" + otherOutput.length + " logSumExp=" + logSumExp.length
                    + " otherLogSumExp=" + otherLogSumExp.length);
        }
        for (int head = 0; head < heads; head++) {
            mergeHead(head, output.length / heads, output, logSumExp, otherOutput, otherLogSumExp);
        }
    }

    private static void mergeHead(
            int head, int size, float[] output, float[] logSumExp, float[] otherOutput, float[] otherLogSumExp) {
        float greatest = Math.max(logSumExp[head], otherLogSumExp[head]);
        if (greatest == Float.NEGATIVE_INFINITY) {
            return;
        }
        double weight = Math.exp(logSumExp[head] - greatest);
        double otherWeight = Math.exp(otherLogSumExp[head] - greatest);
        double sum = weight + otherWeight;
        float factor = (float) (weight / sum);
        float otherFactor = (float) (otherWeight / sum);
        for (int i = head * size; i < (head + 1) * size; i++) {
            output[i] = output[i] * factor + otherOutput[i] * otherFactor;
        }
        logSumExp[head] = (float) (greatest + Math.log(sum));
    }

    /** Says on what it runs. */
    @Override
    public String toString() {
        return "PagedAttention[queryHeads=" + queryHeads + " kernels=" + provider + " threads=" + workers.length
                + " layout=" + layout + "]";
    }

    /**
     * Collects what an attention does beyond the default.
     *
     * <p>Not thread-safe.
     */
    public static final class Builder {
        private final KvLayout layout;
        private final int queryHeads;
        private AttentionOptions options = AttentionOptions.DEFAULT;
        private final Map<Integer, AttentionOptions> layerOptions = new HashMap<>();
        private Executor executor = Runnable::run;
        private int threads = 1;
        private @Nullable KernelProvider provider;

        private Builder(KvLayout layout, int queryHeads) {
            for (int layer = 0; layer < layout.layers(); layer++) {
                if (queryHeads <= 0 || queryHeads % layout.kvHeads(layer) != 0) {
                    throw new IllegalArgumentException("query heads must be a multiple of K/V heads: queryHeads="
                            + queryHeads + " kvHeads=" + layout.kvHeads(layer) + " layer=" + layer);
                }
            }
            this.layout = layout;
            this.queryHeads = queryHeads;
        }

        /**
         * Sets how all layers attend that have no options of their own.
         *
         * @param allLayers {@link AttentionOptions#DEFAULT} unless set
         * @return this
         */
        public Builder options(AttentionOptions allLayers) {
            options = Objects.requireNonNull(allLayers, "options");
            return this;
        }

        /**
         * Sets how one layer attends, for models that mix windowed and full layers.
         *
         * @param layer from 0
         * @param ofLayer its options
         * @return this
         */
        public Builder options(int layer, AttentionOptions ofLayer) {
            layerOptions.put(Objects.checkIndex(layer, layout.layers()), Objects.requireNonNull(ofLayer, "options"));
            return this;
        }

        /**
         * Shares the work of each call among threads: the caller's and some of an executor. The caller waits for tasks that others have begun,
         * never for one to begin.
         *
         * @param helpers runs threads - 1 helpers; left open
         * @param count threads at work, the caller's included, at least 1
         * @return this
         * @throws IllegalArgumentException if count is less than 1
         */
        public Builder threads(Executor helpers, int count) {
            if (count < 1) {
                throw new IllegalArgumentException("the caller is a thread too: threads=" + count);
            }
            executor = Objects.requireNonNull(helpers, "executor");
            threads = count;
            return this;
        }

        /** Forces loops, for tests. */
        Builder provider(KernelProvider forced) {
            provider = forced;
            return this;
        }

        /**
         * Builds the attention.
         *
         * @return it
         */
        public PagedAttention build() {
            return new PagedAttention(this);
        }
    }
}
