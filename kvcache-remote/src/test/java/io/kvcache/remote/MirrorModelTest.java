package io.kvcache.remote;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.CacheContents;
import io.kvcache.CacheEvent;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** A mirror that drops out and comes back equals the cache, and both equal what all events have told. */
final class MirrorModelTest {
    private static final int OPERATIONS = 1_000_000;
    private static final int JOURNAL = 500;
    private static final int COMPARED_EVERY = 1_000;

    private final Random random = new Random(7);
    private final TinyCache tiny = new TinyCache(100, JOURNAL, 7);
    private final CacheMirror mirror = new CacheMirror(7, 0b111); // hashes that collide all the time
    private int replays; // after being away, out of the journal
    private int restarts; // with contents, as the journal did not reach back so far
    private int compared;
    private long found;

    @Test
    void shouldEqualTheCacheAfterAMillionOperations() {
        try (tiny) {
            mirror.apply(tiny.cache.contents());
            int back = 0; // the operation after which it comes back
            for (int operation = 0; operation < OPERATIONS; operation++) {
                tiny.operate();
                if (operation == back) {
                    comeBack();
                } else if (operation > back) {
                    assertTrue(follow(), "who is never away misses nothing");
                    if (random.nextInt(500) == 0) {
                        back = operation + 1 + random.nextInt(random.nextBoolean() ? 100 : 2_000);
                    } else if (operation % COMPARED_EVERY == 0) {
                        compare();
                    }
                }
            }
            comeBack();
            compare();
            CacheContents last = mirror.contents();
            assertTrue(last.number() > OPERATIONS / 2, () -> "events: " + last.number());
        }
        assertTrue(replays > 200, () -> "replays: " + replays);
        assertTrue(restarts > 200, () -> "restarts: " + restarts);
        assertTrue(compared > 200, () -> "compared: " + compared);
        assertTrue(found > 200_000, () -> "tokens found: " + found);
    }

    /** Applies what is in the journal behind the mirror's number; returns whether it reaches back so far. */
    private boolean follow() {
        while (true) {
            List<CacheEvent> events = tiny.journal.after(mirror.number(), 1 + random.nextInt(50));
            if (events == null) {
                return false;
            }
            if (events.isEmpty()) {
                assertEquals(tiny.journal.last(), mirror.number());
                return true;
            }
            events.forEach(event -> assertTrue(mirror.apply(event)));
        }
    }

    private void comeBack() {
        if (follow()) {
            replays++;
            return;
        }
        restarts++;
        if (random.nextBoolean()) { // a mirror that does not look: the next event shows that some are missing
            long last = tiny.journal.last();
            assertFalse(mirror.apply(
                    Objects.requireNonNull(tiny.journal.after(last - 1, 1)).getFirst()));
            assertFalse(mirror.isUpToDate());
        }
        mirror.apply(tiny.cache.contents());
        for (CacheEvent event :
                Objects.requireNonNull(tiny.journal.after(tiny.journal.last() - random.nextInt(JOURNAL), JOURNAL))) {
            assertTrue(mirror.apply(event), "known already");
        }
    }

    private void compare() {
        assertEquals(tiny.told(), tiny.cache.contents());
        assertEquals(tiny.told(), mirror.contents());
        found += tiny.assertFindsTheSame(mirror, this::follow);
        compared++;
    }
}
