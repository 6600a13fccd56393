package io.kvcache.metrics;

import io.kvcache.CacheEvent;
import io.kvcache.CacheListener;
import java.util.Objects;
import jdk.jfr.EventType;

/**
 * Writes what happens to the blocks of a cache into recordings of the JDK Flight Recorder: {@code io.kvcache.BlockStored},
 * {@code io.kvcache.BlockRemoved}, {@code io.kvcache.BlockLoaded} and {@code io.kvcache.BlockOffloaded}, off unless a recording
 * enables them, {@code io.kvcache.TierChanged} and {@code io.kvcache.EventsLost}. Tokens are not recorded.
 *
 * <pre>{@code
 * KvCache.builder(layout).maximumBytes(bytes).listener(new FlightRecorderBlocks("main"), Runnable::run).build();
 * recording.enable("io.kvcache.BlockRemoved");
 * }</pre>
 *
 * <p>It is quick enough to run in the thread that has caused an event.
 *
 * <p>Thread-safe.
 */
public final class FlightRecorderBlocks implements CacheListener {
    private static final EventType STORED = EventType.getEventType(BlockStoredEvent.class);
    private static final EventType REMOVED = EventType.getEventType(BlockRemovedEvent.class);
    private static final EventType LOADED = EventType.getEventType(BlockLoadedEvent.class);
    private static final EventType OFFLOADED = EventType.getEventType(BlockOffloadedEvent.class);

    private final String name;

    /**
     * Makes a listener.
     *
     * @param name of the cache, in its events
     */
    public FlightRecorderBlocks(String name) {
        this.name = Objects.requireNonNull(name, "name");
    }

    @Override
    public void onEvent(CacheEvent event) {
        switch (event) {
            case CacheEvent.Stored stored when STORED.isEnabled() -> new BlockStoredEvent(name, stored).commit();
            case CacheEvent.Removed removed when REMOVED.isEnabled() -> new BlockRemovedEvent(name, removed).commit();
            case CacheEvent.Loaded loaded when LOADED.isEnabled() -> new BlockLoadedEvent(name, loaded).commit();
            case CacheEvent.Offloaded offloaded
            when OFFLOADED.isEnabled() -> new BlockOffloadedEvent(name, offloaded).commit();
            case CacheEvent.TierChanged changed -> new TierChangedEvent(name, changed).commit();
            case CacheEvent.Lost lost -> new EventsLostEvent(name, lost).commit();
            case CacheEvent.Stored off -> {}
            case CacheEvent.Removed off -> {}
            case CacheEvent.Loaded off -> {}
            case CacheEvent.Offloaded off -> {}
        }
    }
}
