package io.kvcache.metrics;

import io.kvcache.CacheStats;
import io.kvcache.MissReason;
import io.kvcache.Traffic;
import jdk.jfr.Category;
import jdk.jfr.DataAmount;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.Period;
import jdk.jfr.StackTrace;
import jdk.jfr.Timespan;

/**
 * The statistics of a cache; what is counted is counted since the cache was built.
 *
 * <p>Not thread-safe.
 */
@Name("io.kvcache.CacheStatistics")
@Label("KV Cache Statistics")
@Category("KV Cache")
@Description("What a KV cache holds, and what has gone through it since it was built")
@Period("10 s")
@StackTrace(false)
final class CacheStatisticsEvent extends Event {
    @Label("Cache")
    final String cache;

    @Label("Open Sequences")
    final int openSequences;

    @Label("Waiting Opens")
    final int waitingOpens;

    @Label("Sessions")
    final int sessions;

    @Label("Private Blocks")
    final int privateBlocks;

    @Label("Shared Blocks")
    final int sharedBlocks;

    @Label("Cached Blocks")
    final int cachedBlocks;

    @Label("Free Blocks")
    final int freeBlocks;

    @Label("Pinned Blocks")
    final int pinnedBlocks;

    @Label("Block Size")
    @DataAmount
    final long blockSize;

    @Label("Allocated Memory")
    @DataAmount
    final long allocatedMemory;

    @Label("Maximum Memory")
    @DataAmount
    final long maximumMemory;

    @Label("Opens")
    final long opens;

    @Label("Prompt Tokens")
    final long promptTokens;

    @Label("Hit Tokens")
    final long hitTokens;

    @Label("Missed Tokens: Never Seen")
    final long neverSeenTokens;

    @Label("Missed Tokens: Diverged")
    final long divergedTokens;

    @Label("Missed Tokens: Evicted")
    final long evictedTokens;

    @Label("Missed Tokens: Expired")
    final long expiredTokens;

    @Label("Missed Tokens: Erased")
    final long erasedTokens;

    @Label("Missed Tokens: In Flight")
    final long inFlightTokens;

    @Label("Missed Tokens: No Room")
    final long noRoomTokens;

    @Label("Missed Tokens: Look-up Disabled")
    final long disabledTokens;

    @Label("Adopted Tokens")
    final long adoptedTokens;

    @Label("Loaded Tokens")
    @Description("Tokens hit or adopted that tiers had to be asked for")
    final long loadedTokens;

    @Label("Published Blocks")
    final long publishedBlocks;

    @Label("Loaded Blocks")
    final long loadedBlocks;

    @Label("Evicted Blocks")
    final long evictedBlocks;

    @Label("Expired Blocks")
    final long expiredBlocks;

    @Label("Erased Blocks")
    final long erasedBlocks;

    @Label("Recomputed Blocks")
    final long recomputedBlocks;

    @Label("Recomputed After")
    @Description("Time from the eviction of blocks until they were computed again, added up")
    @Timespan
    final long recomputedAfter;

    @Label("Refused Reserves")
    final long refusedReserves;

    @Label("Waits")
    final long waits;

    @Label("Waited")
    @Description("Time that opens have waited, added up")
    @Timespan
    final long waited;

    @Label("Wait Timeouts")
    final long waitTimeouts;

    CacheStatisticsEvent(String cache, CacheStats stats) {
        Traffic traffic = stats.traffic();
        this.cache = cache;
        openSequences = stats.openSequences();
        waitingOpens = stats.waitingOpens();
        sessions = stats.sessions();
        privateBlocks = stats.privateBlocks();
        sharedBlocks = stats.sharedBlocks();
        cachedBlocks = stats.cachedBlocks();
        freeBlocks = stats.freeBlocks();
        pinnedBlocks = stats.pinnedBlocks();
        blockSize = stats.blockBytes();
        allocatedMemory = stats.allocatedBytes();
        maximumMemory = stats.maximumBytes();
        opens = traffic.opened();
        promptTokens = traffic.promptTokens();
        hitTokens = traffic.hitTokens();
        neverSeenTokens = traffic.missedTokens(MissReason.NEVER_SEEN);
        divergedTokens = traffic.missedTokens(MissReason.DIVERGED);
        evictedTokens = traffic.missedTokens(MissReason.EVICTED);
        expiredTokens = traffic.missedTokens(MissReason.EXPIRED);
        erasedTokens = traffic.missedTokens(MissReason.ERASED);
        inFlightTokens = traffic.missedTokens(MissReason.IN_FLIGHT);
        noRoomTokens = traffic.missedTokens(MissReason.NO_ROOM);
        disabledTokens = traffic.missedTokens(MissReason.DISABLED);
        adoptedTokens = traffic.adoptedTokens();
        loadedTokens = traffic.loadedTokens();
        publishedBlocks = traffic.publishedBlocks();
        loadedBlocks = traffic.loadedBlocks();
        evictedBlocks = traffic.evictedBlocks();
        expiredBlocks = traffic.expiredBlocks();
        erasedBlocks = traffic.erasedBlocks();
        recomputedBlocks = traffic.recomputedBlocks();
        recomputedAfter = traffic.recomputedAfterNanos();
        refusedReserves = traffic.refusals();
        waits = traffic.waits();
        waited = traffic.waitedNanos();
        waitTimeouts = traffic.timeouts();
    }
}
