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
 * A tier has got a copy of a block. One event a block is a lot: off unless a recording asks for it.
 *
 * <p>Not thread-safe.
 */
@Name("io.kvcache.BlockOffloaded")
@Label("KV Block Offloaded")
@Category("KV Cache")
@Description("A tier has got a copy of a block")
@Enabled(false)
@StackTrace(false)
final class BlockOffloadedEvent extends Event {
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

    BlockOffloadedEvent(String cache, CacheEvent.Offloaded offloaded) {
        this.cache = cache;
        namespace = offloaded.namespace();
        number = offloaded.number();
        block = offloaded.block();
        tier = offloaded.tier();
    }
}
