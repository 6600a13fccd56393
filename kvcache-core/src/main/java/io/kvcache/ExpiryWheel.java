package io.kvcache;

import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import java.util.function.IntConsumer;
import org.agrona.DeadlineTimerWheel;
import org.agrona.collections.Long2LongHashMap;

/**
 * Deadlines of blocks, on Agrona's timer wheel.
 *
 * <p>Not thread-safe: guarded by the lock of the {@link SequencePool}.
 */
final class ExpiryWheel {
    // The wheel holds one timer for each tick in which anything is due, and the blocks due in it form a list. With a
    // timer for each block, 100,000 deadlines in one tick (a warm-up without jitter) would be searched one by one, and
    // the wheel has as many places in every tick as in the fullest.
    private static final int TICK_SHIFT = 27;
    private static final int TICKS = 512;
    private static final long NEVER = Long.MAX_VALUE;
    private static final long NO_TICK = Long.MIN_VALUE;
    private static final long NO_TIMER = Long.MIN_VALUE;
    private static final int NONE = BlockPool.NONE;

    /** Length of a tick: about an eighth of a second. */
    static final long TICK_NANOS = 1L << TICK_SHIFT;

    private final DeadlineTimerWheel wheel;
    private final Long2LongHashMap firstOfTick = new Long2LongHashMap(NONE);
    private final Long2LongHashMap timerOfTick = new Long2LongHashMap(NO_TIMER);
    private final Long2LongHashMap tickOfTimer = new Long2LongHashMap(NO_TICK);
    private final DeadlineTimerWheel.TimerHandler whenDue = this::begin;

    // [blocks]
    private long[] ticks = new long[0]; // NO_TICK: no deadline
    private int[] next = new int[0];
    private int[] previous = new int[0];

    private long dueTick = NO_TICK; // its timer has fired; the blocks left in its list come next

    ExpiryWheel() {
        wheel = new DeadlineTimerWheel(TimeUnit.NANOSECONDS, 0, TICK_NANOS, TICKS);
    }

    /** Gives a block a deadline, in nanoseconds, in place of the one it had; {@link Long#MAX_VALUE} means none. */
    void schedule(int block, long deadline) {
        ensureCapacity(block);
        long tick = deadline == NEVER ? NO_TICK : deadline >> TICK_SHIFT;
        if (tick != ticks[block]) {
            cancel(block);
            if (tick != NO_TICK) {
                link(block, tick);
            }
        }
    }

    private void link(int block, long tick) {
        int first = (int) firstOfTick.get(tick);
        ticks[block] = tick;
        next[block] = first;
        previous[block] = NONE;
        firstOfTick.put(tick, block);
        if (first != NONE) {
            previous[first] = block;
        } else {
            long timer = wheel.scheduleTimer((tick + 1) << TICK_SHIFT); // its end
            timerOfTick.put(tick, timer);
            tickOfTimer.put(timer, tick);
        }
    }

    /** Takes a block's deadline away, if it has one. */
    void cancel(int block) {
        if (block >= ticks.length || ticks[block] == NO_TICK) {
            return;
        }
        long tick = ticks[block];
        int before = previous[block];
        int after = next[block];
        ticks[block] = NO_TICK;
        if (after != NONE) {
            previous[after] = before;
        }
        if (before != NONE) {
            next[before] = after;
        } else if (after != NONE) {
            firstOfTick.put(tick, after);
        } else {
            firstOfTick.remove(tick);
            long timer = timerOfTick.remove(tick);
            if (timer != NO_TIMER) {
                tickOfTimer.remove(timer);
                wheel.cancelTimer(timer);
            }
        }
    }

    /**
     * Hands out blocks whose tick is over, without their deadlines. The handler may give them new ones, and may cancel others.
     * Takes time in proportion to the blocks handed out and the ticks passed, at most one round of the wheel.
     *
     * @param limit blocks to hand out at most
     * @return blocks handed out; fewer than the limit when no more are due
     */
    int poll(long now, int limit, IntConsumer handler) {
        wheel.currentTickTime(now - TICKS * TICK_NANOS); // every timer is found within a round from here
        int handled = 0;
        while (handled < limit && hasDue(now)) {
            int block = (int) firstOfTick.get(dueTick);
            cancel(block);
            handler.accept(block);
            handled++;
        }
        return handled;
    }

    private boolean hasDue(long now) {
        while (dueTick == NO_TICK || firstOfTick.get(dueTick) == NONE) {
            dueTick = NO_TICK;
            long before = wheel.currentTickTime();
            int fired = wheel.poll(now, whenDue, 1);
            if (fired == 0 && wheel.currentTickTime() == before) {
                return false;
            }
        }
        return true;
    }

    private boolean begin(TimeUnit unit, long now, long timer) {
        dueTick = tickOfTimer.remove(timer);
        timerOfTick.remove(dueTick);
        return true;
    }

    /** Checks that every list is where its blocks say. */
    void verify() {
        int listed = 0;
        int scheduled = 0;
        for (int block = 0; block < ticks.length; block++) {
            if (ticks[block] != NO_TICK) {
                scheduled++;
                if (previous[block] == NONE) {
                    for (int other = (int) firstOfTick.get(ticks[block]); other != NONE; other = next[other]) {
                        listed++;
                    }
                }
            }
        }
        if (listed != scheduled) {
            throw new IllegalStateException("invariant broken: every deadline is in the list of its tick: listed="
                    + listed + " scheduled=" + scheduled);
        }
    }

    private void ensureCapacity(int block) {
        int old = ticks.length;
        if (block >= old) {
            int capacity = (int) Math.min(Math.max(block + 64L, old * 3L / 2), Integer.MAX_VALUE - 8);
            ticks = Arrays.copyOf(ticks, capacity);
            Arrays.fill(ticks, old, capacity, NO_TICK);
            next = Arrays.copyOf(next, capacity);
            previous = Arrays.copyOf(previous, capacity);
        }
    }
}
