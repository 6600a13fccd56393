package io.kvcache.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.function.LongPredicate;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

final class ArcPolicyTest {
    /** The names are the paper's. Lists have their oldest first. */
    private static final class Model implements PolicyModel {
        private final int c;
        private final List<Long> t1 = new ArrayList<>();
        private final List<Long> t2 = new ArrayList<>();
        private final List<Long> b1 = new ArrayList<>();
        private final List<Long> b2 = new ArrayList<>();
        private int p;

        Model(int c) {
            this.c = c;
        }

        @Override
        public void published(long id) {
            if (b1.contains(id)) {
                p = Math.min(c, p + Math.max(1, b2.size() / b1.size()));
                b1.remove(id);
                t2.add(id);
            } else if (b2.contains(id)) {
                p = Math.max(0, p - Math.max(1, b1.size() / b2.size()));
                b2.remove(id);
                t2.add(id);
            } else {
                if (t1.size() + b1.size() == c) {
                    b1.removeFirst();
                } else if (t1.size() + t2.size() + b1.size() + b2.size() == 2 * c) {
                    b2.removeFirst();
                }
                t1.add(id);
            }
        }

        @Override
        public void touched(long id) {
            t1.remove(id);
            t2.remove(id);
            t2.add(id);
        }

        @Override
        public void released(long id) {
            List<Long> list = t1.contains(id) ? t1 : t2;
            list.remove(id);
            list.add(id);
        }

        @Override
        public long victim(LongPredicate isEvictable) {
            Stream<Long> inTurn =
                    t1.size() > p ? Stream.concat(t1.stream(), t2.stream()) : Stream.concat(t2.stream(), t1.stream());
            return inTurn.filter(isEvictable::test).findFirst().orElseThrow();
        }

        @Override
        public void removed(long id, boolean evicted) {
            List<Long> ghosts = t1.contains(id) ? b1 : b2;
            t1.remove(id);
            t2.remove(id);
            if (evicted) {
                ghosts.add(id);
            }
        }
    }

    private static FlatCache cache(int maximumBlocks) {
        return new FlatCache(new ArcPolicy(maximumBlocks), new Model(maximumBlocks), maximumBlocks);
    }

    @Test
    void shouldKeepWhatWasUsedAgainThroughAScan() {
        FlatCache cache = cache(4);
        cache.request(1, 2, 1, 2);
        cache.request(11, 12, 13, 14, 15, 16);
        assertEquals(Set.of(1L, 2L, 15L, 16L), cache.ids());
    }

    @Test
    void shouldGiveMoreRoomToRecencyWhenAGhostOfItComesBack() {
        FlatCache cache = cache(4);
        cache.request(1, 2, 1, 2);
        cache.request(11, 12, 13, 11); // 11 left for 13, comes back, and T1 may have one block from now on
        cache.request(14, 15);
        assertTrue(cache.ids().contains(11L));
        assertTrue(cache.ids().contains(15L));
    }

    @Test
    void shouldChooseAsTheModelDoes() {
        new FlatCache(new ArcPolicy(50), new Model(50), 50, 1, 5, 31).requestAtRandom(20_000);
        new FlatCache(new ArcPolicy(50), new Model(50), 50, 3, 5, 32).requestAtRandom(20_000);
    }
}
