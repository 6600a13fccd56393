package io.kvcache.demo;

/**
 * One continuation of a prompt.
 *
 * <p>Immutable, hence thread-safe.
 */
public final class Sample {
    private final int index;
    private final int[] tokens;
    private final FinishReason reason;
    private final double logProbability;
    private final KvUsage kv;

    Sample(int index, int[] tokens, FinishReason reason, double logProbability, KvUsage kv) {
        this.index = index;
        this.tokens = tokens;
        this.reason = reason;
        this.logProbability = logProbability;
        this.kv = kv;
    }

    /** Which of the request's samples it is, as its listener knows it. */
    public int index() {
        return index;
    }

    /** The generated ids, a copy. */
    public int[] tokens() {
        return tokens.clone();
    }

    /** How many tokens there are. */
    public int size() {
        return tokens.length;
    }

    /** Why there are no more. */
    public FinishReason reason() {
        return reason;
    }

    /**
     * The sum of the logarithms of the probabilities of its tokens, and of the end where the model chose that; 0 where nobody chooses
     * among samples.
     */
    public double logProbability() {
        return logProbability;
    }

    /** How probable a token is on average: samples of different lengths compare by it. */
    double meanLogProbability() {
        int chosen = tokens.length + (reason == FinishReason.END_OF_SEQUENCE ? 1 : 0);
        return chosen == 0 ? Double.NEGATIVE_INFINITY : logProbability / chosen;
    }

    /** Memory at the end. */
    public KvUsage kv() {
        return kv;
    }
}
