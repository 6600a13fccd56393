package io.kvcache;

import org.jspecify.annotations.Nullable;

/**
 * What a warm-up did for one prompt.
 *
 * <p>Thread-safe: immutable.
 *
 * @param index of the prompt in the list
 * @param status in one word
 * @param cachedTokens that were cached already
 * @param computedTokens that were computed
 * @param retention how many of its blocks are retained as asked; null if it was not cached in the end
 * @param failure why it failed; null if it did not
 */
public record WarmedPrompt(
        int index,
        Status status,
        int cachedTokens,
        int computedTokens,
        @Nullable RetentionOutcome retention,
        @Nullable Throwable failure) {
    /** How it ended. */
    public enum Status {
        /** What was not cached was computed. */
        COMPUTED,
        /** All full blocks were cached already. */
        CACHED,
        /** It could not be computed, or there was no slot or no room for it in time. */
        FAILED,
        /** The warm-up was cancelled before this prompt was done. */
        CANCELLED
    }
}
