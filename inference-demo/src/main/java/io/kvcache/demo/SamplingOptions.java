package io.kvcache.demo;

/**
 * How a {@link Sampler} chooses the next token.
 *
 * <p>Immutable, hence thread-safe.
 *
 * @param temperature what the logits are divided by; 0 chooses the best token always
 * @param topK how many of the best tokens may be chosen; 0 puts no limit
 * @param topP the probability that the best tokens must reach together, others are not chosen; 1 puts no limit
 * @param seed the seed of the random numbers
 */
public record SamplingOptions(double temperature, int topK, double topP, long seed) {
    /** Puts the seeds of samples far apart. Odd, and not the increment of SplittableRandom, which would give shifted copies of one stream. */
    private static final long SEED_STEP = 0xD1342543DE82EF95L;

    /** Checks the values. */
    public SamplingOptions {
        if (!(temperature >= 0 && temperature < Double.POSITIVE_INFINITY)) {
            throw new IllegalArgumentException(
                    "temperature must be finite and not negative: temperature=" + temperature);
        }
        if (topK < 0) {
            throw new IllegalArgumentException("topK must not be negative: topK=" + topK);
        }
        if (!(topP > 0 && topP <= 1)) {
            throw new IllegalArgumentException("topP must be above 0 and at most 1: topP=" + topP);
        }
    }

    /** The best token always. */
    public static SamplingOptions greedy() {
        return new SamplingOptions(0, 0, 1, 0);
    }

    /** Options with a seed of their own for one of several samples; the first one keeps its seed. */
    SamplingOptions forSample(int index) {
        return index == 0 ? this : new SamplingOptions(temperature, topK, topP, seed + index * SEED_STEP);
    }

    /** Whether the choice is the best token, whatever the seed. */
    boolean isGreedy() {
        return temperature == 0 || topK == 1;
    }
}
