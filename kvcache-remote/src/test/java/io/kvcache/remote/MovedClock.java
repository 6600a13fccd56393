package io.kvcache.remote;

import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.agrona.concurrent.NanoClock;

/**
 * The system's clock, which a test puts forward in place of waiting.
 *
 * <p>Thread-safe.
 */
final class MovedClock implements NanoClock {
    private final AtomicLong moved = new AtomicLong();

    void advanceMillis(long millis) {
        moved.addAndGet(TimeUnit.MILLISECONDS.toNanos(millis));
    }

    @Override
    public long nanoTime() {
        return System.nanoTime() + moved.get();
    }
}
