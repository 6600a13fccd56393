package io.kvcache.demo;

import com.sun.management.ThreadMXBean;
import io.kvcache.KvLayout;
import io.kvcache.KvType;
import io.kvcache.Sequence;
import java.lang.management.ManagementFactory;
import java.util.Arrays;

/**
 * A model without weights that tells from keys and values whether the cache is right: each key holds its token and position, and every
 * row that it computes reads those of all rows before. What comes next depends on the last three tokens only, as {@link #next} says
 * without any cache.
 *
 * <p>Not thread-safe.
 */
final class WitnessModel implements Model {
    /** One layer, a key and a value of two floats: token and position, and their sum and difference. */
    static KvLayout layout(int tokensPerBlock) {
        return KvLayout.builder()
                .layers(1)
                .kvHeads(1)
                .headSize(2)
                .type(KvType.F32)
                .tokensPerBlock(tokensPerBlock)
                .build();
    }

    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    private final int vocabularySize;
    private final int contextTokens;
    private final int maximumRows;
    private final float[] keys; // [contextTokens][2]
    private final float[] values; // [contextTokens][2]
    long computedRows;
    long allocatedBytes; // by the model itself
    int failures; // steps to fail
    Runnable duringForward = () -> {};

    WitnessModel(int vocabularySize, int contextTokens, int maximumRows) {
        this.vocabularySize = vocabularySize;
        this.contextTokens = contextTokens;
        this.maximumRows = maximumRows;
        this.keys = new float[2 * contextTokens];
        this.values = new float[2 * contextTokens];
    }

    @Override
    public int vocabularySize() {
        return vocabularySize;
    }

    @Override
    public int contextTokens() {
        return contextTokens;
    }

    @Override
    public int maximumRows() {
        return maximumRows;
    }

    @Override
    public void forward(StepBatch batch, float[] logits) {
        long before = allocated();
        compute(batch, logits);
        allocatedBytes += allocated() - before;
    }

    /** Bytes that this thread has allocated on the heap. */
    static long allocated() {
        return THREADS.getCurrentThreadAllocatedBytes();
    }

    private void compute(StepBatch batch, float[] logits) {
        if (failures > 0) {
            failures--;
            throw new IllegalStateException("model is asked to fail");
        }
        require(batch.rows() > 0 && batch.rows() <= maximumRows, "rows", batch.rows());
        duringForward.run();
        computedRows += batch.rows();
        int row = 0;
        int logit = 0;
        for (int entry = 0; entry < batch.sequences().size(); entry++) {
            Sequence sequence = batch.sequences().get(entry);
            int rows = batch.rowsBySequence()[entry];
            require(sequence.reserved() >= rows, "reserved", sequence.reserved());
            require(sequence.length() + rows <= contextTokens, "reach", sequence.length() + rows);
            write(sequence, batch, row, rows);
            check(sequence, batch, row, rows);
            for (int end = row + rows; row < end; row++) {
                if (logit < batch.logits() && batch.logitRow(logit) == row) {
                    int position = batch.position(row);
                    int first = token(sequence, batch, end - rows, position - 2);
                    int second = token(sequence, batch, end - rows, position - 1);
                    predict(first, second, batch.token(row), logits, logit * vocabularySize);
                    logit++;
                }
            }
        }
        require(logit == batch.logits(), "logits", logit);
    }

    /** A token of a sequence whose rows in the batch begin at {@code firstRow}; 0 before its start. */
    private static int token(Sequence sequence, StepBatch batch, int firstRow, int position) {
        if (position < 0) {
            return 0;
        }
        int length = sequence.length();
        return position < length ? sequence.token(position) : batch.token(firstRow + position - length);
    }

    private void write(Sequence sequence, StepBatch batch, int row, int rows) {
        for (int i = 0; i < rows; i++) {
            require(batch.position(row + i) == sequence.length() + i, "position", batch.position(row + i));
            put(i, batch.token(row + i), batch.position(row + i));
        }
        sequence.write(0, sequence.length(), rows, keys, 0, values, 0);
    }

    private void put(int at, int token, int position) {
        keys[2 * at] = token;
        keys[2 * at + 1] = position;
        values[2 * at] = token + position;
        values[2 * at + 1] = token - position;
    }

    /** Reads back all that the rows attend to. */
    private void check(Sequence sequence, StepBatch batch, int row, int rows) {
        int length = sequence.length();
        sequence.gather(0, 0, length + rows, keys, 0, values, 0);
        for (int position = 0; position < length + rows; position++) {
            int token = token(sequence, batch, row, position);
            boolean right = keys[2 * position] == token && keys[2 * position + 1] == position;
            require(right, "key of position", position);
            // Values are not moved by a shift: they tell where the token was computed.
            require(values[2 * position] + values[2 * position + 1] == 2 * token, "value of position", position);
        }
    }

    private static void require(boolean holds, String what, int operand) {
        if (!holds) {
            throw new AssertionError("witness: " + what + "=" + operand);
        }
    }

    @Override
    public void moveKeys(Sequence sequence, int by) {
        int from = sequence.length();
        int rows = sequence.reserved();
        sequence.gather(0, from, rows, keys, 0, values, 0);
        for (int i = 0; i < rows; i++) {
            require(keys[2 * i + 1] == from + i + by, "position before the move", (int) keys[2 * i + 1]);
            keys[2 * i + 1] -= by;
        }
        sequence.write(0, from, rows, keys, 0, values, 0);
    }

    private void predict(int first, int second, int third, float[] logits, int from) {
        Arrays.fill(logits, from, from + vocabularySize, 0);
        int best = next(first, second, third, vocabularySize);
        logits[from + best] = 2;
        logits[from + (best + 1) % vocabularySize] = 1;
    }

    /** The best token behind three others; the first of them matters sometimes only, so that texts repeat themselves, nearly. */
    static int next(int first, int second, int third, int vocabularySize) {
        int seed = (first % 4 == 0 ? 1009 : 0) + second * 31 + third;
        return Math.floorMod((seed * 0x9E3779B1) >>> 7, vocabularySize);
    }

    /** What follows a prompt, without any cache. */
    static int[] continuation(int[] prompt, int tokens, int vocabularySize) {
        int[] text = Arrays.copyOf(prompt, prompt.length + tokens);
        for (int i = prompt.length; i < text.length; i++) {
            text[i] = next(before(text, i - 3), before(text, i - 2), text[i - 1], vocabularySize);
        }
        return Arrays.copyOfRange(text, prompt.length, text.length);
    }

    private static int before(int[] text, int at) {
        return at < 0 ? 0 : text[at];
    }
}
