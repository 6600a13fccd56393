package io.kvcache.demo;

/**
 * Lets a sample go on for ever in a context that is not: when the context is full, what lies between the first tokens and the last
 * ones is dropped. The first tokens stay because models lean on them (Xiao et al., "Efficient Streaming Language Models with
 * Attention Sinks", 2023).
 *
 * <p>Immutable, hence thread-safe.
 *
 * @param sinks first tokens to keep
 * @param window last tokens to keep, at least 1
 */
public record ContextShift(int sinks, int window) {
    /** Checks the values. */
    public ContextShift {
        if (sinks < 0 || window < 1) {
            throw new IllegalArgumentException(
                    "sinks must not be negative, the window must be positive: sinks=" + sinks + " window=" + window);
        }
    }
}
