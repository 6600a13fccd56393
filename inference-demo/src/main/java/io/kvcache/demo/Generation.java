package io.kvcache.demo;

import java.util.List;

/**
 * A continued prompt; the fields of the command line's JSON.
 *
 * <p>Immutable, hence thread-safe.
 *
 * @param promptTokens tokens of the prompt
 * @param cachedTokens how many of them were cached, and not computed
 * @param cachedTokensByTier where they were found
 * @param tokens the generated ids
 * @param text their text
 * @param ttftMillis from the request to the first generated token (time to first token)
 * @param decodeTokensPerSecond of the tokens after the first; 0 if there are none
 * @param kv memory at the end
 * @param stats what it did with the cache; in the JSON only if asked for
 */
public record Generation(
        int promptTokens,
        int cachedTokens,
        CachedTokens cachedTokensByTier,
        List<Integer> tokens,
        String text,
        double ttftMillis,
        double decodeTokensPerSecond,
        KvUsage kv,
        RunStats stats) {}
