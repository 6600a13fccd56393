package io.kvcache;

import org.jspecify.annotations.Nullable;

/**
 * A sequence stored by key: its tokens and references to its blocks, the last, partly filled one included.
 *
 * <p>Not thread-safe: guarded by the lock of the {@link SequencePool}.
 */
final class Session {
    private static final long NEVER = Long.MAX_VALUE;

    /** Names it in the expiry wheel; kept when the object is used again. */
    final int id;

    final BlockTable table;
    String key = "";
    int priority;
    private long ttl; // 0: none
    private boolean sinceFirstUse;
    long expiry = NEVER;

    long use; // its last one, counted over all sessions

    // Its neighbours among the sessions of the same partition and priority.
    @Nullable
    Session older;

    @Nullable
    Session newer;

    Session(int id, BlockTable table) {
        this.id = id;
        this.table = table;
    }

    Partition partition() {
        return table.root().partition;
    }

    /**
     * Starts it anew.
     *
     * @param life 0 to 1, the part of the time to live that jitter leaves
     */
    void start(String newKey, Retention retention, double life, long now) {
        key = newKey;
        priority = retention.priority();
        ttl = retention.ttlNanos() == 0 ? 0 : Math.max(1, (long) (retention.ttlNanos() * life));
        sinceFirstUse = retention.ttlSinceFirstUse();
        expiry = end(now);
    }

    /** Says that it was used, as the {@code newUse}-th of all: a time to live from the last use begins anew. */
    void used(long newUse, long now) {
        use = newUse;
        expiry = sinceFirstUse ? expiry : end(now);
    }

    boolean isOver(long now) {
        return expiry <= now;
    }

    /** Whether it is to be given up before another one. */
    boolean goesBefore(Session other) {
        return priority != other.priority ? priority < other.priority : use < other.use;
    }

    private long end(long now) {
        return ttl == 0 || ttl > NEVER - now ? NEVER : now + ttl;
    }
}
