package io.kvcache.bench;

import java.util.EnumMap;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import org.HdrHistogram.Histogram;
import org.HdrHistogram.SingleWriterRecorder;

/**
 * Takes the times of one thread's operations, to within 1 %. Recording allocates nothing.
 *
 * <p>Thread-safe: one thread records, one collects.
 */
final class LatencyRecorder {
    private static final int DIGITS = 2;
    private static final long LONGEST = TimeUnit.MINUTES.toNanos(10);

    private final Map<TimedOperation, Times> times = new EnumMap<>(TimedOperation.class);

    private static final class Times {
        final SingleWriterRecorder recorder = new SingleWriterRecorder(LONGEST, DIGITS);
        Histogram collected = recorder.getIntervalHistogram(); // used again
    }

    LatencyRecorder() {
        for (TimedOperation operation : TimedOperation.values()) {
            times.put(operation, new Times());
        }
    }

    private Times times(TimedOperation operation) {
        return Objects.requireNonNull(times.get(operation));
    }

    static Histogram newHistogram() {
        return new Histogram(LONGEST, DIGITS);
    }

    /** Takes an operation that began at a reading of the clock and ends now. */
    void record(TimedOperation operation, long beganNanos) {
        times(operation).recorder.recordValue(Math.min(LONGEST, System.nanoTime() - beganNanos));
    }

    /** Adds what was recorded since the last call. */
    void collect(TimedOperation operation, Histogram into) {
        Times ofOperation = times(operation);
        ofOperation.collected = ofOperation.recorder.getIntervalHistogram(ofOperation.collected);
        into.add(ofOperation.collected);
    }
}
