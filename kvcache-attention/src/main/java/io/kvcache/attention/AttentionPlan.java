package io.kvcache.attention;

import io.kvcache.Sequence;
import java.util.Arrays;

/**
 * How the work of one call is cut: into tasks, each of which lets some rows attend to a run of blocks that all their sequences
 * share. Depends on the batch, the block tables and the number of threads only, and so does the result.
 *
 * <p>Not thread-safe while it is made; threads may read it afterwards.
 */
final class AttentionPlan {
    // Entries are sorted by their block tables, so that those that share leading blocks are neighbours:
    //
    //   A  1 2 3 4 5         [A B C] attend to 1 2, [A B] to 3,
    //   B  1 2 3 6           [A] to 4 5, [B] to 6, [C] to 7 8
    //   C  1 2 7 8
    //
    // A run is cut further where there are more rows than scratch memory holds, and for threads to share it. With a
    // window,
    // the sinks and the window of a row are runs of their own, disjoint even where they lie in the same block.

    /** A task that threads share is not shorter: what it costs to merge it should not be seen. */
    private static final int LEAST_TOKENS = 256;

    /** Tasks for each thread: enough to even out, few enough to merge. */
    private static final int TASKS_PER_THREAD = 4;

    private final int tokensPerBlock;
    private final int maximumRows;
    private final int group; // query heads that share a K/V head
    private final int threads;

    private AttentionBatch batch = new AttentionBatch();
    private AttentionOptions options = AttentionOptions.DEFAULT;
    private boolean sinks;

    private int[] sorted = new int[8]; // [entries]
    private int[][] tables = new int[8][0]; // [entries][blocks]
    private int[] blocks = new int[8]; // [entries] that are seen at all
    private long[] addresses = new long[8]; // [entries] of the first block: block numbers are a cache's own
    private int[] shared = new int[8]; // [entries] leading blocks in common with the entry sorted before

    private int tasks;
    private int rowsListed;
    private int[] rows = new int[64]; // rows of all tasks
    private int[] entryOfRow = new int[64];
    private int[] firstRow = new int[17]; // [tasks + 1] into rows
    private int[] firstBlock = new int[16];
    private int[] endBlock = new int[16];
    private boolean[] ofSinks = new boolean[16];

    // While runs are collected: they become tasks when their whole cost is known.
    private long cost;
    private long targetCost;

    AttentionPlan(int tokensPerBlock, int group, int maximumRows, int threads) {
        this.tokensPerBlock = tokensPerBlock;
        this.group = group;
        this.maximumRows = maximumRows;
        this.threads = threads;
    }

    /** Cuts the work of a batch. */
    void make(AttentionBatch ofBatch, AttentionOptions ofOptions) {
        batch = ofBatch;
        options = ofOptions;
        prepare(batch.entries());
        targetCost = Long.MAX_VALUE;
        if (threads > 1) {
            cost = 0;
            collect();
            targetCost = Math.max(1, cost / ((long) threads * TASKS_PER_THREAD));
        }
        collect();
    }

    private void prepare(int entries) {
        if (entries > sorted.length) {
            int capacity = Math.max(entries, 2 * sorted.length);
            sorted = Arrays.copyOf(sorted, capacity);
            tables = Arrays.copyOf(tables, capacity);
            blocks = Arrays.copyOf(blocks, capacity);
            addresses = Arrays.copyOf(addresses, capacity);
            shared = Arrays.copyOf(shared, capacity);
        }
        for (int entry = 0; entry < entries; entry++) {
            blocks[entry] = batch.rows(entry) == 0 ? 0 : Math.ceilDiv(batch.reach(entry), tokensPerBlock);
            copyTable(entry, entries);
        }
        for (int i = 0; i < entries; i++) {
            insert(i);
        }
        for (int i = 1; i < entries; i++) {
            shared[i] = common(sorted[i - 1], sorted[i]);
        }
    }

    /** A lone sequence shares with nobody: its table is not looked at. */
    private void copyTable(int entry, int entries) {
        Sequence sequence = batch.sequence(entry);
        if (entries == 1) {
            return;
        }
        int[] table = tables[entry];
        if (table == null || table.length < sequence.blocks()) {
            table = new int[2 * sequence.blocks()];
            tables[entry] = table;
        }
        sequence.blockTable(table);
        addresses[entry] = blocks[entry] == 0 ? 0 : sequence.segment(0).address() + sequence.blockOffset(0);
    }

