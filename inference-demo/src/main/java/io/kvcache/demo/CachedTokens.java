package io.kvcache.demo;

import com.fasterxml.jackson.annotation.JsonValue;
import io.kvcache.Sequence;
import io.kvcache.TierStats;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * Prompt tokens that need not be computed, by the place where they were found; in JSON an object with a field for each place.
 *
 * <p>Immutable, hence thread-safe.
 *
 * @param byTier tokens by the name of a tier, in order, {@value #MEMORY} first: there were those that no tier had to be asked for
 */
public record CachedTokens(@JsonValue Map<String, Long> byTier) {
    static final String MEMORY = "memory";

    /** Nothing, of a cache without tiers. */
    static final CachedTokens NONE = new CachedTokens(Map.of(MEMORY, 0L));

    /** Copies the map. */
    public CachedTokens {
        byTier = Collections.unmodifiableMap(new LinkedHashMap<>(byTier));
    }

    /**
     * Looks at what a sequence has found of its prompt until now.
     *
     * @param tiers of its cache
     * @param promptTokens tokens that count, at most
     */
    static CachedTokens of(Sequence sequence, List<TierStats> tiers, int promptTokens) {
        Map<String, Long> byTier = new LinkedHashMap<>();
        long inMemory = Math.min(sequence.cachedTokens(), promptTokens);
        byTier.put(MEMORY, 0L);
        for (TierStats tier : tiers) {
            long loaded = sequence.cachedTokens(tier.name());
            byTier.put(tier.name(), loaded);
            inMemory -= loaded;
        }
        byTier.put(MEMORY, inMemory);
        return new CachedTokens(byTier);
    }

    /** Tokens of all places. */
    public int total() {
        return Math.toIntExact(
                byTier.values().stream().mapToLong(tokens -> tokens).sum());
    }

    /** The sum. */
    CachedTokens plus(CachedTokens other) {
        Map<String, Long> sum = new LinkedHashMap<>(byTier);
        other.byTier.forEach((tier, tokens) -> sum.merge(tier, tokens, Long::sum));
        return new CachedTokens(sum);
    }

    /** For people to read, behind the total: nothing where there is only memory. */
    String split() {
        return byTier.size() == 1 ? "" : " (" + places() + ")";
    }

    /** For people to read: each place and its tokens. */
    String places() {
        return byTier.entrySet().stream()
                .map(place -> place.getKey() + " " + place.getValue())
                .collect(Collectors.joining(", "));
    }

    boolean hasTiers() {
        return byTier.size() > 1;
    }
}
