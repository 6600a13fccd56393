package io.kvcache.bench;

import java.util.concurrent.TimeUnit;
import org.agrona.collections.LongArrayList;

/**
 * The fields of a request as a line of a trace states them, checked one by one as they come.
 *
 * <p>Not thread-safe.
 */
final class TraceLine {
    private static final long MISSING = -1;
    private static final long MOST_MILLIS = TimeUnit.NANOSECONDS.toMillis(Long.MAX_VALUE);
    private static final int MOST_LABEL = 7;

    /** Ids of blocks; those behind the last full one do not count. */
    final LongArrayList ids = new LongArrayList();

    private long millis = MISSING;
    private long inputTokens = MISSING;
    private long outputTokens = MISSING;
    private long label;

    void millis(long value) {
        millis = check("timestamp", value, MOST_MILLIS);
    }

    void inputTokens(long value) {
        inputTokens = check("input_length", value, Integer.MAX_VALUE);
    }

    void outputTokens(long value) {
        outputTokens = check("output_length", value, Integer.MAX_VALUE);
    }

    void label(long value) {
        label = check("label", value, MOST_LABEL);
    }

    private static long check(String name, long value, long most) {
        if (value < 0 || value > most) {
            throw new IllegalArgumentException("number must be from 0 to " + most + ": " + name + "=" + value);
        }
        return value;
    }

    int fullBlocks() {
        return (int) (inputTokens / Trace.TOKENS_PER_BLOCK);
    }

    /** Checks that everything is there. */
    TraceRequest toRequest(BlockNumbers numbers) {
        requirePresent("timestamp", millis);
        requirePresent("input_length", inputTokens);
        requirePresent("output_length", outputTokens);
        int fullBlocks = fullBlocks();
        if (ids.size() < fullBlocks) {
            throw new IllegalArgumentException("every full block of " + Trace.TOKENS_PER_BLOCK
                    + " tokens must have an id: ids=" + ids.size() + " input_length=" + inputTokens);
        }
        int[] blocks = new int[fullBlocks];
        for (int i = 0; i < fullBlocks; i++) {
            blocks[i] = numbers.of(ids.getLong(i));
        }
        return new TraceRequest(millis, (int) inputTokens, (int) outputTokens, (int) label, blocks);
    }

    private static void requirePresent(String name, long value) {
        if (value == MISSING) {
            throw new IllegalArgumentException("field is missing: name=" + name);
        }
    }
}
