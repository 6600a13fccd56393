package io.kvcache.metrics;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.CacheEvent;
import io.kvcache.CacheStats;
import io.kvcache.MissReason;
import io.kvcache.Traffic;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import jdk.jfr.EventType;
import jdk.jfr.Recording;
import jdk.jfr.ValueDescriptor;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class FlightRecorderTest {
    private static final String STATISTICS = "io.kvcache.CacheStatistics";
    private static final String STORED = "io.kvcache.BlockStored";
    private static final String REMOVED = "io.kvcache.BlockRemoved";
    private static final String LOADED = "io.kvcache.BlockLoaded";
    private static final String OFFLOADED = "io.kvcache.BlockOffloaded";
    private static final String TIER = "io.kvcache.TierChanged";
    private static final String LOST = "io.kvcache.EventsLost";

    @TempDir
    private Path directory = Path.of("");

    /** Something to be recorded. */
    private interface Work {
        void run() throws InterruptedException;
    }

    /** Records some work and returns our events in the order of their time. */
    private List<RecordedEvent> record(Consumer<Recording> settings, Work work)
            throws IOException, InterruptedException {
        Path file = directory.resolve("recording.jfr");
        try (Recording recording = new Recording()) {
            settings.accept(recording);
            recording.start();
            work.run();
            recording.stop();
            recording.dump(file);
        }
        return RecordingFile.readAllEvents(file).stream()
                .filter(event -> event.getEventType().getName().startsWith("io.kvcache."))
                .toList();
    }

    private static void enableStatistics(Recording recording) {
        recording.enable(STATISTICS).with("period", "endChunk");
    }

    // ---- statistics ----

    @Test
    void shouldRecordTheStatisticsOfEachCache() throws IOException, InterruptedException {
        try (BusyCache busy = new BusyCache(event -> {});
                BusyCache idle = new BusyCache(event -> {})) {
            FlightRecorderStatistics statistics = FlightRecorderStatistics.start(busy.cache, "busy");
            FlightRecorderStatistics others = FlightRecorderStatistics.start(idle.cache, "idle");
            List<RecordedEvent> events = record(FlightRecorderTest::enableStatistics, busy::beBusy);
            assertEquals(
                    List.of("busy", "idle"),
                    events.stream()
                            .map(event -> event.getString("cache"))
                            .sorted()
                            .toList());
            for (RecordedEvent event : events) {
                BusyCache shown = event.getString("cache").equals("busy") ? busy : idle;
                assertShows(event, shown.cache.stats());
            }
            assertTrue(busy.cache.stats().traffic().evictedBlocks() > 0);
            statistics.close();
            statistics.close();
            assertEquals(
                    1, record(FlightRecorderTest::enableStatistics, () -> {}).size());
            others.close();
            assertEquals(List.of(), record(FlightRecorderTest::enableStatistics, () -> {}));
        }
    }

    private static void assertShows(RecordedEvent event, CacheStats stats) {
        Traffic traffic = stats.traffic();
        assertEquals(stats.openSequences(), event.getInt("openSequences"));
        assertEquals(stats.waitingOpens(), event.getInt("waitingOpens"));
        assertEquals(stats.sessions(), event.getInt("sessions"));
        assertEquals(stats.privateBlocks(), event.getInt("privateBlocks"));
        assertEquals(stats.sharedBlocks(), event.getInt("sharedBlocks"));
        assertEquals(stats.cachedBlocks(), event.getInt("cachedBlocks"));
        assertEquals(stats.freeBlocks(), event.getInt("freeBlocks"));
        assertEquals(stats.pinnedBlocks(), event.getInt("pinnedBlocks"));
        assertEquals(stats.blockBytes(), event.getLong("blockSize"));
        assertEquals(stats.allocatedBytes(), event.getLong("allocatedMemory"));
        assertEquals(stats.maximumBytes(), event.getLong("maximumMemory"));
        assertEquals(traffic.opened(), event.getLong("opens"));
        assertEquals(traffic.promptTokens(), event.getLong("promptTokens"));
        assertEquals(traffic.hitTokens(), event.getLong("hitTokens"));
        for (MissReason reason : MissReason.values()) {
            if (reason != MissReason.NONE) {
                assertEquals(traffic.missedTokens(reason), event.getLong(camelCase(reason) + "Tokens"), "" + reason);
            }
        }
        assertEquals(traffic.adoptedTokens(), event.getLong("adoptedTokens"));
        assertEquals(traffic.loadedTokens(), event.getLong("loadedTokens"));
        assertEquals(traffic.loadedBlocks(), event.getLong("loadedBlocks"));
        assertEquals(traffic.publishedBlocks(), event.getLong("publishedBlocks"));
        assertEquals(traffic.evictedBlocks(), event.getLong("evictedBlocks"));
        assertEquals(traffic.expiredBlocks(), event.getLong("expiredBlocks"));
        assertEquals(traffic.erasedBlocks(), event.getLong("erasedBlocks"));
        assertEquals(traffic.recomputedBlocks(), event.getLong("recomputedBlocks"));
        assertEquals(Duration.ofNanos(traffic.recomputedAfterNanos()), event.getDuration("recomputedAfter"));
        assertEquals(traffic.refusals(), event.getLong("refusedReserves"));
        assertEquals(traffic.waits(), event.getLong("waits"));
        assertEquals(Duration.ofNanos(traffic.waitedNanos()), event.getDuration("waited"));
        assertEquals(traffic.timeouts(), event.getLong("waitTimeouts"));
        assertNull(event.getStackTrace());
    }

    private static String camelCase(MissReason reason) {
        StringBuilder name = new StringBuilder();
        for (String word : reason.name().toLowerCase(Locale.ROOT).split("_", -1)) {
            name.append(name.isEmpty() ? word : word.substring(0, 1).toUpperCase(Locale.ROOT) + word.substring(1));
        }
        return name.toString();
    }

    // ---- blocks ----

    private static void enableBlocks(Recording recording) {
        recording.enable(STORED);
        recording.enable(REMOVED);
        recording.enable(LOADED);
        recording.enable(OFFLOADED);
    }

    @Test
    void shouldRecordBlocksStoredAndRemovedInOrder() throws IOException, InterruptedException {
        List<CacheEvent> told = new ArrayList<>();
        FlightRecorderBlocks listener = new FlightRecorderBlocks("main");
        try (BusyCache busy = new BusyCache(event -> {
            told.add(event);
            listener.onEvent(event);
        })) {
            List<RecordedEvent> events = record(FlightRecorderTest::enableBlocks, busy::beBusy);
            assertTrue(told.size() > 20);
            assertShow(events, told);
        }
    }

    @Test
    void shouldRecordBlocksLoadedAndOffloaded() throws IOException, InterruptedException {
        List<CacheEvent> told = new ArrayList<>();
        FlightRecorderBlocks listener = new FlightRecorderBlocks("main");
        try (TieredCache tiered = new TieredCache(event -> {
            told.add(event);
            listener.onEvent(event);
        })) {
            List<RecordedEvent> events = record(FlightRecorderTest::enableBlocks, tiered::beBusy);
            assertTrue(told.stream().anyMatch(event -> event instanceof CacheEvent.Loaded));
            assertTrue(told.stream().anyMatch(event -> event instanceof CacheEvent.Offloaded));
            assertTrue(told.stream().anyMatch(event -> event instanceof CacheEvent.TierChanged));
            assertShow(events, told);
        }
    }

    private static void assertShow(List<RecordedEvent> events, List<CacheEvent> told) {
        assertEquals(told.size(), events.size());
        List<RecordedEvent> inOrder = events.stream()
                .sorted((one, two) -> Long.compare(one.getLong("number"), two.getLong("number")))
                .toList();
        for (int i = 0; i < told.size(); i++) {
            assertShows(inOrder.get(i), told.get(i));
        }
    }

    private static void assertShows(RecordedEvent event, CacheEvent told) {
        assertEquals("main", event.getString("cache"));
        assertNull(event.getStackTrace());
        String name = event.getEventType().getName();
        switch (told) {
            case CacheEvent.Stored stored -> {
                assertEquals(STORED, name);
                assertEquals(stored.number(), event.getLong("number"));
                assertEquals(stored.namespace(), event.getString("namespace"));
                assertEquals(stored.block(), event.getLong("block"));
                assertEquals(stored.parent(), event.getLong("parent"));
                assertEquals(stored.tokens().size(), event.getInt("tokens"));
            }
            case CacheEvent.Removed removed -> {
                assertEquals(REMOVED, name);
                assertEquals(removed.number(), event.getLong("number"));
                assertEquals(removed.namespace(), event.getString("namespace"));
                assertEquals(removed.block(), event.getLong("block"));
                assertEquals(removed.parent(), event.getLong("parent"));
                assertEquals(removed.cause().name(), event.getString("cause").toUpperCase(Locale.ROOT));
            }
            case CacheEvent.Loaded loaded -> {
                assertEquals(LOADED, name);
                assertEquals(loaded.number(), event.getLong("number"));
                assertEquals(loaded.namespace(), event.getString("namespace"));
                assertEquals(loaded.block(), event.getLong("block"));
                assertEquals(loaded.tier(), event.getString("tier"));
            }
            case CacheEvent.Offloaded offloaded -> {
                assertEquals(OFFLOADED, name);
                assertEquals(offloaded.number(), event.getLong("number"));
                assertEquals(offloaded.namespace(), event.getString("namespace"));
                assertEquals(offloaded.block(), event.getLong("block"));
                assertEquals(offloaded.tier(), event.getString("tier"));
            }
            case CacheEvent.TierChanged changed -> {
                assertEquals(TIER, name);
                assertEquals(changed.number(), event.getLong("number"));
                assertEquals(changed.tier(), event.getString("tier"));
                assertEquals(changed.loads(), event.getBoolean("acceptsLoads"));
                assertEquals(changed.stores(), event.getBoolean("acceptsStores"));
                assertEquals(changed.lastFailure(), event.getString("lastFailure"));
            }
            case CacheEvent.Lost lost -> throw new AssertionError("nothing was lost: " + lost);
        }
    }

    @Test
    void shouldRecordBlocksOnlyWhenAskedTo() throws IOException, InterruptedException {
        FlightRecorderBlocks listener = new FlightRecorderBlocks("main");
        try (BusyCache busy = new BusyCache(listener);
                TieredCache tiered = new TieredCache(listener)) {
            List<RecordedEvent> events = record(recording -> {}, () -> {
                busy.beBusy();
                tiered.beBusy();
                listener.onEvent(new CacheEvent.Lost(7, 9));
            });
            Set<String> names =
                    events.stream().map(event -> event.getEventType().getName()).collect(Collectors.toSet());
            assertEquals(Set.of(TIER, LOST), names);
            events = events.stream()
                    .filter(event -> event.getEventType().getName().equals(LOST))
                    .toList();
            assertEquals(1, events.size());
            assertEquals("main", events.getFirst().getString("cache"));
            assertEquals(7, events.getFirst().getLong("first"));
            assertEquals(9, events.getFirst().getLong("last"));
        }
    }

    // ---- what they are called ----

    @Test
    void shouldDescribeEveryEventAndField() {
        List<EventType> types = Stream.of(
                        BlockLoadedEvent.class,
                        BlockOffloadedEvent.class,
                        BlockRemovedEvent.class,
                        BlockStoredEvent.class,
                        CacheStatisticsEvent.class,
                        TierChangedEvent.class,
                        EventsLostEvent.class)
                .map(EventType::getEventType)
                .toList();
        assertEquals(
                List.of(LOADED, OFFLOADED, REMOVED, STORED, STATISTICS, TIER, LOST),
                types.stream().map(EventType::getName).toList());
        for (EventType type : types) {
            assertEquals(List.of("KV Cache"), type.getCategoryNames());
            assertTrue(type.getLabel().startsWith("KV "), type.getLabel());
            for (ValueDescriptor field : type.getFields()) {
                assertTrue(field.getLabel() != null, () -> type.getName() + "." + field.getName());
            }
        }
    }
}
