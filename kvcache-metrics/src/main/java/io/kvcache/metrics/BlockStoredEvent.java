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
 * A block can be found. One event a block is a lot: off unless a recording asks for it. The tokens are not recorded.
 *
 * <p>Not thread-safe.
 */
@Name("io.kvcache.BlockStored")
@Label("KV Block Stored")
@Category("KV Cache")
@Description("A block can be found from now on")
@Enabled(false)
@StackTrace(false)
final class BlockStoredEvent extends Event {
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

    @Label("Tokens")
    final int tokens;

    BlockStoredEvent(String cache, CacheEvent.Stored stored) {
        this.cache = cache;
        namespace = stored.namespace();
        number = stored.number();
        block = stored.block();
        parent = stored.parent();
        tokens = stored.tokens().size();
    }
}
