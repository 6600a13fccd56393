package io.kvcache.metrics;

import io.kvcache.KvCache;
import java.lang.ref.WeakReference;
import java.util.Objects;
import jdk.jfr.FlightRecorder;

/**
 * Writes the statistics of a cache into recordings of the JDK Flight Recorder: the event {@code io.kvcache.CacheStatistics}, every ten
 * seconds unless a recording wants another period. Costs nothing while nobody records.
 *
 * <pre>{@code
 * try (KvCache cache = KvCache.builder(layout).maximumBytes(bytes).build();
 *         FlightRecorderStatistics statistics = FlightRecorderStatistics.start(cache, "main")) {
 *     ...
 * }
 * }</pre>
 *
 * <p>The recorder does not keep the cache alive.
 *
 * <p>Thread-safe.
 */
public final class FlightRecorderStatistics implements AutoCloseable {
    private final WeakReference<KvCache> cache;
    private final String name;
    private final Runnable writer = this::write; // the recorder knows it by its identity

    private FlightRecorderStatistics(KvCache cache, String name) {
        this.cache = new WeakReference<>(Objects.requireNonNull(cache, "cache"));
        this.name = Objects.requireNonNull(name, "name");
    }

    /**
     * Begins to write the statistics of a cache.
     *
     * @param cache is read; left open
     * @param name of the cache, in its events
     * @return what ends it, to be closed before the cache
     */
    public static FlightRecorderStatistics start(KvCache cache, String name) {
        FlightRecorderStatistics statistics = new FlightRecorderStatistics(cache, name);
        FlightRecorder.addPeriodicEvent(CacheStatisticsEvent.class, statistics.writer);
        return statistics;
    }

    private void write() {
        KvCache present = cache.get();
        if (present == null) {
            close();
        } else {
            new CacheStatisticsEvent(name, present.stats()).commit();
        }
    }

    /** Writes nothing any more; leaves the cache open. A second call does nothing. */
    @Override
    public void close() {
        FlightRecorder.removePeriodicEvent(writer);
    }
}
