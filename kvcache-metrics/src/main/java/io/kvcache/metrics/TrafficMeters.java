package io.kvcache.metrics;

import io.kvcache.MissReason;
import io.kvcache.Traffic;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;

/**
 * The meters of {@link Traffic}, the same for a cache and for a namespace.
 *
 * <p>Thread-safe: stateless.
 */
final class TrafficMeters {
    private static final double NANOS_PER_SECOND = TimeUnit.SECONDS.toNanos(1);

    private TrafficMeters() {}

    static <T, S> void register(SnapshotMeters<T, S> meters, Function<S, Traffic> traffic) {
        tokens(meters, traffic);
        blocks(meters, traffic);
        waits(meters, traffic);
        sessions(meters, traffic);
    }

    private static <S> ToDoubleFunction<S> of(Function<S, Traffic> traffic, ToDoubleFunction<Traffic> value) {
        return snapshot -> value.applyAsDouble(traffic.apply(snapshot));
    }

    private static <T, S> void tokens(SnapshotMeters<T, S> meters, Function<S, Traffic> traffic) {
        meters.counter("opens", "opens", "Sequences opened with a prompt", of(traffic, Traffic::opened));
        meters.counter("prompt.tokens", "tokens", "Tokens of their prompts", of(traffic, Traffic::promptTokens));
        meters.counter(
                "prefix.hit.tokens",
                "tokens",
                "Prompt tokens that were cached",
                of(traffic, Traffic::hitTokens),
                "tier",
                "memory");
        for (MissReason reason : MissReason.values()) {
            if (reason != MissReason.NONE) { // misses nothing
                meters.counter(
                        "prefix.missed.tokens",
                        "tokens",
                        "Prompt tokens that were not cached, by why the look-up ended",
                        of(traffic, counts -> counts.missedTokens(reason)),
                        "reason",
                        reason.name().toLowerCase(Locale.ROOT));
            }
        }
        meters.counter(
                "adopted.tokens",
                "tokens",
                "Prompt tokens missed at first and taken up later, when others had computed them or tiers brought them",
                of(traffic, Traffic::adoptedTokens));
        meters.counter(
                "loaded.tokens",
                "tokens",
                "Prompt tokens hit or adopted that tiers had to be asked for",
                of(traffic, Traffic::loadedTokens));
    }

    private static <T, S> void blocks(SnapshotMeters<T, S> meters, Function<S, Traffic> traffic) {
        meters.counter(
                "published.blocks", "blocks", "Blocks computed and made known", of(traffic, Traffic::publishedBlocks));
        meters.counter(
                "loaded.blocks", "blocks", "Blocks that have come from tiers", of(traffic, Traffic::loadedBlocks));
        removed(meters, "capacity", of(traffic, Traffic::evictedBlocks));
        removed(meters, "expired", of(traffic, Traffic::expiredBlocks));
        removed(meters, "explicit", of(traffic, Traffic::erasedBlocks));
        meters.counter(
                "recomputed.blocks",
                "blocks",
                "Blocks computed again after their eviction",
                of(traffic, Traffic::recomputedBlocks));
        meters.counter(
                "recomputed.after.seconds",
                "seconds",
                "Time from their eviction until they were computed again, added up",
                of(traffic, counts -> counts.recomputedAfterNanos() / NANOS_PER_SECOND));
        meters.counter("refused.reserves", "reserves", "Reserves that found no room", of(traffic, Traffic::refusals));
    }

    private static <T, S> void removed(SnapshotMeters<T, S> meters, String cause, ToDoubleFunction<S> value) {
        meters.counter(
                "removed.blocks", "blocks", "Blocks that are not found any more, by cause", value, "cause", cause);
    }

    private static <T, S> void waits(SnapshotMeters<T, S> meters, Function<S, Traffic> traffic) {
        meters.counter(
                "waits",
                "waits",
                "Opens that waited, for a slot, for room or for what another computes",
                of(traffic, Traffic::waits));
        meters.counter(
                "wait.seconds",
                "seconds",
                "Time that they waited, added up",
                of(traffic, counts -> counts.waitedNanos() / NANOS_PER_SECOND));
        meters.counter(
                "wait.timeouts", "timeouts", "Opens that came to their deadline", of(traffic, Traffic::timeouts));
    }

    private static <T, S> void sessions(SnapshotMeters<T, S> meters, Function<S, Traffic> traffic) {
        String lookups = "Sessions asked for by key";
        meters.counter("session.lookups", "lookups", lookups, of(traffic, Traffic::sessionHits), "result", "hit");
        meters.counter("session.lookups", "lookups", lookups, of(traffic, Traffic::sessionMisses), "result", "miss");
        meters.counter(
                "dropped.sessions", "sessions", "Sessions given up for room", of(traffic, Traffic::droppedSessions));
    }
}
