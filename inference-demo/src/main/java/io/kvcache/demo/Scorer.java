package io.kvcache.demo;

import io.kvcache.KvCache;
import io.kvcache.OpenOptions;
import io.kvcache.Sequence;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Says how probable a model holds the tokens of a text, each given those before it. The keys and values that it attends to
 * come out of a cache, so what the cache's type costs in quality shows here.
 *
 * <p>What is longer than the model's context is scored in consecutive windows of the context length, each from its own first
 * token with nothing before it; that one has no score. Every position is computed, as its logits are needed: windows neither
 * start with what is cached nor leave anything in the cache.
 *
 * <p>Not thread-safe: the model belongs to one thread.
 */
public final class Scorer {
    /** 256 MiB of floats; 128 rows of the largest vocabularies are a quarter of it. */
    private static final int MAXIMUM_LOGITS = 1 << 26;

    private static final OpenOptions ALONE = OpenOptions.DEFAULT.withoutLookup().withoutPublish();

    private final Llama model;
    private final KvCache cache;
    private final int contextTokens;
    private final int maximumRows;
    private final StepBatch batch = new StepBatch();
    private final float[] logits; // [maximumRows][vocabulary]

    /**
     * Makes a scorer.
     *
     * @param cache built for the model's layout; left open
     */
    public Scorer(Llama model, KvCache cache) {
        this.model = model;
        this.cache = cache;
        this.contextTokens = model.contextTokens();
        this.maximumRows = Math.clamp(MAXIMUM_LOGITS / model.vocabularySize(), 1, model.maximumRows());
        this.logits = new float[Math.multiplyExact(maximumRows, model.vocabularySize())];
    }

    /**
     * Scores every token but the first of each window.
     *
     * @param tokens ids
     * @throws IllegalArgumentException if there is nothing to score, or an id is outside the vocabulary
     * @throws IllegalStateException if the cache has no room for a window, or the model gives no number for a probability
     */
    public Score score(int[] tokens) {
        if (Math.min(tokens.length, contextTokens) < 2) {
            throw new IllegalArgumentException("scoring takes two tokens in a window: tokens=" + tokens.length
                    + " contextTokens=" + contextTokens);
        }
        model.checkTokens(tokens);
        List<Double> logprobs = new ArrayList<>(tokens.length);
        for (int from = 0; from < tokens.length; from += contextTokens) {
            int length = Math.min(contextTokens, tokens.length - from);
            scoreWindow(Arrays.copyOfRange(tokens, from, from + length), logprobs);
        }
        return new Score(logprobs);
    }

    /** The last token is only predicted: nothing needs to be computed from it. */
    private void scoreWindow(int[] window, List<Double> logprobs) {
        int computed = window.length - 1;
        try (Sequence sequence = cache.namespace("score").open(window, ALONE)) {
            if (!sequence.tryReserve(computed)) {
                throw new IllegalStateException("cache is full: wanted=" + computed + " " + cache.stats());
            }
            while (sequence.length() < computed) {
                int from = sequence.length();
                int rows = Math.min(maximumRows, computed - from);
                model.forward(batch.clear().add(sequence, window, from, rows, rows), logits);
                sequence.commit(window, from, rows);
                for (int row = 0; row < rows; row++) {
                    logprobs.add(logprob(row, window[from + row + 1]));
                }
            }
        }
    }

    private double logprob(int row, int token) {
        double logprob = Logits.logProbability(logits, row * model.vocabularySize(), model.vocabularySize(), token);
        if (Double.isNaN(logprob)) {
            throw new IllegalStateException("model gives no number for a probability: token=" + token);
        }
        return logprob;
    }
}