    /** Inserts entry i among those before it, which are sorted. */
    private void insert(int i) {
        int low = 0;
        int high = i;
        while (low < high) {
            int middle = (low + high) >>> 1;
            if (compare(sorted[middle], i) <= 0) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        System.arraycopy(sorted, low, sorted, low + 1, i - low);
        sorted[low] = i;
    }

    private int compare(int left, int right) {
        if (addresses[left] != addresses[right]) {
            return Long.compare(addresses[left], addresses[right]);
        }
        int common = common(left, right);
        if (common == blocks[left] || common == blocks[right]) {
            return Integer.compare(blocks[left], blocks[right]);
        }
        return Integer.compare(tables[left][common], tables[right][common]);
    }

    private int common(int left, int right) {
        if (addresses[left] != addresses[right]) {
            return 0;
        }
        int limit = Math.min(blocks[left], blocks[right]);
        int different = Arrays.mismatch(tables[left], 0, limit, tables[right], 0, limit);
        return different < 0 ? limit : different;
    }

    private void collect() {
        tasks = 0;
        rowsListed = 0;
        firstRow[0] = 0;
        sinks = false;
        collect(0, batch.entries(), 0);
        if (options.sinks() > 0) {
            sinks = true;
            collect(0, batch.entries(), 0);
        }
    }

    /** Collects the runs of sorted entries that share the blocks before {@code depth}. */
    private void collect(int from, int to, int depth) {
        if (to - from == 0) {
            return;
        }
        if (to - from == 1) {
            run(from, to, depth, blocks[sorted[from]]);
            return;
        }
        int end = Integer.MAX_VALUE;
        for (int i = from + 1; i < to; i++) {
            end = Math.min(end, shared[i]);
        }
        run(from, to, depth, end);
        int first = from;
        for (int i = from + 1; i <= to; i++) {
            if (i == to || shared[i] == end) {
                collect(first, i, end);
                first = i;
            }
        }
    }

    /** Adds what rows see of a run of blocks. */
    private void run(int from, int to, int first, int end) {
        int start = Integer.MAX_VALUE;
        for (int i = from; i < to; i++) {
            int entry = sorted[i];
            start = Math.min(start, sinks ? batch.keysFrom(entry) : batch.start(entry, options));
        }
        int firstSeen = Math.max(first, start / tokensPerBlock);
        int endSeen = sinks ? Math.min(end, Math.ceilDiv(options.sinks(), tokensPerBlock)) : end;
        if (firstSeen < endSeen) {
            cutRows(from, to, firstSeen, endSeen);
        }
    }

    private void cutRows(int from, int to, int first, int end) {
        int listedBefore = rowsListed;
        for (int i = from; i < to; i++) {
            int entry = sorted[i];
            for (int row = batch.firstRow(entry); row < batch.firstRow(entry + 1); row++) {
                list(row, entry);
                if (rowsListed - listedBefore == maximumRows) {
                    cutBlocks(listedBefore, first, end);
                    listedBefore = rowsListed;
                }
            }
        }
        if (rowsListed > listedBefore) {
            cutBlocks(listedBefore, first, end);
        }
    }

    private void list(int row, int entry) {
        if (rowsListed == rows.length) {
            rows = Arrays.copyOf(rows, 2 * rowsListed);
            entryOfRow = Arrays.copyOf(entryOfRow, 2 * rowsListed);
        }
        rows[rowsListed] = row;
        entryOfRow[rowsListed++] = entry;
    }

    /** Cuts the run that the rows listed from an index on attend to, where it costs more than a task should. */
    private void cutBlocks(int listedBefore, int first, int end) {
        int seen = first;
        for (int i = listedBefore; i < rowsListed; i++) {
            int behind = Math.min(batch.keysTo(entryOfRow[i]), batch.position(entryOfRow[i], rows[i]) + 1);
            seen = Math.max(seen, Math.min(end, Math.ceilDiv(behind, tokensPerBlock)));
        }
        if (seen == first) {
            rowsListed = listedBefore;
            return;
        }
        int count = rowsListed - listedBefore;
        long quads = Math.ceilDiv(count * group, 4);
        long blockCost = (quads + 1) * tokensPerBlock;
        cost += blockCost * (seen - first);
        long most = Math.max(targetCost / blockCost, Math.ceilDiv(LEAST_TOKENS, tokensPerBlock));
        int pieces = (int) Math.max(1, Math.min(seen - first, Math.ceilDiv(seen - first, most)));
        for (int piece = 0; piece < pieces; piece++) {
            if (piece > 0) {
                repeatRows(listedBefore, count);
            }
            addTask(first + part(seen - first, piece, pieces), first + part(seen - first, piece + 1, pieces));
        }
    }

    /** Where the piece of a length starts, all being as long as can be. */
    private static int part(int length, int piece, int pieces) {
        return (int) ((long) length * piece / pieces);
    }

    private void repeatRows(int from, int count) {
        for (int i = from; i < from + count; i++) {
            list(rows[i], entryOfRow[i]);
        }
    }

    private void addTask(int first, int end) {
        if (tasks == firstBlock.length) {
            firstBlock = Arrays.copyOf(firstBlock, 2 * tasks);
            endBlock = Arrays.copyOf(endBlock, 2 * tasks);
            ofSinks = Arrays.copyOf(ofSinks, 2 * tasks);
            firstRow = Arrays.copyOf(firstRow, 2 * tasks + 1);
        }
        firstBlock[tasks] = first;
        endBlock[tasks] = end;
        ofSinks[tasks] = sinks;
        firstRow[++tasks] = rowsListed;
    }

    // ---- the tasks ----

    int tasks() {
        return tasks;
    }

    /** The first of a task's rows, among those of all tasks; for the number of tasks, the number of all rows. */
    int firstRow(int task) {
        return firstRow[task];
    }

    /** A row of the batch, by its place among those of all tasks. */
    int row(int listed) {
        return rows[listed];
    }

    int rows(int task) {
        return firstRow[task + 1] - firstRow[task];
    }

    int firstBlock(int task) {
        return firstBlock[task];
    }

    int endBlock(int task) {
        return endBlock[task];
    }

    /** A sequence that has the task's blocks. */
    Sequence sequence(int task) {
        return batch.sequence(entryOfRow[firstRow[task]]);
    }

    /** The first position that a listed row of a task sees. */
    int seenFrom(int task, int listed) {
        int entry = entryOfRow[listed];
        int from = ofSinks[task] ? 0 : options.windowStart(batch.position(entry, rows[listed]));
        return Math.max(from, batch.keysFrom(entry));
    }

    /** The position behind the last one that a listed row of a task sees. */
    int seenTo(int task, int listed) {
        int entry = entryOfRow[listed];
        int to = Math.min(batch.position(entry, rows[listed]) + 1, batch.keysTo(entry));
        return ofSinks[task] ? Math.min(to, options.sinks()) : to;
    }
}
