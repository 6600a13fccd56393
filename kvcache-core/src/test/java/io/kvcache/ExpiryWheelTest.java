package io.kvcache;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;

final class ExpiryWheelTest {
    private static final int BLOCKS = 200;

    /** A deadline is due when the tick in which it lies is over. */
    private static boolean isDue(long deadline, long now) {
        return (deadline / ExpiryWheel.TICK_NANOS + 1) * ExpiryWheel.TICK_NANOS <= now;
    }

    @Test
    void shouldHandOutExactlyWhatIsDue() {
        Random random = new Random(3);
        ExpiryWheel wheel = new ExpiryWheel();
        Map<Integer, Long> deadlines = new HashMap<>();
        long now = 0;
        int handedOut = 0;
        for (int step = 0; step < 100_000; step++) {
            int block = random.nextInt(BLOCKS);
            switch (random.nextInt(4)) {
                case 0, 1 -> {
                    long deadline = Math.max(0, now + (long) (random.nextGaussian() * 300 * ExpiryWheel.TICK_NANOS));
                    wheel.schedule(block, deadline);
                    deadlines.put(block, deadline);
                }
                case 2 -> {
                    wheel.cancel(block);
                    deadlines.remove(block);
                }
                default -> {
                    // seldom so far that the wheel turns more than once
                    now += (long)
                            (random.nextDouble() * (random.nextInt(50) == 0 ? 5000 : 20) * ExpiryWheel.TICK_NANOS);
                    handedOut += pollAll(wheel, deadlines, now, 1 + random.nextInt(10));
                }
            }
            wheel.verify();
        }
        assertTrue(handedOut > 10_000, () -> "deadlines came often enough");
    }

    private static int pollAll(ExpiryWheel wheel, Map<Integer, Long> deadlines, long now, int limit) {
        Set<Integer> expected = new HashSet<>();
        deadlines.forEach((block, deadline) -> {
            if (isDue(deadline, now)) {
                expected.add(block);
            }
        });
        Set<Integer> actual = new HashSet<>();
        int handled;
        do {
            handled = wheel.poll(now, limit, block -> assertTrue(actual.add(block), "once each"));
        } while (handled == limit);
        assertEquals(expected, actual);
        deadlines.keySet().removeAll(expected);
        return actual.size();
    }

    @Test
    void shouldFollowWhatTheHandlerChanges() {
        ExpiryWheel wheel = new ExpiryWheel();
        long tick = ExpiryWheel.TICK_NANOS;
        for (int block = 0; block < 10; block++) {
            wheel.schedule(block, 0);
        }
        Set<Integer> seen = new HashSet<>();
        int handled = wheel.poll(tick, 100, block -> {
            if (seen.add(block)) {
                wheel.schedule(block, block < 5 ? 0 : 3 * tick); // due again at once, or later
            }
        });
        assertEquals(15, handled);
        assertEquals(0, wheel.poll(3 * tick, 100, block -> {}));
        assertEquals(5, wheel.poll(4 * tick, 100, block -> wheel.cancel(block)));
    }

    @Test
    void shouldTakeManyDeadlinesInOneTick() {
        ExpiryWheel wheel = new ExpiryWheel();
        for (int block = 0; block < 1_000_000; block++) {
            wheel.schedule(block, 42);
        }
        assertEquals(300, wheel.poll(ExpiryWheel.TICK_NANOS, 300, block -> {}));
        assertEquals(999_700, wheel.poll(ExpiryWheel.TICK_NANOS, 1_000_000, block -> {}));
    }
}
