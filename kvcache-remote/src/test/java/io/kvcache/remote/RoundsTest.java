package io.kvcache.remote;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

final class RoundsTest {
    /** Fails in some rounds, and ends after the last one. */
    private static final class Flapping implements Rounds.Work {
        private final String fails; // round by round: x fails, r throws, anything else goes well
        private final AtomicInteger rounds = new AtomicInteger();
        private final AtomicInteger disconnects = new AtomicInteger();
        private final CountDownLatch ended = new CountDownLatch(1);

        Flapping(String fails) {
            this.fails = fails;
        }

        @Override
        public boolean round(Duration patience) throws IOException {
            int round = rounds.getAndIncrement();
            if (round == fails.length()) {
                return false;
            }
            if (fails.charAt(round) == 'x') {
                throw new IOException("server is away: round=" + round);
            }
            if (fails.charAt(round) == 'r') {
                throw new IllegalStateException("entry is malformed: round=" + round);
            }
            return true;
        }

        @Override
        public void disconnect() {
            disconnects.incrementAndGet();
        }

        @Override
        public void close() {
            ended.countDown();
        }
    }

    @Test
    void shouldWarnOnceForFailuresInARow() throws InterruptedException {
        Flapping work = new Flapping("..xrx..x.");
        try (Warnings warnings = new Warnings()) {
            Rounds rounds = Rounds.start("a test", work);
            assertTrue(work.ended.await(20, TimeUnit.SECONDS));
            rounds.close();
            assertEquals(10, work.rounds.get());
            assertEquals(4, work.disconnects.get(), "after each failure");
            assertEquals(
                    List.of(
                            "a test fails, and goes on trying: server is away: round=2",
                            "a test fails, and goes on trying: server is away: round=7"),
                    warnings.messages());
        }
    }

    @Test
    void shouldEndWhoeverWaits() throws InterruptedException {
        CountDownLatch waits = new CountDownLatch(1);
        CountDownLatch closed = new CountDownLatch(1);
        Rounds rounds = Rounds.start("a test", new Rounds.Work() {
            @Override
            public boolean round(Duration patience) throws InterruptedException {
                waits.countDown();
                new CountDownLatch(1).await();
                return true;
            }

            @Override
            public void disconnect() {}

            @Override
            public void close() {
                closed.countDown();
            }
        });
        assertTrue(waits.await(20, TimeUnit.SECONDS));
        rounds.close();
        assertEquals(0, closed.getCount(), "and waits for that");
        assertFalse(Thread.currentThread().isInterrupted());
    }
}
