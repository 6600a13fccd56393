package io.kvcache;

import java.util.List;
import java.util.Objects;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * Caches that are shared in a process by parts that do not know each other.
 *
 * <p>Thread-safe.
 */
public final class KvCaches {
    private static final ConcurrentHashMap<String, Shared> SHARED = new ConcurrentHashMap<>();

    private KvCaches() {}

    /**
     * Returns a share of the cache with a name. The first caller's builder builds it; every other caller's must say the same.
     * The cache is closed with the last share.
     *
     * <pre>{@code
     * try (SharedKvCache shared = KvCaches.shared("llama", KvCache.builder(layout).maximumBytes(4L << 30))) {
     *     Namespace tenant = shared.cache().namespace("tenant-a");
     * }
     * }</pre>
     *
     * <p>What builders were given is compared by {@code equals}: an eviction policy or a clock of one's own should be a constant.
     *
     * @param name unique in the process (in a class loader, where several load this library)
     * @param builder not kept
     * @return a share, to be closed by the caller
     * @throws IllegalArgumentException if the builder refuses to build
     * @throws IllegalStateException if the cache is there with another configuration, naming each difference; or if its last
     *     share could not be closed because of native code
     */
    public static SharedKvCache shared(String name, KvCache.Builder builder) {
        Objects.requireNonNull(name, "name");
        Objects.requireNonNull(builder, "builder");
        SharedKvCache share;
        do {
            share = SHARED.computeIfAbsent(name, Shared::new).open(builder);
        } while (share == null);
        return share;
    }

    /**
     * The cache of one name, from its first share to its last. The next cache of the name has another.
     *
     * <p>Thread-safe. Its lock is held while the cache is built and while it is freed: callers with the same name wait.
     */
    static final class Shared {
        final String name;

        private @Nullable KvCache cache;
        private KvCache.@Nullable Configuration configuration;
        private int shares;
        private boolean closing;
        private boolean gone;

        private Shared(String name) {
            this.name = name;
        }

        /** Returns a share, or null if the last one has gone meanwhile. */
        private synchronized @Nullable SharedKvCache open(KvCache.Builder builder) {
            if (gone) {
                return null;
            }
            if (closing) {
                throw new IllegalStateException("shared cache is closing, native code uses its memory: name=" + name);
            }
            KvCache present = cache != null ? checked(cache, builder) : build(builder);
            shares++;
            return new SharedKvCache(this, present);
        }

        private KvCache build(KvCache.Builder builder) {
            configuration = builder.configuration();
            KvCache built = builder.build(name); // if it throws, the next caller builds
            cache = built;
            return built;
        }

        private KvCache checked(KvCache present, KvCache.Builder builder) {
            KvCache.Configuration has = Objects.requireNonNull(configuration);
            KvCache.Configuration wanted = builder.configuration();
            if (!has.equals(wanted)) {
                throw new IllegalStateException("shared cache is there with another configuration: name=" + name + " "
                        + has.differencesTo(wanted));
            }
            return present;
        }

        synchronized void close(SharedKvCache share) {
            if (!share.isOpen()) {
                return;
            }
            List<String> leaks = List.of();
            if (shares == 1) {
                closing = true;
                leaks = share.cache().free(); // throws if it frees nothing: the share stays
                gone = true;
                SHARED.remove(name, this);
            }
            shares--;
            share.end();
            KvCache.refuseLeaks(leaks);
        }
    }
}
