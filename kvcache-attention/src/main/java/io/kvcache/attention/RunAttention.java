package io.kvcache.attention;

import io.kvcache.Sequence;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * Lets the rows of one task attend to its run of blocks, piece by piece: scores of all heads, softmax of all heads, values of
 * all heads. Owns the scratch memory for it.
 *
 * <p>The softmax is online (Milakov and Gimelshein, 2018; FlashAttention): sums are kept for the greatest score so far, and scaled when a
 * greater one comes.
 *
 * <p>Not thread-safe: each thread has its own.
 */
final class RunAttention {
    // For each K/V head there are rows x group queries. They go in fours, which read a tile once for all, and at most
    // one
    // alone; two or three left over are filled up with queries of zeros. In row order each goes alone.
    //
    // Pieces are walked in the order of memory, all heads of one before the next one: heads outermost, the hardware's
    // read-ahead would start anew at every page.
    private static final int PIECE_TOKENS = HeadKernels.PIECE_TOKENS;
    private static final int TILE_TOKENS = 16;
    private static final int PAGE_BYTES = 4096;
    private static final int FOUR = 4;

    // For blocks of finite elements only, and for any.
    private final HeadKernels finiteKeys;
    private final HeadKernels finiteValues;
    private final HeadKernels anyKeys;
    private final HeadKernels anyValues;

    private float[] queries = new float[0]; // [kvHeads][queries][keyElements] packed as kernels want them
    private float[] scores = new float[0]; // [kvHeads][queries][PIECE_TOKENS]
    private int[] seenFrom = new int[0]; // [rows] positions
    private int[] seenTo = new int[0];
    private int[] from = new int[0]; // [rows] slots of the piece
    private int[] to = new int[0];

    // The task at hand.
    private LayerShape shape;
    private AttentionOptions options = AttentionOptions.DEFAULT;
    private HeadKernels keyKernels;
    private HeadKernels valueKernels;
    private Partials partials;
    private int partialAt; // the first head of the task in the partials
    private int rows;
    private int fours;
    private int laidOut; // queries for each K/V head, zeros included

    /** What is read ahead must go somewhere, or the JIT does not read it. */
    @SuppressWarnings("UnusedVariable")
    private int readAhead;

    RunAttention(KernelProvider provider, LayerShape anyShape) {
        this.finiteKeys = provider.kernels(anyShape.keyType(), false);
        this.finiteValues = provider.kernels(anyShape.valueType(), false);
        this.anyKeys = provider.kernels(anyShape.keyType(), true);
        this.anyValues = provider.kernels(anyShape.valueType(), true);
        this.shape = anyShape;
        this.partials = new Partials();
        this.keyKernels = finiteKeys;
        this.valueKernels = finiteValues;
    }

    /** Queries that a K/V head has in scratch memory for so many rows. */
    static int laidOut(LayerShape shape, int rows) {
        int queries = rows * shape.group;
        return !shape.tiles || queries % FOUR == 1 ? queries : Math.ceilDiv(queries, FOUR) * FOUR;
    }

    /** What a task works on besides the plan: the layer, its options and queries, and where results go. */
    void attend(
            AttentionPlan plan,
            int task,
            LayerShape ofShape,
            AttentionOptions ofOptions,
            float[] input,
            int inputFrom,
            Partials results) {
        shape = ofShape;
        options = ofOptions;
        partials = results;
        partialAt = results.at(task);
        rows = plan.rows(task);
        laidOut = laidOut(shape, rows);
        fours = shape.tiles ? laidOut / FOUR : 0;
        prepare(plan, task);
        pack(plan, task, input, inputFrom);
        walk(plan, task);
    }

    private void prepare(AttentionPlan plan, int task) {
        int heads = shape.kvHeads * laidOut;
        if (queries.length < heads * shape.keyElements) {
            queries = new float[heads * shape.keyElements];
        }
        if (scores.length < heads * PIECE_TOKENS) {
            scores = new float[heads * PIECE_TOKENS];
        }
        if (from.length < rows) {
            from = new int[rows];
            to = new int[rows];
            seenFrom = new int[rows];
            seenTo = new int[rows];
        }
        for (int row = 0; row < rows; row++) {
            int listed = plan.firstRow(task) + row;
            seenFrom[row] = plan.seenFrom(task, listed);
            seenTo[row] = plan.seenTo(task, listed);
        }
        partials.clear(partialAt, heads, shape.sumStride);
    }

    // ---- queries ----

    private void pack(AttentionPlan plan, int task, float[] input, int inputFrom) {
        HeadKernels kernels = finiteKeys;
        float scale = options.scale() > 0 ? options.scale() : (float) (1 / Math.sqrt(shape.keySize));
        float factor = scale * kernels.keyFactor();
        int width = shape.kvHeads * shape.group * shape.keySize;
        Arrays.fill(queries, 0, shape.kvHeads * laidOut * shape.keyElements, 0);
        for (int row = 0; row < rows; row++) {
            int at = inputFrom + plan.row(plan.firstRow(task) + row) * width;
            for (int head = 0; head < shape.kvHeads; head++) {
                for (int i = 0; i < shape.group; i++) {
                    packOne(kernels, input, at, head, row * shape.group + i, factor);
                    at += shape.keySize;
                }
            }
        }
    }

