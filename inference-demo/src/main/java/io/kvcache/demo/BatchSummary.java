package io.kvcache.demo;

import com.fasterxml.jackson.annotation.JsonInclude;
import org.jspecify.annotations.Nullable;

/**
 * What a file of requests took; the fields of the command line's JSON.
 *
 * <p>Immutable, hence thread-safe.
 *
 * @param requests lines
 * @param failedRequests those that got no answer
 * @param generatedTokens tokens of all answers
 * @param seconds from the first request to the last answer
 * @param tokensPerSecond generated tokens by these seconds
 * @param promptTokens tokens of the prompts of all answers
 * @param cachedTokens how many of them were cached, and not computed
 * @param cachedTokensByTier where they were found
 * @param preemptions how often a request had to make room for others
 * @param recomputedTokens tokens that were computed again for that
 * @param draftedTokens guesses verified
 * @param acceptedTokens guesses that were right
 * @param acceptanceRatio the share of the guesses that were right, if there were any
 * @param wasteRatio the share of the held slots that had no token, on average over time
 * @param bookkeepingRatio the share of the time that the loop's own bookkeeping took
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
record BatchSummary(
        int requests,
        int failedRequests,
        long generatedTokens,
        double seconds,
        double tokensPerSecond,
        long promptTokens,
        long cachedTokens,
        CachedTokens cachedTokensByTier,
        long preemptions,
        long recomputedTokens,
        long draftedTokens,
        long acceptedTokens,
        @Nullable Double acceptanceRatio,
        double wasteRatio,
        double bookkeepingRatio) {
    /** For people to read, one line. */
    String text() {
        return String.format(
                "[%d requests, %d failed; %d tokens in %.2f s: %.1f tokens/s; %d of %d prompt tokens cached (%.1f%%%s);"
                        + " %d preemptions, %d tokens computed again%s; %.1f%% waste, %.1f%% bookkeeping]",
                requests,
                failedRequests,
                generatedTokens,
                seconds,
                tokensPerSecond,
                cachedTokens,
                promptTokens,
                promptTokens == 0 ? 0 : 100.0 * cachedTokens / promptTokens,
                cachedTokensByTier.hasTiers() ? "; " + cachedTokensByTier.places() : "",
                preemptions,
                recomputedTokens,
                guesses(),
                100 * wasteRatio,
                100 * bookkeepingRatio);
    }

    private String guesses() {
        return acceptanceRatio == null
                ? ""
                : String.format(
                        "; %d of %d guesses right (%.1f%%)", acceptedTokens, draftedTokens, 100 * acceptanceRatio);
    }
}
