package io.kvcache.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.LongPredicate;
import org.junit.jupiter.api.Test;

final class S3FifoPolicyTest {
    /** Queues have their oldest first. */
    private static final class Model implements PolicyModel {
        private final int maximumBlocks;
        private final List<Long> small = new ArrayList<>();
        private final List<Long> main = new ArrayList<>();
        private final List<Long> ghosts = new ArrayList<>();
        private final Map<Long, Integer> uses = new HashMap<>();

        Model(int maximumBlocks) {
            this.maximumBlocks = maximumBlocks;
        }

        @Override
        public void published(long id) {
            (ghosts.remove(id) ? main : small).add(id);
            uses.put(id, 0);
        }

        @Override
        public void touched(long id) {
            uses.merge(id, 1, (before, one) -> Math.min(3, before + one));
        }

        @Override
        public void released(long id) {}

        @Override
        public long victim(LongPredicate isEvictable) {
            boolean smallIsFull = small.size() >= maximumBlocks / 10;
            boolean fromSmall = (smallIsFull && small.stream().anyMatch(isEvictable::test))
                    || main.stream().noneMatch(isEvictable::test);
            List<Long> queue = fromSmall ? small : main;
            Long id = queue.stream().filter(isEvictable::test).findFirst().orElseThrow();
            int used = uses.getOrDefault(id, 0);
            if (fromSmall && used > 1) {
                uses.put(id, 0);
            } else if (!fromSmall && used > 0) {
                uses.put(id, used - 1);
            } else {
                return id;
            }
            queue.remove(id);
            main.add(id);
            return victim(isEvictable);
        }

        @Override
        public void removed(long id, boolean evicted) {
            main.remove(id);
            if (small.remove(id) && evicted) {
                ghosts.add(id);
                if (ghosts.size() > maximumBlocks - maximumBlocks / 10) {
                    ghosts.removeFirst();
                }
            }
        }
    }

    private static FlatCache cache(int maximumBlocks) {
        return new FlatCache(new S3FifoPolicy(maximumBlocks), new Model(maximumBlocks), maximumBlocks);
    }

    @Test
    void shouldMoveOnWhatWasUsedTwiceMoreAndDropTheRest() {
        FlatCache cache = cache(10);
        cache.request(1, 1, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9, 10);
        cache.request(11, 12); // 1 moves on; 2, with one more use, and 3 leave
        assertEquals(Set.of(1L, 4L, 5L, 6L, 7L, 8L, 9L, 10L, 11L, 12L), cache.ids());
    }

    @Test
    void shouldLetAGhostEnterTheMainQueue() {
        FlatCache cache = cache(10);
        cache.request(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11); // 1 leaves
        cache.request(1);
        cache.request(21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32); // more than the small queue may hold
        assertTrue(cache.ids().contains(1L));
    }

    @Test
    void shouldChooseAsTheModelDoes() {
        new FlatCache(new S3FifoPolicy(50), new Model(50), 50, 1, 5, 41).requestAtRandom(20_000);
        new FlatCache(new S3FifoPolicy(50), new Model(50), 50, 3, 5, 42).requestAtRandom(20_000);
    }
}
