package io.kvcache.metrics;

import io.kvcache.CacheEvent;
import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Enabled;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/**
 * A block has come from a tier. One event a block is a lot: off unless a recording asks for it.
 *
 * <p>Not thread-safe.
 */
@Name("io.kvcache.BlockLoaded")
@Label("KV Block Loaded")
@Category("KV Cache")
@Description("A block has come from a tier; that it can be found was told just before")
@Enabled(false)
@StackTrace(false)
final class BlockLoadedEvent extends Event {
    @Label("Cache")
    final String cache;

    @Label("Namespace")
    final String namespace;

    @Label("Number")
    @Description("Events of a cache are numbered without a gap")
    final long number;

    @Label("Block")
    final long block;

    @Label("Tier")
    final String tier;

    BlockLoadedEvent(String cache, CacheEvent.Loaded loaded) {
        this.cache = cache;
        namespace = loaded.namespace();
        number = loaded.number();
        block = loaded.block();
        tier = loaded.tier();
    }
}
