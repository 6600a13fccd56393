package io.kvcache.tiers;

import io.kvcache.BlockNote;
import java.util.concurrent.TimeUnit;

/**
 * When blocks are over.
 *
 * <p>Thread-safe: has no state.
 */
final class Expiry {
    static final long NEVER = Long.MAX_VALUE;

    private Expiry() {}

    /** The first millisecond since 1970 in which {@link BlockNote#isExpired} holds, or {@link #NEVER}. */
    static long millis(BlockNote note) {
        long ttlNanos = note.retention().ttlNanos();
        if (ttlNanos == 0) {
            return NEVER;
        }
        long millis = TimeUnit.NANOSECONDS.toMillis(ttlNanos - 1) + 1; // rounded up
        return note.storedAtMillis() > NEVER - millis ? NEVER : note.storedAtMillis() + millis;
    }
}
