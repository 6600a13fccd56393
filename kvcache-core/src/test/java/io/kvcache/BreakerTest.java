package io.kvcache;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayDeque;
import java.util.Random;
import org.junit.jupiter.api.Test;

final class BreakerTest {
    private static final long MILLISECOND = 1_000_000;

    private final Breaker breaker = new Breaker();

    @Test
    void shouldPauseAfterFiveFailuresInARow() {
        for (int i = 0; i < 4; i++) {
            breaker.failed(0);
        }
        breaker.succeeded();
        for (int i = 0; i < 4; i++) {
            breaker.failed(0);
        }
        assertTrue(breaker.isClosed());
        breaker.failed(0);
        assertFalse(breaker.isClosed());
        assertEquals(1, breaker.pauses());
    }

    @Test
    void shouldPauseAfterTenFailuresAmongTwentyCalls() {
        Random random = new Random(7);
        for (int episode = 0; episode < 1000; episode++) {
            Breaker fresh = new Breaker();
            ArrayDeque<Boolean> last = new ArrayDeque<>();
            int inARow = 0;
            for (int call = 0; call < 200; call++) {
                boolean fails = random.nextInt(100) < 35;
                last.addLast(fails);
                if (last.size() > 20) {
                    last.removeFirst();
                }
                inARow = fails ? inARow + 1 : 0;
                if (fails) {
                    fresh.failed(0);
                } else {
                    fresh.succeeded();
                }
                boolean pauses = fails
                        && (inARow >= 5
                                || last.stream().filter(failed -> failed).count() >= 10);
                assertEquals(!pauses, fresh.isClosed());
                if (pauses) {
                    break;
                }
            }
        }
    }

    @Test
    void shouldLetOneProbeThroughAtATimeAndBackOff() {
        for (int i = 0; i < 5; i++) {
            breaker.failed(0);
        }
        assertFalse(breaker.enter(249 * MILLISECOND));
        assertTrue(breaker.enter(250 * MILLISECOND));
        assertFalse(breaker.enter(250 * MILLISECOND), "one probe at a time");
        breaker.failed(260 * MILLISECOND);
        assertFalse(breaker.admits(759 * MILLISECOND));
        assertTrue(breaker.enter(760 * MILLISECOND), "500 ms");
        breaker.failed(760 * MILLISECOND);
        assertFalse(breaker.enter(1259 * MILLISECOND));
        assertTrue(breaker.enter(1260 * MILLISECOND), "no longer than 500 ms");
        assertTrue(breaker.enter(1760 * MILLISECOND), "a probe that never ends does not keep others out for ever");
        breaker.leave(1770 * MILLISECOND);
        assertTrue(breaker.enter(1770 * MILLISECOND), "one that found out nothing makes room at once");
        breaker.succeeded();
        assertTrue(breaker.isClosed());
        for (int i = 0; i < 4; i++) {
            breaker.failed(2000 * MILLISECOND);
        }
        assertTrue(breaker.isClosed(), "the past is forgotten");
        assertEquals(1, breaker.pauses());
    }
}
