package io.kvcache.attention;

import io.kvcache.BlockOrder;
import io.kvcache.KvLayout;
import io.kvcache.KvType;
import io.kvcache.Sequence;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Objects;

/**
 * Scaled dot-product attention over the blocks of a sequence, read in place. Query heads share K/V heads in equal groups:
 * query head h reads K/V head h / (queryHeads / kvHeads). Scores are scaled by 1 / sqrt(keyHeadSize); floats throughout.
 *
 * <p>The result does not depend on how positions are spread over blocks, to the last bit.
 *
 * <p>Not thread-safe: owns scratch memory. Threads use one each; they may work on the same sequence.
 */
public final class PagedAttention {
    private final KvLayout layout;
    private final int queryHeads;
    private float[] weights = new float[0]; // [queryHeads][positions] scores, then their exponentials
    private final float[] sums; // [queryHeads]

    /**
     * Makes an attention for a model.
     *
     * @param layout of the sequences that will be attended to
     * @param queryHeads a multiple of the K/V heads of every layer
     * @throws IllegalArgumentException if it is not, or the layout is not one of rows of F32, F16 or BF16
     */
    public PagedAttention(KvLayout layout, int queryHeads) {
        for (int layer = 0; layer < layout.layers(); layer++) {
            if (queryHeads <= 0 || queryHeads % layout.kvHeads(layer) != 0) {
                throw new IllegalArgumentException("query heads must be a multiple of K/V heads: queryHeads="
                        + queryHeads + " kvHeads=" + layout.kvHeads(layer) + " layer=" + layer);
            }
        }
        if (layout.order() != BlockOrder.ROWS || layout.keyType() == KvType.INT8 || layout.valueType() == KvType.INT8) {
            throw new IllegalArgumentException("attention reads rows of floats so far: order=" + layout.order()
                    + " keyType=" + layout.keyType() + " valueType=" + layout.valueType());
        }
        this.layout = layout;
        this.queryHeads = queryHeads;
        this.sums = new float[queryHeads];
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
     * @param queries [rows][queryHeads][keyHeadSize]
     * @param queriesFrom index of the first element
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
            float[] queries,
            int queriesFrom,
            float[] output,
            int outputFrom) {
        check(sequence, position, rows);
        int queryWidth = queryHeads * layout.keyHeadSize(layer);
        int outputWidth = queryHeads * layout.valueHeadSize(layer);
        Objects.checkFromIndexSize((long) queriesFrom, (long) rows * queryWidth, queries.length);
        Objects.checkFromIndexSize((long) outputFrom, (long) rows * outputWidth, output.length);
        long wanted = (long) queryHeads * (position + rows);
        if (wanted > weights.length) {
            weights =
                    new float[Math.toIntExact(Math.max(wanted, Math.min(2L * weights.length, Integer.MAX_VALUE - 8)))];
        }
        for (int row = 0; row < rows; row++) {
            int positions = position + row + 1;
            score(sequence, layer, positions, queries, queriesFrom + row * queryWidth);
            exponentiate(positions);
            int from = outputFrom + row * outputWidth;
            Arrays.fill(output, from, from + outputWidth, 0);
            accumulate(sequence, layer, positions, output, from);
            normalise(layout.valueHeadSize(layer), output, from);
        }
    }

    private void check(Sequence sequence, int position, int rows) {
        if (!sequence.layout().equals(layout)) {
            throw new IllegalArgumentException(
                    "sequence has another layout: sequence=" + sequence.layout() + " attention=" + layout);
        }
        int reach = sequence.length() + sequence.reserved();
        if (position < 0 || rows < 0 || rows > reach - position) {
            throw new IndexOutOfBoundsException("only committed and reserved positions attend: position=" + position
                    + " rows=" + rows + " length=" + sequence.length() + " reserved=" + sequence.reserved());
        }
    }

    // Block by block, all heads of a block before the next one: a block is read from start to end.

    private void score(Sequence sequence, int layer, int positions, float[] queries, int queryFrom) {
        int size = layout.keyHeadSize(layer);
        int group = queryHeads / layout.kvHeads(layer);
        long headBytes = (long) size * layout.keyType().bytes();
        float scale = (float) (1 / Math.sqrt(size));
        for (int first = 0; first < positions; first += layout.tokensPerBlock()) {
            MemorySegment memory = sequence.segment(first / layout.tokensPerBlock());
            int rows = Math.min(layout.tokensPerBlock(), positions - first);
            long keys = sequence.keyOffset(layer, first);
            long stride = layout.keyRowBytes(layer);
            for (int head = 0; head < queryHeads; head++) {
                long offset = keys + head / group * headBytes;
                int query = queryFrom + head * size;
                int to = head * positions + first;
                ScalarKernel.scores(
                        layout.keyType(), memory, offset, stride, rows, queries, query, size, scale, weights, to);
            }
        }
    }

    private void accumulate(Sequence sequence, int layer, int positions, float[] output, int from) {
        int size = layout.valueHeadSize(layer);
        int group = queryHeads / layout.kvHeads(layer);
        long headBytes = (long) size * layout.valueType().bytes();
        for (int first = 0; first < positions; first += layout.tokensPerBlock()) {
            MemorySegment memory = sequence.segment(first / layout.tokensPerBlock());
            int rows = Math.min(layout.tokensPerBlock(), positions - first);
            long values = sequence.valueOffset(layer, first);
            long stride = layout.valueRowBytes(layer);
            for (int head = 0; head < queryHeads; head++) {
                long offset = values + head / group * headBytes;
                int weight = head * positions + first;
                int to = from + head * size;
                ScalarKernel.accumulate(
                        layout.valueType(), memory, offset, stride, rows, weights, weight, output, to, size);
            }
        }
    }

    /** Replaces scores by their exponentials, less the greatest of the head, and adds them up. */
    private void exponentiate(int positions) {
        for (int head = 0; head < queryHeads; head++) {
            int from = head * positions;
            float greatest = Float.NEGATIVE_INFINITY;
            for (int i = 0; i < positions; i++) {
                greatest = Math.max(greatest, weights[from + i]);
            }
            float sum = 0;
            for (int i = 0; i < positions; i++) {
                weights[from + i] = (float) Math.exp(weights[from + i] - greatest);
                sum += weights[from + i];
            }
            sums[head] = sum;
        }
    }

    private void normalise(int size, float[] output, int from) {
        for (int head = 0; head < queryHeads; head++) {
            float factor = 1 / sums[head];
            for (int i = 0; i < size; i++) {
                output[from + head * size + i] *= factor;
            }
        }
    }
}
