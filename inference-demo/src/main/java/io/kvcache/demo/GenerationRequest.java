package io.kvcache.demo;

/**
 * What a {@link Decoder} is asked for.
 *
 * <p>Immutable, hence thread-safe.
 */
public final class GenerationRequest {
    private final int[] prompt;
    private final int maxTokens;
    private final SamplingOptions sampling;
    private final boolean ignoreEndOfSequence;

    /**
     * Asks for the continuation of a prompt.
     *
     * @param prompt token ids, at least one
     * @param maxTokens tokens to generate at most, at least 1
     * @param sampling how to choose them
     * @param ignoreEndOfSequence whether to go on behind the end-of-sequence token
     */
    public GenerationRequest(int[] prompt, int maxTokens, SamplingOptions sampling, boolean ignoreEndOfSequence) {
        if (prompt.length == 0) {
            throw new IllegalArgumentException("prompt has no token: length=0");
        }
        if (maxTokens < 1) {
            throw new IllegalArgumentException("must be positive: maxTokens=" + maxTokens);
        }
        this.prompt = prompt.clone();
        this.maxTokens = maxTokens;
        this.sampling = sampling;
        this.ignoreEndOfSequence = ignoreEndOfSequence;
    }

    int[] prompt() {
        return prompt;
    }

    int maxTokens() {
        return maxTokens;
    }

    SamplingOptions sampling() {
        return sampling;
    }

    boolean ignoreEndOfSequence() {
        return ignoreEndOfSequence;
    }
}
