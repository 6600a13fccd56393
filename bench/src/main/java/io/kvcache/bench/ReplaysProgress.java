package io.kvcache.bench;

import java.io.PrintWriter;
import java.util.concurrent.TimeUnit;
import org.agrona.concurrent.NanoClock;

/**
 * Says, at most once a second, how many replays are done.
 *
 * <p>Thread-safe: guarded by its own lock.
 */
final class ReplaysProgress implements Replays.Listener {
    private static final long INTERVAL_NANOS = TimeUnit.SECONDS.toNanos(1);

    private final NanoClock clock;
    private final PrintWriter out;
    private long last;
    private int replays;

    ReplaysProgress(NanoClock clock, PrintWriter out) {
        this.clock = clock;
        this.out = out;
        this.last = clock.nanoTime();
    }

    @Override
    public synchronized void replayed(Replays.Setup setup, long hitBlocks) {
        replays++;
        long now = clock.nanoTime();
        if (now - last >= INTERVAL_NANOS) {
            last = now;
            out.println("replayed " + replays + " times, at last with room for " + setup.blocks() + " blocks: "
                    + setup.policy().label() + " hit " + hitBlocks);
        }
    }
}
