package io.kvcache.metrics;

import java.util.BitSet;
import java.util.function.Function;
import org.agrona.concurrent.NanoClock;
import org.jspecify.annotations.Nullable;

/**
 * Takes snapshots of a source for many readers, such that all of them see the same one in each pass over them.
 *
 * <p>A registry reads its meters one after the other, in any order and at any time, and does not say when it begins. So a
 * snapshot is taken anew when a reader comes for the second time: that is the next pass. Some registries skip readers, and
 * some are read by two scrapers at a time; the worst that comes of that is a snapshot more than needed, or, after a
 * pause, one that is {@value #MAXIMUM_AGE_NANOS} ns old.
 *
 * <p>Thread-safe.
 *
 * @param <T> what snapshots are taken of; never kept
 * @param <S> a snapshot
 */
final class Snapshots<T, S> {
    /** A pass takes milliseconds: what is older belongs to one that is over. */
    static final long MAXIMUM_AGE_NANOS = 1_000_000_000; // 1 s

    private final Function<T, S> take;
    private final NanoClock clock;
    private final BitSet readers = new BitSet(); // that have seen the latest
    private int known;
    private @Nullable S latest;
    private long takenAt;

    Snapshots(Function<T, S> take, NanoClock clock) {
        this.take = take;
        this.clock = clock;
    }

    /** Returns the number of one more reader. */
    synchronized int newReader() {
        return known++;
    }

    /**
     * Returns a snapshot that this reader has not seen.
     *
     * @param reader its number, from 0
     */
    synchronized S next(T source, int reader) {
        S snapshot = latest;
        if (snapshot == null || readers.get(reader) || clock.nanoTime() - takenAt > MAXIMUM_AGE_NANOS) {
            snapshot = take.apply(source);
            latest = snapshot;
            takenAt = clock.nanoTime();
            readers.clear();
        }
        readers.set(reader);
        return snapshot;
    }
}
