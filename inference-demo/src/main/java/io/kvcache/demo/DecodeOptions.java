package io.kvcache.demo;

/**
 * How a {@link DecodeLoop} shares its steps and memory among requests.
 *
 * <p>Immutable, hence thread-safe.
 *
 * @param concurrency samples that run at a time, at most
 * @param watermark 0 to 1, the share of the cache that must be left when a request is admitted beside others, so that those which
 *     run can go on
 * @param draftTokens guesses to verify for each sample and step, at most; 0 turns speculation off
 * @param overtaking by how many later requests one can be overtaken; then it goes before all others
 */
public record DecodeOptions(int concurrency, double watermark, int draftTokens, int overtaking) {
    /** 32 samples at a time, 5% of the cache left at admission, no speculation, overtaken by 64 requests at most. */
    public static final DecodeOptions DEFAULT = new DecodeOptions(32, 0.05, 0, 64);

    /** Checks the values. */
    public DecodeOptions {
        if (concurrency < 1) {
            throw new IllegalArgumentException("must be positive: concurrency=" + concurrency);
        }
        if (!(watermark >= 0 && watermark < 1)) {
            throw new IllegalArgumentException("must be from 0 to 1, exclusive: watermark=" + watermark);
        }
        if (draftTokens < 0 || overtaking < 0) {
            throw new IllegalArgumentException(
                    "must not be negative: draftTokens=" + draftTokens + " overtaking=" + overtaking);
        }
    }

    /** A copy with another concurrency. */
    public DecodeOptions withConcurrency(int samples) {
        return new DecodeOptions(samples, watermark, draftTokens, overtaking);
    }

    /** A copy with another watermark. */
    public DecodeOptions withWatermark(double share) {
        return new DecodeOptions(concurrency, share, draftTokens, overtaking);
    }

    /** A copy that speculates. */
    public DecodeOptions withDraftTokens(int tokens) {
        return new DecodeOptions(concurrency, watermark, tokens, overtaking);
    }

    /** A copy with another bound on overtaking. */
    public DecodeOptions withOvertaking(int requests) {
        return new DecodeOptions(concurrency, watermark, draftTokens, requests);
    }
}
