package io.kvcache.metrics;

import io.kvcache.CacheEvent;
import java.util.Locale;
import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Enabled;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/**
 * A block cannot be found any more. One event a block is a lot: off unless a recording asks for it.
 *
 * <p>Not thread-safe.
 */
@Name("io.kvcache.BlockRemoved")
@Label("KV Block Removed")
@Category("KV Cache")
@Description("A block cannot be found any more")
@Enabled(false)
@StackTrace(false)
final class BlockRemovedEvent extends Event {
    @Label("Cache")
    final String cache;

    @Label("Namespace")
    final String namespace;

    @Label("Number")
    @Description("Events of a cache are numbered without a gap")
    final long number;

    @Label("Block")
    final long block;

    @Label("Parent Block")
    @Description("The block before it in its path; 0 where a path begins")
    final long parent;

    @Label("Cause")
    @Description("capacity, expired or explicit")
    final String cause;

    BlockRemovedEvent(String cache, CacheEvent.Removed removed) {
        this.cache = cache;
        namespace = removed.namespace();
        number = removed.number();
        block = removed.block();
        parent = removed.parent();
        cause = removed.cause().name().toLowerCase(Locale.ROOT);
    }
}
