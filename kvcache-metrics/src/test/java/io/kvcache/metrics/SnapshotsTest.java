package io.kvcache.metrics;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

final class SnapshotsTest {
    private final AtomicLong nanos = new AtomicLong();
    private final AtomicInteger source = new AtomicInteger();
    private final Snapshots<AtomicInteger, Integer> snapshots =
            new Snapshots<>(AtomicInteger::incrementAndGet, nanos::get);

    @Test
    void shouldTakeOneSnapshotForAllReadersOfAPass() {
        for (int pass = 1; pass <= 3; pass++) {
            for (int reader = 0; reader < 70; reader++) {
                assertEquals(pass, snapshots.next(source, reader));
            }
        }
        assertEquals(3, source.get());
    }

    @Test
    void shouldTakeAnotherWhenAReaderComesAgain() {
        assertEquals(1, snapshots.next(source, 5));
        assertEquals(2, snapshots.next(source, 5));
        assertEquals(2, snapshots.next(source, 4));
        assertEquals(3, snapshots.next(source, 4));
        assertEquals(3, snapshots.next(source, 5));
    }

    @Test
    void shouldNotShowALateReaderAnOldSnapshot() {
        assertEquals(1, snapshots.next(source, 0));
        nanos.addAndGet(Snapshots.MAXIMUM_AGE_NANOS);
        assertEquals(1, snapshots.next(source, 1));
        nanos.addAndGet(1);
        assertEquals(2, snapshots.next(source, 2));
        assertEquals(2, snapshots.next(source, 0));
    }
}
