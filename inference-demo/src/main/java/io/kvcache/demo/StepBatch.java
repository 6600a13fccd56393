package io.kvcache.demo;

import io.kvcache.Sequence;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The tokens that a model computes in one step: for each of many sequences, those that follow its length. Filled anew for every
 * step; allocates nothing once the largest step has been seen.
 *
 * <pre>
 *   sequence 0: length ... +rows      sequence 1: length ... +rows      ...
 *               | rows of the step, one after the other                     |
 *                        last ones: logits                  last: logits
 * </pre>
 *
 * <p>Not thread-safe.
 */
public final class StepBatch {
    private final List<Sequence> sequences = new ArrayList<>();
    private int[] entryRows = new int[8]; // [sequences]
    private int[] tokens = new int[8]; // [rows] ids
    private int[] positions = new int[8]; // [rows]
    private int[] logitRows = new int[8]; // [logits] the rows whose predictions are wanted
    private int rows;
    private int logits;

    /** Makes an empty batch. */
    public StepBatch() {}

    /** Empties the batch. */
    public StepBatch clear() {
        sequences.clear();
        rows = 0;
        logits = 0;
        return this;
    }

    /**
     * Adds the tokens that follow a sequence's length.
     *
     * @param sequence comes once in a batch; its slots must be reserved when the model computes
     * @param ids of the tokens
     * @param from index of the first of them
     * @param count how many, at least 1
     * @param wanted how many of the last ones need logits, at most {@code count}
     * @return this
     */
    public StepBatch add(Sequence sequence, int[] ids, int from, int count, int wanted) {
        if (count < 1 || wanted < 0 || wanted > count) {
            throw new IllegalArgumentException("rows out of range: rows=" + count + " logits=" + wanted);
        }
        ensure(rows + count);
        int position = sequence.length();
        for (int i = 0; i < count; i++) {
            tokens[rows + i] = ids[from + i];
            positions[rows + i] = position + i;
        }
        for (int i = count - wanted; i < count; i++) {
            logitRows[logits++] = rows + i;
        }
        entryRows[sequences.size()] = count;
        sequences.add(sequence);
        rows += count;
        return this;
    }

    /** No array is longer than the rows. */
    private void ensure(int wanted) {
        if (wanted > tokens.length) {
            int capacity = Math.max(wanted, 2 * tokens.length);
            entryRows = Arrays.copyOf(entryRows, capacity);
            tokens = Arrays.copyOf(tokens, capacity);
            positions = Arrays.copyOf(positions, capacity);
            logitRows = Arrays.copyOf(logitRows, capacity);
        }
    }

    /** The sequences, in the order in which they were added; a view. */
    public List<Sequence> sequences() {
        return sequences;
    }

    /** The rows of each sequence: [at least sequences], not to be changed. */
    public int[] rowsBySequence() {
        return entryRows;
    }

    /** Tokens in all. */
    public int rows() {
        return rows;
    }

    /** The id of a row. */
    public int token(int row) {
        return tokens[row];
    }

    /** The position of a row in its sequence. */
    public int position(int row) {
        return positions[row];
    }

    /** How many rows need logits. */
    public int logits() {
        return logits;
    }

    /** The row of the logits with this index. */
    public int logitRow(int index) {
        return logitRows[index];
    }
}
