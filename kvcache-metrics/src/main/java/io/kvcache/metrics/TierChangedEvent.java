package io.kvcache.metrics;

import io.kvcache.CacheEvent;
import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;
import org.jspecify.annotations.Nullable;

/**
 * A tier is left alone, or used again. Rare, and on by default.
 *
 * <p>Not thread-safe.
 */
@Name("io.kvcache.TierChanged")
@Label("KV Tier Changed")
@Category("KV Cache")
@Description("A tier is left alone because too many of its calls failed, or is used again")
@StackTrace(false)
final class TierChangedEvent extends Event {
    @Label("Cache")
    final String cache;

    @Label("Number")
    @Description("Events of a cache are numbered without a gap")
    final long number;

    @Label("Tier")
    final String tier;

    @Label("Accepts Loads")
    final boolean acceptsLoads;

    @Label("Accepts Stores")
    final boolean acceptsStores;

    @Label("Last Failure")
    final @Nullable String lastFailure;

    TierChangedEvent(String cache, CacheEvent.TierChanged changed) {
        this.cache = cache;
        number = changed.number();
        tier = changed.tier();
        acceptsLoads = changed.loads();
        acceptsStores = changed.stores();
        lastFailure = changed.lastFailure();
    }
}
