package io.kvcache.demo;

import io.kvcache.MissReason;
import java.util.List;

/**
 * What became of a request.
 *
 * <p>Immutable, hence thread-safe.
 *
 * @param samples the continuations, the most probable first where the best were chosen
 * @param promptTokens tokens of the prompt
 * @param cached those of them that were cached, computed by another request, or loaded from a tier, until the first token
 * @param missReason why no more of the prompt was cached
 * @param missedAt the position of the first prompt token that was not
 * @param preemptions how often it had to make room for others
 * @param recomputedTokens tokens that were computed again for that
 * @param draftedTokens guesses that were verified
 * @param acceptedTokens guesses that were right
 * @param queuedNanos from the request to its start
 * @param firstTokenNanos from the request to the first token (time to first token)
 * @param decodeNanos from the first token to the last
 */
public record DecodeResult(
        List<Sample> samples,
        int promptTokens,
        CachedTokens cached,
        MissReason missReason,
        int missedAt,
        int preemptions,
        long recomputedTokens,
        long draftedTokens,
        long acceptedTokens,
        long queuedNanos,
        long firstTokenNanos,
        long decodeNanos) {
    /** Copies the list. */
    public DecodeResult {
        samples = List.copyOf(samples);
    }

    /** Tokens of the prompt that were not computed. */
    public int cachedTokens() {
        return cached.total();
    }

    /** Generated tokens of all samples. */
    public int generatedTokens() {
        return samples.stream().mapToInt(sample -> sample.size()).sum();
    }
}
