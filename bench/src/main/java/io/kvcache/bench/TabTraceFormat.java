package io.kvcache.bench;

import org.agrona.collections.LongArrayList;

/**
 * A compact form of the same: milliseconds, input tokens, output tokens, and the ids of blocks as runs of consecutive ones,
 * {@code start+length}, or {@code start} for one. The columns are separated by tabs, runs by commas.
 *
 * <pre>27482	1100	52	46+2,2353</pre>
 *
 * <p>Thread-safe: stateless.
 */
final class TabTraceFormat implements TraceFormat {
    private static final int COLUMNS = 4;

    @Override
    public void parse(String line, TraceLine into) {
        String[] columns = line.split("\t", -1);
        if (columns.length != COLUMNS) {
            throw new IllegalArgumentException(
                    "line must have " + COLUMNS + " columns separated by tabs: columns=" + columns.length);
        }
        into.millis(number("timestamp", columns[0]));
        into.inputTokens(number("input_length", columns[1]));
        into.outputTokens(number("output_length", columns[2]));
        if (!columns[3].isEmpty()) {
            for (String run : columns[3].split(",", -1)) {
                parseRun(run, into.ids, into.fullBlocks());
            }
        }
    }

    private static void parseRun(String run, LongArrayList ids, int most) {
        int plus = run.indexOf('+');
        long start = number("run", plus < 0 ? run : run.substring(0, plus));
        long length = plus < 0 ? 1 : number("run", run.substring(plus + 1));
        if (length < 1 || start > Long.MAX_VALUE - length) {
            throw new IllegalArgumentException("run must have a length from 1 on: run=" + TraceFormat.quote(run));
        }
        for (int i = 0; i < length && ids.size() < most; i++) {
            ids.addLong(start + i);
        }
    }

    private static long number(String name, String text) {
        try {
            return Long.parseLong(text);
        } catch (NumberFormatException e) {
            throw new IllegalArgumentException(
                    "field must be a whole number: name=" + name + " found=" + TraceFormat.quote(text), e);
        }
    }
}
