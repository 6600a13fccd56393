package io.kvcache.attention;

import io.kvcache.Sequence;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Which positions of which sequences attend in one call: one row of queries and outputs for each, in the order in which they
 * were added. Made once, and filled anew for every step.
 *
 * <p>Sequences that share blocks, as forks and equal prompts do, are found by their block tables; the shared blocks are read once for all
 * of them.
 *
 * <p>Not thread-safe.
 */
public final class AttentionBatch {
    private @Nullable Sequence[] sequences = new Sequence[8];
    private int[] positions = new int[8]; // the first one of each entry
    private int[] firstRows = new int[9]; // [entries + 1]
    private int[] keysFrom = new int[8];
    private int[] keysTo = new int[8];
    private int entries;
    private long changes;

    /** Makes an empty batch. */
    public AttentionBatch() {}

    /**
     * Empties the batch.
     *
     * @return this
     */
    public AttentionBatch clear() {
        Arrays.fill(sequences, 0, entries, null);
        entries = 0;
        changes++;
        return this;
    }

    /**
     * Adds the last position of a sequence, committed or reserved.
     *
     * @param sequence with keys and values written there
     * @return this
     * @throws IllegalStateException if the sequence is closed
     * @throws IndexOutOfBoundsException if it has no position
     */
    public AttentionBatch add(Sequence sequence) {
        return add(sequence, sequence.length() + sequence.reserved() - 1, 1);
    }

    /**
     * Adds consecutive positions of a sequence, each of which attends to all up to itself.
     *
     * @param sequence with keys and values written there
     * @param position the first of them, committed or reserved
     * @param rows how many
     * @return this
     * @throws IllegalStateException if the sequence is closed
     * @throws IndexOutOfBoundsException if a position is neither committed nor reserved
     */
    public AttentionBatch add(Sequence sequence, int position, int rows) {
        return add(sequence, position, rows, 0, Integer.MAX_VALUE);
    }

    /**
     * Adds consecutive positions of a sequence, each of which attends only to a range of those up to itself. Results for ranges that cover
     * all positions together merge by {@link PagedAttention#merge}.
     *
     * @param sequence with keys and values written there
     * @param position the first of them, committed or reserved
     * @param rows how many
     * @param from the first position attended to
     * @param to the position behind the last one attended to
     * @return this
     * @throws IllegalStateException if the sequence is closed
     * @throws IndexOutOfBoundsException if a position is neither committed nor reserved, or the range is none
     */
    public AttentionBatch add(Sequence sequence, int position, int rows, int from, int to) {
        checkRows(sequence, position, rows);
        if (from < 0 || to < from) {
            throw new IndexOutOfBoundsException("no range of positions: from=" + from + " to=" + to);
        }
        if (entries == sequences.length) {
            grow(2 * entries);
        }
        sequences[entries] = sequence;
        positions[entries] = position;
        keysFrom[entries] = from;
        keysTo[entries] = to;
        firstRows[entries + 1] = Math.addExact(firstRows[entries], rows);
        entries++;
        changes++;
        return this;
    }

    private static void checkRows(Sequence sequence, int position, int rows) {
        int reach = sequence.length() + sequence.reserved();
        if (position < 0 || rows < 0 || rows > reach - position) {
            throw new IndexOutOfBoundsException("only committed and reserved positions attend: position=" + position
                    + " rows=" + rows + " length=" + sequence.length() + " reserved=" + sequence.reserved());
        }
    }

    private void grow(int capacity) {
        sequences = Arrays.copyOf(sequences, capacity);
        positions = Arrays.copyOf(positions, capacity);
        firstRows = Arrays.copyOf(firstRows, capacity + 1);
        keysFrom = Arrays.copyOf(keysFrom, capacity);
        keysTo = Arrays.copyOf(keysTo, capacity);
    }

    /**
     * Returns how many positions attend.
     *
     * @return rows of queries and outputs
     */
    public int rows() {
        return firstRows[entries];
    }

    /** A number that grows with every change of the batch. */
    long changes() {
        return changes;
    }

    /** A number that grows with every change of a block table, as long as the batch does not change. */
    long tableVersions() {
        long versions = 0;
        for (int entry = 0; entry < entries; entry++) {
            versions += sequence(entry).tableVersion();
        }
        return versions;
    }

    /** Whether it holds these rows and no others. */
    boolean isJust(Sequence sequence, int position, int rows) {
        return entries == 1 && sequences[0] == sequence && positions[0] == position && rows() == rows;
    }

    int entries() {
        return entries;
    }

    Sequence sequence(int entry) {
        Sequence sequence = sequences[entry];
        if (entry >= entries || sequence == null) {
            throw new IndexOutOfBoundsException("no such entry: entry=" + entry + " entries=" + entries);
        }
        return sequence;
    }

    /** The first row of an entry; for the number of entries, the number of rows. */
    int firstRow(int entry) {
        return firstRows[entry];
    }

    int rows(int entry) {
        return firstRows[entry + 1] - firstRows[entry];
    }

    /** The position of a row of an entry. */
    int position(int entry, int row) {
        return positions[entry] + row - firstRows[entry];
    }

    int keysFrom(int entry) {
        return keysFrom[entry];
    }

    int keysTo(int entry) {
        return keysTo[entry];
    }

    /** The position behind the last one that any row of an entry sees. */
    int reach(int entry) {
        return Math.min(keysTo[entry], positions[entry] + rows(entry));
    }

    /** The first position that any row of an entry sees in its window. */
    int start(int entry, AttentionOptions options) {
        return Math.max(keysFrom[entry], options.windowStart(positions[entry]));
    }

    /** Checks what may have changed since the entries were added. */
    void check() {
        for (int entry = 0; entry < entries; entry++) {
            checkRows(sequence(entry), positions[entry], rows(entry));
        }
    }
}
