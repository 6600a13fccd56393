package io.kvcache;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * The last events of a cache, to be read again from any number on: by those who tell others, and by those who were
 * away. Whoever has been away for longer than the journal reaches back begins again with {@link KvCache#contents}, and
 * goes on behind its number.
 *
 * <pre>{@code
 * EventJournal journal = new EventJournal(1 << 16);
 * KvCache cache = KvCache.builder(layout).maximumBytes(bytes).listener(journal, Runnable::run).build();
 * CacheContents contents = cache.contents();
 * List<CacheEvent> events = journal.after(contents.number(), 1000);
 * }</pre>
 *
 * <p>It is quick enough to run in the thread that has caused an event. An event takes about 100 bytes of heap, and four
 * for each token of a stored block. Tokens stay in it until as many events have come after them, also when their
 * namespace is erased.
 *
 * <p>Thread-safe.
 */
public final class EventJournal implements CacheListener {
    // A ring: event n lies at n modulo capacity. It holds those from first to last, without a gap; or none, and
    // first = last + 1.
    private final @Nullable CacheEvent[] ring;
    private long first = 1;
    private long last;
    private int waiting; // threads

    /**
     * Makes an empty journal for one cache.
     *
     * @param capacity events that it holds at most, the last ones
     * @throws IllegalArgumentException if the capacity is not positive
     */
    public EventJournal(int capacity) {
        if (capacity <= 0) {
            throw new IllegalArgumentException("must be positive: capacity=" + capacity);
        }
        ring = new CacheEvent[capacity];
    }

    /**
     * Takes the next event in. A {@link CacheEvent.Lost} is not kept: it makes a gap, like an event whose predecessor
     * has not come.
     *
     * @param event with a greater number than any before
     * @throws IllegalStateException if its number is not greater: the journal listens to two caches
     */
    @Override
    public synchronized void onEvent(CacheEvent event) {
        long number = event.number();
        if (number <= last) {
            throw new IllegalStateException("events come in order, of one cache: number=" + number + " last=" + last);
        }
        if (event instanceof CacheEvent.Lost) {
            forgetUpTo(number);
        } else {
            if (number > last + 1) {
                forgetUpTo(number - 1);
            }
            ring[(int) (number % ring.length)] = event;
            last = number;
            first = Math.max(first, last - ring.length + 1);
        }
        if (waiting > 0) {
            notifyAll();
        }
    }

    private void forgetUpTo(long number) {
        Arrays.fill(ring, null);
        last = number;
        first = number + 1;
    }

    /**
     * Returns the events behind a number, without a gap.
     *
     * @param number of the last event that is known already; may be ahead of the journal, which is told a little later
     * @param limit events to return, at most
     * @return [0..limit] the events, in order; null: there is a gap, as the next one is not in the journal any more, or
     *     was lost
     * @throws IllegalArgumentException if the limit is not positive
     */
    public synchronized @Nullable List<CacheEvent> after(long number, int limit) {
        if (limit <= 0) {
            throw new IllegalArgumentException("must be positive: limit=" + limit);
        }
        if (number < first - 1) {
            return null;
        }
        int count = (int) Math.min(limit, Math.max(0, last - number));
        List<CacheEvent> events = new ArrayList<>(count);
        for (long next = number + 1; next <= number + count; next++) {
            events.add(Objects.requireNonNull(ring[(int) (next % ring.length)]));
        }
        return events;
    }

    /**
     * Returns the number of the last event.
     *
     * @return its number, a lost one's too; 0: none yet
     */
    public synchronized long last() {
        return last;
    }

    /**
     * Waits for an event behind a number.
     *
     * @param number of the last event that is known already
     * @param patience how long to wait at most; zero or less: not at all
     * @return whether there is one, be it a lost one
     * @throws InterruptedException if the thread is interrupted while it waits
     */
    public synchronized boolean await(long number, Duration patience) throws InterruptedException {
        long nanos = TimeUnit.NANOSECONDS.convert(patience); // as many as a long counts
        long start = System.nanoTime();
        waiting++;
        try {
            for (long left = nanos; last <= number && left > 0; left = nanos - (System.nanoTime() - start)) {
                TimeUnit.NANOSECONDS.timedWait(this, left);
            }
        } finally {
            waiting--;
        }
        return last > number;
    }
}
