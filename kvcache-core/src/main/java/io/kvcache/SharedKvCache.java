package io.kvcache;

import org.jspecify.annotations.Nullable;

/**
 * One caller's share of a cache that several use; see {@link KvCaches#shared}.
 *
 * <p>Thread-safe.
 */
public final class SharedKvCache implements AutoCloseable {
    private final KvCaches.Shared shared;
    private volatile @Nullable KvCache cache; // null: closed; changed under the lock of the entry

    SharedKvCache(KvCaches.Shared shared, KvCache cache) {
        this.shared = shared;
        this.cache = cache;
    }

    /**
     * Returns the cache, the same for all shares of a name. It refuses to be closed itself.
     *
     * @return the cache; it is closed when the last share is
     * @throws IllegalStateException if this share is closed
     */
    public KvCache cache() {
        KvCache open = cache;
        if (open == null) {
            throw new IllegalStateException("share is closed: name=" + name());
        }
        return open;
    }

    /**
     * Returns the name.
     *
     * @return the name under which the cache is shared
     */
    public String name() {
        return shared.name;
    }

    /**
     * Gives this share back; the last one closes the cache, and the name is free again. A second call does nothing.
     *
     * @throws IllegalStateException if this was the last share and sequences were open, as {@link KvCache#close} says; the
     *     memory is freed none the less. Or if this was the last share and native code is reading or writing a view: then
     *     nothing is freed, and the share stays open for another call
     */
    @Override
    public void close() {
        shared.close(this);
    }

    /** Whether it is to be counted. */
    boolean isOpen() {
        return cache != null;
    }

    /** Ends it; the caller has done the counting. */
    void end() {
        cache = null;
    }

    @Override
    public String toString() {
        return "SharedKvCache[name=" + name() + " open=" + isOpen() + "]";
    }
}