    private void packOne(HeadKernels kernels, float[] input, int at, int head, int query, float factor) {
        int size = shape.keySize;
        int to = queryAt(head, query);
        if (query < fours * FOUR) {
            to += query % FOUR;
            for (int i = 0; i < size; i++) {
                queries[to + i * FOUR] = input[at + i] * factor;
            }
        } else if (shape.tiles) {
            for (int i = 0; i < size; i++) {
                queries[to + i] = input[at + i] * factor;
            }
        } else {
            for (int i = 0; i < size; i++) {
                queries[to + kernels.place(i, size)] = input[at + i] * factor;
            }
        }
    }

    /** Where a query starts; one of a four, where the four does. */
    private int queryAt(int head, int query) {
        int first = query < fours * FOUR ? query - query % FOUR : query;
        return (head * laidOut + first) * shape.keyElements;
    }

    private int scoreAt(int head, int query) {
        return (head * laidOut + query) * PIECE_TOKENS;
    }

    private int sumAt(int head, int query) {
        return partials.sumAt(partialAt) + (head * laidOut + query) * shape.sumStride;
    }

    // ---- the walk over blocks ----

    private void walk(AttentionPlan plan, int task) {
        Sequence sequence = plan.sequence(task);
        int end = plan.endBlock(task);
        for (int block = plan.firstBlock(task); block < end; block++) {
            MemorySegment memory = sequence.segment(block);
            long at = sequence.blockOffset(block);
            int next = Math.min(block + 1, end - 1);
            MemorySegment nextMemory = sequence.segment(next);
            long nextAt = sequence.blockOffset(next);
            boolean finite = sequence.isFinite(block);
            keyKernels = finite ? finiteKeys : anyKeys;
            valueKernels = finite ? finiteValues : anyValues;
            for (int slot = 0; slot < shape.tokensPerBlock; slot += PIECE_TOKENS) {
                piece(block * shape.tokensPerBlock + slot, slot, memory, at, nextMemory, nextAt);
            }
        }
    }

    private void piece(int position, int slot, MemorySegment memory, long at, MemorySegment nextMemory, long nextAt) {
        int tokens = Math.min(PIECE_TOKENS, shape.tokensPerBlock - slot);
        int least = tokens;
        int most = 0;
        boolean alike = true; // all rows see the same slots
        for (int row = 0; row < rows; row++) {
            from[row] = Math.clamp((long) seenFrom[row] - position, 0, tokens);
            to[row] = Math.clamp((long) seenTo[row] - position, from[row], tokens);
            alike &= from[row] == from[0] && to[row] == to[0];
            if (from[row] < to[row]) {
                least = Math.min(least, from[row]);
                most = Math.max(most, to[row]);
            }
        }
        if (least >= most) {
            return;
        }
        boolean ahead = shape.tiles && laidOut > 1;
        for (int head = 0; head < shape.kvHeads; head++) {
            if (ahead) {
                readAhead(nextMemory, nextAt + shape.keyTile(head, slot), (long) tokens * shape.keyWords * 4, head);
            }
            scores(head, slot, least, most, memory, at);
        }
        for (int head = 0; head < shape.kvHeads; head++) {
            weigh(head, slot, memory, at);
        }
        for (int head = 0; head < shape.kvHeads; head++) {
            if (ahead) {
                readAhead(
                        nextMemory,
                        nextAt + shape.valueLine(head, 0, slot),
                        (long) tokens * shape.valueWords * 4,
                        head);
            }
            if (shape.tiles) {
                addTiles(head, slot, alike, memory, at);
            } else {
                addRows(head, slot, memory, at);
            }
        }
    }

    /**
     * Reads a word of each page of what comes next, so that its address is translated and the hardware has begun to read ahead when
     * the kernels get there. Pays where queries share a tile, as there is more to compute than to read.
     */
    private void readAhead(MemorySegment memory, long at, long bytes, int head) {
        long every = Math.max(1, PAGE_BYTES / bytes);
        if (head % every == 0) {
            for (long offset = 0; offset < bytes; offset += PAGE_BYTES) {
                readAhead ^= memory.get(ValueLayout.JAVA_INT_UNALIGNED, at + offset);
            }
        }
    }

