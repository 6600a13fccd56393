package io.kvcache.metrics;

import io.kvcache.CacheEvent;
import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/**
 * The listener of a cache was too slow, and events were dropped. Rare, hence on.
 *
 * <p>Not thread-safe.
 */
@Name("io.kvcache.EventsLost")
@Label("KV Cache Events Lost")
@Category("KV Cache")
@Description("The listener of a cache was too slow: these events were dropped")
@StackTrace(false)
final class EventsLostEvent extends Event {
    @Label("Cache")
    final String cache;

    @Label("First Number")
    final long first;

    @Label("Last Number")
    final long last;

    EventsLostEvent(String cache, CacheEvent.Lost lost) {
        this.cache = cache;
        first = lost.first();
        last = lost.number();
    }
}
