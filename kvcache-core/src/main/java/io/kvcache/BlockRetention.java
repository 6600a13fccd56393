package io.kvcache;

import java.util.Arrays;
import java.util.function.IntConsumer;

/**
 * How firmly each published block stays: its priority, and when that or the block itself comes to its end. Memory for times is
 * taken only once a retention has any.
 *
 * <p>Not thread-safe: guarded by the lock of the {@link SequencePool}.
 */
final class BlockRetention {
    private static final long NEVER = Long.MAX_VALUE;

    private byte[] priorities = new byte[0];
    private boolean[] notContinued = new boolean[0];

    private final ExpiryWheel wheel = new ExpiryWheel();

    // [blocks], empty while no retention had an end
    private long[] ttls = new long[0]; // since the last release; 0: none
    private long[] expiries = new long[0];
    private long[] priorityEnds = new long[0];

    /** The band of a block among leaves: see {@link LeafGroups}. */
    int band(int block) {
        return notContinued[block] ? LeafGroups.NOT_CONTINUED : LeafGroups.bandOf(priorities[block]);
    }

    /**
     * Gives a referenced block a retention in place of the one it had.
     *
     * @param life 0 to 1, the part of the time to live that jitter leaves
     */
    void give(int block, Retention retention, double life, long now) {
        ensureCapacity(block);
        priorities[block] = (byte) retention.priority();
        notContinued[block] = false;
        if (retention.ttlNanos() > 0 || retention.priorityNanos() > 0) {
            ensureTimes();
        }
        if (block < expiries.length) {
            long ttl = (long) (retention.ttlNanos() * life);
            boolean firstUse = retention.ttlSinceFirstUse();
            ttls[block] = firstUse || retention.ttlNanos() == 0 ? 0 : Math.max(1, ttl);
            expiries[block] = firstUse ? later(now, ttl) : NEVER;
            priorityEnds[block] = retention.priorityNanos() == 0 ? NEVER : later(now, retention.priorityNanos());
            wheel.schedule(block, Math.min(expiries[block], priorityEnds[block]));
        }
    }

    private static long later(long now, long nanos) {
        return nanos > NEVER / 2 - now ? NEVER : now + nanos; // beyond 146 years
    }

    /** Says that a block has lost its last reference: a time to live from the last use begins. */
    void released(int block, long now) {
        if (block < ttls.length && ttls[block] > 0) {
            expiries[block] = later(now, ttls[block]);
            wheel.schedule(block, Math.min(expiries[block], priorityEnds[block]));
        }
    }

    /** Says that a cached block is referenced again: it will be continued, and does not expire while it is in use. */
    void referenced(int block) {
        notContinued[block] = false;
        if (block < ttls.length && ttls[block] > 0) {
            expiries[block] = NEVER; // the wheel may look at it for nothing: cheaper than to move it with every use
        }
    }

    /** Says that nobody will continue a block's path: it goes first. It is still referenced. */
    void doNotContinue(int block) {
        notContinued[block] = true;
    }

    /** What is left of a published block's retention: no jitter, which is drawn already, and no pin. */
    Retention left(int block, long now) {
        if (block >= expiries.length) {
            return new Retention(priorities[block], 0, 0, false, 0, false);
        }
        boolean sinceFirstUse = ttls[block] == 0 && expiries[block] != NEVER;
        return new Retention(
                priorities[block],
                priorityEnds[block] == NEVER ? 0 : Math.max(1, priorityEnds[block] - now),
                sinceFirstUse ? Math.max(1, expiries[block] - now) : ttls[block],
                sinceFirstUse,
                0,
                false);
    }

    boolean isExpired(int block, long now) {
        return block < expiries.length && expiries[block] <= now;
    }

    boolean isPriorityOver(int block, long now) {
        return block < priorityEnds.length && priorityEnds[block] <= now;
    }

    /** Takes another priority, for good. */
    void changePriority(int block, int priority) {
        priorities[block] = (byte) priority;
        priorityEnds[block] = NEVER;
    }

    /** Hands out blocks whose expiry or end of priority may have come; see {@link ExpiryWheel#poll}. */
    int poll(long now, int limit, IntConsumer handler) {
        return wheel.poll(now, limit, handler);
    }

    /** Looks at a block again when its next end comes. */
    void reschedule(int block) {
        wheel.schedule(block, Math.min(expiries[block], priorityEnds[block]));
    }

    /** Says that a block is published no more. */
    void forget(int block) {
        if (block < expiries.length) {
            ttls[block] = 0;
            expiries[block] = NEVER;
            priorityEnds[block] = NEVER;
            wheel.cancel(block);
        }
    }

    void verify() {
        wheel.verify();
    }

    private void ensureCapacity(int block) {
        if (block >= priorities.length) {
            int capacity = (int) Math.min(Math.max(block + 64L, priorities.length * 3L / 2), Integer.MAX_VALUE - 8);
            priorities = Arrays.copyOf(priorities, capacity);
            notContinued = Arrays.copyOf(notContinued, capacity);
            if (expiries.length > 0) {
                ensureTimes();
            }
        }
    }

    private void ensureTimes() {
        int old = expiries.length;
        int capacity = priorities.length;
        if (old < capacity) {
            ttls = Arrays.copyOf(ttls, capacity);
            expiries = Arrays.copyOf(expiries, capacity);
            priorityEnds = Arrays.copyOf(priorityEnds, capacity);
            Arrays.fill(expiries, old, capacity, NEVER);
            Arrays.fill(priorityEnds, old, capacity, NEVER);
        }
    }
}