    private void scores(int head, int slot, int least, int most, MemorySegment memory, long at) {
        if (!shape.tiles) {
            for (int query = 0; query < laidOut; query++) {
                int row = query / shape.group;
                keyKernels.scoresOfRows(
                        memory,
                        at + shape.keyRow(head, slot + from[row]),
                        shape.keyRowBytes(),
                        shape.keySize,
                        to[row] - from[row],
                        queries,
                        queryAt(head, query),
                        scores,
                        scoreAt(head, query) + from[row]);
            }
            return;
        }
        int first = least / TILE_TOKENS;
        int tiles = Math.ceilDiv(most, TILE_TOKENS) - first;
        // One pass over all tiles where one pass is all; else tile by tile, which stays in the L1 cache for the next
        // four.
        int step = laidOut <= FOUR ? tiles : 1;
        for (int tile = first; tile < first + tiles; tile += step) {
            long tileAt = at + shape.keyTile(head, slot + tile * TILE_TOKENS);
            for (int query = 0; query < laidOut; query += FOUR) {
                int score = scoreAt(head, query) + tile * TILE_TOKENS;
                if (query < fours * FOUR) {
                    keyKernels.scoresOfFour(
                            memory, tileAt, shape.keyWords, step, queries, queryAt(head, query), scores, score);
                } else {
                    keyKernels.scoresOfOne(
                            memory, tileAt, shape.keyWords, step, queries, queryAt(head, query), scores, score);
                }
            }
        }
    }

    private void weigh(int head, int slot, MemorySegment memory, long at) {
        for (int query = 0; query < rows * shape.group; query++) {
            int row = query / shape.group;
            int first = from[row];
            int count = to[row] - first;
            if (count == 0) {
                continue;
            }
            int score = scoreAt(head, query) + first;
            if (shape.hasKeyScales()) {
                valueKernels.multiply(scores, score, memory, at + shape.keyScale(head, slot + first), count);
            }
            if (options.softCap() > 0) {
                valueKernels.softCap(scores, score, count, options.softCap());
            }
            int index = partialAt + head * laidOut + query;
            valueKernels.softmax(
                    scores,
                    score,
                    count,
                    partials.greatest,
                    partials.totals,
                    index,
                    partials.sums,
                    sumAt(head, query),
                    shape.sumStride);
            if (shape.hasValueScales()) {
                valueKernels.multiply(scores, score, memory, at + shape.valueScale(head, slot + first), count);
            }
        }
        for (int query = rows * shape.group; query < laidOut; query++) {
            Arrays.fill(scores, scoreAt(head, query), scoreAt(head, query) + PIECE_TOKENS, 0);
        }
    }

    private void addTiles(int head, int slot, boolean alike, MemorySegment memory, long at) {
        for (int chunk = 0; chunk < shape.chunks(); chunk++) {
            int words = shape.chunkWords(chunk);
            for (int query = 0; query < rows * shape.group; ) {
                if (words == HeadKernels.LINE_WORDS && query < fours * FOUR && (alike || seeAlike(query))) {
                    addChunkToFour(head, query, chunk, slot, memory, at);
                    query += FOUR;
                } else {
                    addChunkToOne(head, query, chunk, words, slot, memory, at);
                    query++;
                }
            }
        }
    }

    /** Whether four queries see the same slots; a query is asked only if it is the first of a four. */
    private boolean seeAlike(int query) {
        if (query % FOUR != 0) {
            return false;
        }
        int first = query / shape.group;
        int last = Math.min(query + FOUR, rows * shape.group) - 1;
        boolean alike = true;
        for (int row = first + 1; row <= last / shape.group; row++) {
            alike &= from[row] == from[first] && to[row] == to[first];
        }
        return alike;
    }

    private void addChunkToFour(int head, int query, int chunk, int slot, MemorySegment memory, long at) {
        int row = query / shape.group;
        if (from[row] < to[row]) {
            valueKernels.addToFour(
                    memory,
                    at + shape.valueLine(head, chunk, slot + from[row]),
                    to[row] - from[row],
                    scores,
                    scoreAt(head, query) + from[row],
                    partials.sums,
                    sumAt(head, query) + chunkElement(chunk),
                    shape.sumStride);
        }
    }

    private void addChunkToOne(int head, int query, int chunk, int words, int slot, MemorySegment memory, long at) {
        int row = query / shape.group;
        int tokens = to[row] - from[row];
        if (tokens == 0) {
            return;
        }
        long line = at + shape.valueLine(head, chunk, slot + from[row]);
        int weight = scoreAt(head, query) + from[row];
        int sum = sumAt(head, query) + chunkElement(chunk);
        if (words == HeadKernels.LINE_WORDS) {
            valueKernels.addToOne(memory, line, tokens, scores, weight, partials.sums, sum);
        } else {
            int elements = shape.valueElements - chunkElement(chunk);
            valueKernels.addRows(memory, line, words * 4L, elements, tokens, scores, weight, partials.sums, sum);
        }
    }

    private int chunkElement(int chunk) {
        return chunk * HeadKernels.LINE_BYTES / shape.valueType().bytes();
    }

    private void addRows(int head, int slot, MemorySegment memory, long at) {
        for (int query = 0; query < laidOut; query++) {
            int row = query / shape.group;
            valueKernels.addRows(
                    memory,
                    at + shape.valueRow(head, slot + from[row]),
                    shape.valueRowBytes(),
                    shape.valueSize,
                    to[row] - from[row],
                    scores,
                    scoreAt(head, query) + from[row],
                    partials.sums,
                    sumAt(head, query));
        }
    }
}
