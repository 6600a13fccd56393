package io.kvcache.bench;

/**
 * A request of a trace. Only full blocks are counted.
 *
 * <p>Thread-safe: immutable, as long as nobody writes to {@link #blocks()}.
 */
final class TraceRequest {
    private final long millis;
    private final int inputTokens;
    private final int outputTokens;
    private final int label;
    private final int[] blocks;

    TraceRequest(long millis, int inputTokens, int outputTokens, int label, int[] blocks) {
        this.millis = millis;
        this.inputTokens = inputTokens;
        this.outputTokens = outputTokens;
        this.label = label;
        this.blocks = blocks;
    }

    long millis() {
        return millis;
    }

    int inputTokens() {
        return inputTokens;
    }

    int outputTokens() {
        return outputTokens;
    }

    /** The kind of request, 0..7. */
    int label() {
        return label;
    }

    /** [full blocks] of the prompt: numbers from 0, dense in the trace. Not a copy. */
    int[] blocks() {
        return blocks;
    }
}
