package io.kvcache.bench;

import java.util.EnumMap;
import java.util.Map;
import java.util.Objects;
import org.HdrHistogram.Histogram;

/**
 * What was measured in a part of a run.
 *
 * <p>Not thread-safe.
 */
final class SteadyInterval {
    private final Map<TimedOperation, Histogram> nanos = new EnumMap<>(TimedOperation.class);
    double seconds;
    long garbageBytes;
    long collections;
    long collectionMillis;
    long residentBytes; // at the end, like those below
    long nativeBytes;
    long heapBytes;

    /** Makes one with nothing in it yet; later no memory is needed. */
    SteadyInterval() {
        for (TimedOperation operation : TimedOperation.values()) {
            nanos.put(operation, LatencyRecorder.newHistogram());
        }
    }

    /** All of some consecutive ones. */
    static SteadyInterval all(Iterable<SteadyInterval> parts) {
        SteadyInterval all = new SteadyInterval();
        for (SteadyInterval part : parts) {
            for (TimedOperation operation : TimedOperation.values()) {
                all.nanos(operation).add(part.nanos(operation));
            }
            all.seconds += part.seconds;
            all.garbageBytes += part.garbageBytes;
            all.collections += part.collections;
            all.collectionMillis += part.collectionMillis;
            all.residentBytes = part.residentBytes;
            all.nativeBytes = part.nativeBytes;
            all.heapBytes = part.heapBytes;
        }
        return all;
    }

    Histogram nanos(TimedOperation operation) {
        return Objects.requireNonNull(nanos.get(operation));
    }

    /** Operations of a kind. */
    long count(TimedOperation operation) {
        return nanos(operation).getTotalCount();
    }

    /** Calls of the cache that were timed. */
    long calls() {
        return count(TimedOperation.OPEN) + count(TimedOperation.RESERVE) + count(TimedOperation.COMMIT);
    }

    double requestsPerSecond() {
        return count(TimedOperation.REQUEST) / seconds;
    }

    /** What the threads allocated on the Java heap, shared out among their requests; not a number where there was none. */
    double garbageBytesPerRequest() {
        return count(TimedOperation.REQUEST) == 0 ? Double.NaN : (double) garbageBytes / count(TimedOperation.REQUEST);
    }

    /** The time that so many of a hundred operations do not exceed; 0 where there was none. */
    double micros(TimedOperation operation, double percentile) {
        return nanos(operation).getValueAtPercentile(percentile) / 1e3;
    }
}
