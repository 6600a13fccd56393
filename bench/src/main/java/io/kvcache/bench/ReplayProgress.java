package io.kvcache.bench;

import java.io.PrintWriter;
import java.util.concurrent.TimeUnit;
import java.util.function.IntConsumer;
import org.agrona.concurrent.NanoClock;

/**
 * Says every second how far a replay is.
 *
 * <p>Not thread-safe.
 */
final class ReplayProgress implements IntConsumer {
    private static final long INTERVAL_NANOS = TimeUnit.SECONDS.toNanos(1);

    private final int requests;
    private final NanoClock clock;
    private final PrintWriter out;
    private long last;

    ReplayProgress(int requests, NanoClock clock, PrintWriter out) {
        this.requests = requests;
        this.clock = clock;
        this.out = out;
        this.last = clock.nanoTime();
    }

    @Override
    public void accept(int done) {
        long now = clock.nanoTime();
        if (now - last >= INTERVAL_NANOS) {
            last = now;
            out.println("replayed " + done + " of " + requests + " requests");
        }
    }
}
