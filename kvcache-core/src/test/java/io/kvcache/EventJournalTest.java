package io.kvcache;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;

final class EventJournalTest {
    private static final Duration MINUTE = Duration.ofMinutes(1);

    private final EventJournal journal = new EventJournal(4);

    private static CacheEvent event(long number) {
        return new CacheEvent.Removed(number, "a", number, CacheEvent.NO_PARENT, RemovalCause.CAPACITY);
    }

    private void take(long first, long last) {
        LongStream.rangeClosed(first, last).mapToObj(EventJournalTest::event).forEach(journal::onEvent);
    }

    private List<CacheEvent> after(long number, int limit) {
        return Objects.requireNonNull(journal.after(number, limit));
    }

    private static List<CacheEvent> events(long first, long last) {
        return LongStream.rangeClosed(first, last)
                .mapToObj(EventJournalTest::event)
                .toList();
    }

    @Test
    void shouldReplayFromANumber() {
        assertEquals(List.of(), after(0, 10));
        take(1, 3);
        assertEquals(events(1, 3), after(0, 10));
        assertEquals(events(2, 3), after(1, 10));
        assertEquals(events(2, 2), after(1, 1), "at most as many as asked for");
        assertEquals(List.of(), after(3, 10));
        assertEquals(List.of(), after(9, 10), "a number that the journal has not heard of yet");
        assertEquals(3, journal.last());
    }

    @Test
    void shouldKeepTheLastEventsAndSayThereIsAGapBeforeThem() {
        take(1, 9);
        assertNull(journal.after(0, 10));
        assertNull(journal.after(4, 1), "the next would be event 5");
        assertEquals(events(6, 9), after(5, 10));
        assertEquals(events(9, 9), after(8, 10));
    }

    @Test
    void shouldMakeAGapOfLostEvents() {
        take(1, 3);
        journal.onEvent(new CacheEvent.Lost(4, 7));
        assertNull(journal.after(3, 10));
        assertNull(journal.after(5, 10), "a number in the gap: 6 and 7 are lost");
        assertEquals(List.of(), after(7, 10));
        assertEquals(7, journal.last());
        take(8, 9);
        assertNull(journal.after(6, 10));
        assertEquals(events(8, 9), after(7, 10));
    }

    @Test
    void shouldMakeAGapOfWhatHasNotCome() {
        take(1, 2);
        take(5, 5);
        assertNull(journal.after(2, 10));
        assertNull(journal.after(3, 10));
        assertEquals(events(5, 5), after(4, 10));
    }

    @Test
    void shouldRefuseTheEventsOfAnotherCache() {
        take(1, 3);
        IllegalStateException again = assertThrows(IllegalStateException.class, () -> take(3, 3));
        assertEquals("events come in order, of one cache: number=3 last=3", again.getMessage());
        assertEquals(events(1, 3), after(0, 10), "nothing has changed");
    }

    @Test
    void shouldNameWhatIsWrong() {
        assertEquals(
                "must be positive: capacity=0",
                assertThrows(IllegalArgumentException.class, () -> new EventJournal(0))
                        .getMessage());
        assertEquals(
                "must be positive: limit=0",
                assertThrows(IllegalArgumentException.class, () -> journal.after(0, 0))
                        .getMessage());
    }

    @Test
    void shouldWakeWhoWaitsForAnEvent() throws Exception {
        assertFalse(journal.await(0, Duration.ZERO));
        assertFalse(journal.await(0, Duration.ofNanos(-1)));
        assertFalse(journal.await(0, Duration.ofNanos(1)));
        try (ExecutorService thread = Executors.newSingleThreadExecutor()) {
            Future<Boolean> first = thread.submit(() -> journal.await(0, MINUTE));
            take(1, 1);
            assertTrue(first.get());
            Future<Boolean> lost = thread.submit(() -> journal.await(1, MINUTE));
            journal.onEvent(new CacheEvent.Lost(2, 5));
            assertTrue(lost.get(), "or of its loss");
        }
        assertTrue(journal.await(4, Duration.ZERO));
        assertFalse(journal.await(5, Duration.ZERO));
    }

    @Test
    void shouldGiveEveryReaderEverythingOrAGap() throws Exception {
        EventJournal small = new EventJournal(100);
        try (ExecutorService threads = Executors.newFixedThreadPool(3)) {
            List<Future<Long>> readers = new ArrayList<>();
            for (int reader = 0; reader < 3; reader++) {
                Random random = new Random(reader);
                readers.add(threads.submit(() -> read(small, 100_000, random)));
            }
            LongStream.rangeClosed(1, 100_000).mapToObj(EventJournalTest::event).forEach(small::onEvent);
            for (Future<Long> reader : readers) {
                assertEquals(100_000, reader.get());
            }
        }
    }

    /** Reads up to a number, and goes on where the journal ends if there is a gap. */
    private static long read(EventJournal journal, long end, Random random) throws InterruptedException {
        long number = 0;
        while (number < end && journal.await(number, MINUTE)) {
            List<CacheEvent> events = journal.after(number, 1 + random.nextInt(50));
            if (events == null) {
                number = journal.last();
            } else {
                for (CacheEvent event : events) {
                    assertEquals(event(++number), event);
                }
            }
        }
        return number;
    }
}
