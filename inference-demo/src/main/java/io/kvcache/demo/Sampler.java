package io.kvcache.demo;

import java.util.SplittableRandom;

/**
 * Chooses the next token from a model's logits. The limits apply in the order of llama.cpp: top-k keeps the best tokens,
 * top-p keeps the fewest of those whose probability (at temperature 1, among those kept) reaches p, and only then is the
 * temperature applied to what is left. Equal seeds and logits give equal tokens.
 *
 * <p>A logit of negative infinity bans its token. Calls allocate nothing once the largest vocabulary has been seen.
 *
 * <p>Not thread-safe: one thread at a time.
 */
public final class Sampler {
    private final SamplingOptions options;
    private final SplittableRandom random;
    private final TokenHeap heap = new TokenHeap();

    /** Of the tokens that may be drawn, in the order of ids or ranks; sized for the largest vocabulary seen. */
    private double[] weights = {};

    /** A sampler at the start of the random numbers of {@code options.seed()}. */
    public Sampler(SamplingOptions options) {
        this.options = options;
        this.random = new SplittableRandom(options.seed());
    }

    /** A token, chosen by {@code logits[offset]} to {@code logits[offset + vocabularySize - 1]}. */
    public int sample(float[] logits, int offset, int vocabularySize) {
        requireRange(logits, offset, vocabularySize);
        int best = best(logits, offset, vocabularySize);
        if (options.isGreedy()) {
            return best;
        }
        weights = weights.length < vocabularySize ? new double[vocabularySize] : weights;
        if (options.topK() == 0 && options.topP() == 1) {
            return drawFromAll(logits, offset, vocabularySize, logits[offset + best]);
        }
        heap.reset(logits, offset, vocabularySize);
        return drawFromBest(kept(logits, offset, vocabularySize));
    }

    /** The first of the tokens with the highest logit. */
    private static int best(float[] logits, int offset, int size) {
        int best = 0;
        for (int id = 0; id < size; id++) {
            requireLogit(logits[offset + id], id);
            best = logits[offset + id] > logits[offset + best] ? id : best;
        }
        if (logits[offset + best] == Float.NEGATIVE_INFINITY) {
            throw new IllegalArgumentException("no token has a finite logit: vocabularySize=" + size);
        }
        return best;
    }

    private int drawFromAll(float[] logits, int offset, int size, float highest) {
        for (int id = 0; id < size; id++) {
            weights[id] = weight(logits[offset + id], highest, options.temperature());
        }
        return draw(size);
    }

    private int drawFromBest(int count) {
        for (int rank = 0; rank < count; rank++) {
            weights[rank] = weight(heap.logit(rank), heap.logit(0), options.temperature());
        }
        return heap.token(draw(count));
    }

    /** How many of the best tokens pass top-k and top-p. */
    private int kept(float[] logits, int offset, int size) {
        int limit = options.topK() == 0 ? size : Math.min(options.topK(), size);
        if (options.topP() == 1) {
            return limit;
        }
        return nucleus(limit, limit == size ? sumOfAll(logits, offset, size) : sumOfBest(limit));
    }

    /** The fewest of the best {@code limit} tokens that reach top-p of {@code sum}, at least one. */
    private int nucleus(int limit, double sum) {
        double needed = options.topP() * sum;
        double reached = 0;
        int count = 0;
        while (count < limit && (count == 0 || reached < needed)) {
            reached += weight(heap.logit(count), heap.logit(0), 1);
            count++;
        }
        return count;
    }

    private double sumOfAll(float[] logits, int offset, int size) {
        double sum = 0;
        for (int id = 0; id < size; id++) {
            sum += weight(logits[offset + id], heap.logit(0), 1);
        }
        return sum;
    }

    private double sumOfBest(int count) {
        double sum = 0;
        for (int rank = 0; rank < count; rank++) {
            sum += weight(heap.logit(rank), heap.logit(0), 1);
        }
        return sum;
    }

    /** In proportion to the probability; at most 1, so that nothing overflows. */
    private static double weight(float logit, float highest, double temperature) {
        return Math.exp(((double) logit - highest) / temperature);
    }

    /** An index below {@code count}, with a probability in proportion to its weight. */
    private int draw(int count) {
        double rest = random.nextDouble() * sumOfWeights(count);
        int drawn = 0;
        for (int index = 0; index < count && rest >= 0; index++) {
            drawn = weights[index] > 0 ? index : drawn;
            rest -= weights[index];
        }
        return drawn;
    }

    private double sumOfWeights(int count) {
        double sum = 0;
        for (int index = 0; index < count; index++) {
            sum += weights[index];
        }
        return sum;
    }

    private static void requireRange(float[] logits, int offset, int size) {
        if (offset < 0 || size <= 0 || offset > logits.length - size) {
            throw new IndexOutOfBoundsException("logits do not hold the vocabulary: length=" + logits.length
                    + " offset=" + offset + " vocabularySize=" + size);
        }
    }

    private static void requireLogit(float logit, int id) {
        if (!(logit < Float.POSITIVE_INFINITY)) {
            throw new IllegalArgumentException("logit is not a number below infinity: token=" + id + " logit=" + logit);
        }
    }
}
