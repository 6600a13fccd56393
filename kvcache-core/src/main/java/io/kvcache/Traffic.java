package io.kvcache;

import java.util.Collections;
import java.util.EnumMap;
import java.util.Map;

/**
 * What has gone through a namespace, or through a whole cache, since it came into being: counts that only grow. The difference of
 * two snapshots tells what went on between them.
 *
 * <p>The tokens of all prompts are those that hit, those that were missed for one reason or another, and the last one of each
 * prompt, which is always computed: {@code promptTokens = hitTokens + sum of missedTokens + opened}.
 *
 * <p>Thread-safe: immutable.
 *
 * @param opened sequences opened with a prompt: no forks, no sessions
 * @param promptTokens tokens of their prompts
 * @param hitTokens how many of these were in memory when the sequence opened
 * @param missedTokens how many were not, by the reason why the search ended
 * @param adoptedTokens tokens missed at first that {@link Sequence#adopt} found later, when others had computed them
 * @param loadedTokens tokens found at first or later that tiers had to be asked for
 * @param publishedBlocks blocks that sequences have computed and made known
 * @param loadedBlocks blocks that have come from tiers
 * @param evictedBlocks cached blocks given up for room
 * @param expiredBlocks blocks whose time had come
 * @param erasedBlocks blocks taken out by {@link Namespace#erase()} or {@link Namespace#renew()}
 * @param recomputedBlocks published blocks that had been evicted, not too long ago to be remembered
 * @param recomputedAfterNanos the time from their eviction until they were computed again, added up
 * @param waits opens that waited, for a slot, for room or for what another sequence was computing
 * @param waitedNanos how long they waited, added up
 * @param timeouts how many of them came to their deadline
 * @param refusals reserves, and calls of {@link Sequence#discard}, that found no room
 * @param sessionHits sessions found by their key
 * @param sessionMisses keys that were not there, or whose blocks are guaranteed to others
 * @param droppedSessions sessions given up for room
 */
public record Traffic(
        long opened,
        long promptTokens,
        long hitTokens,
        Map<MissReason, Long> missedTokens,
        long adoptedTokens,
        long loadedTokens,
        long publishedBlocks,
        long loadedBlocks,
        long evictedBlocks,
        long expiredBlocks,
        long erasedBlocks,
        long recomputedBlocks,
        long recomputedAfterNanos,
        long waits,
        long waitedNanos,
        long timeouts,
        long refusals,
        long sessionHits,
        long sessionMisses,
        long droppedSessions) {
    /** Nothing yet. */
    public static final Traffic NONE = new Traffic(0, 0, 0, Map.of(), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);

    /**
     * Makes a snapshot.
     *
     * @param missedTokens is copied; a reason that is not in it stands for 0
     */
    public Traffic {
        Map<MissReason, Long> complete = new EnumMap<>(MissReason.class);
        for (MissReason reason : MissReason.values()) {
            complete.put(reason, missedTokens.getOrDefault(reason, 0L));
        }
        missedTokens = Collections.unmodifiableMap(complete);
    }

    /**
     * Returns how many tokens were missed for a reason.
     *
     * @param reason why the search ended
     * @return tokens
     */
    public long missedTokens(MissReason reason) {
        return missedTokens.getOrDefault(reason, 0L);
    }

    /**
     * Returns the share of prompt tokens that were cached.
     *
     * @return 0 to 1; 0 where there was no prompt
     */
    public double hitRatio() {
        return promptTokens == 0 ? 0 : (double) hitTokens / promptTokens;
    }

    /**
     * Returns what came since an earlier snapshot.
     *
     * @param earlier a snapshot of the same namespace or cache
     * @return the differences
     */
    public Traffic minus(Traffic earlier) {
        return plus(earlier, -1);
    }

    /**
     * Returns the sum.
     *
     * @param other another namespace's
     * @return the sums
     */
    public Traffic plus(Traffic other) {
        return plus(other, 1);
    }

    private Traffic plus(Traffic other, long sign) {
        Map<MissReason, Long> missed = new EnumMap<>(MissReason.class);
        missedTokens.forEach((reason, tokens) -> missed.put(reason, tokens + sign * other.missedTokens(reason)));
        return new Traffic(
                opened + sign * other.opened,
                promptTokens + sign * other.promptTokens,
                hitTokens + sign * other.hitTokens,
                missed,
                adoptedTokens + sign * other.adoptedTokens,
                loadedTokens + sign * other.loadedTokens,
                publishedBlocks + sign * other.publishedBlocks,
                loadedBlocks + sign * other.loadedBlocks,
                evictedBlocks + sign * other.evictedBlocks,
                expiredBlocks + sign * other.expiredBlocks,
                erasedBlocks + sign * other.erasedBlocks,
                recomputedBlocks + sign * other.recomputedBlocks,
                recomputedAfterNanos + sign * other.recomputedAfterNanos,
                waits + sign * other.waits,
                waitedNanos + sign * other.waitedNanos,
                timeouts + sign * other.timeouts,
                refusals + sign * other.refusals,
                sessionHits + sign * other.sessionHits,
                sessionMisses + sign * other.sessionMisses,
                droppedSessions + sign * other.droppedSessions);
    }
}
