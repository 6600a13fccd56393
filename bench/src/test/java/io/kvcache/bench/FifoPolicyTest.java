package io.kvcache.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.function.LongPredicate;
import org.junit.jupiter.api.Test;

final class FifoPolicyTest {
    private static final class Model implements PolicyModel {
        private final List<Long> queue = new ArrayList<>();

        @Override
        public void published(long id) {
            queue.add(id);
        }

        @Override
        public void touched(long id) {}

        @Override
        public void released(long id) {}

        @Override
        public long victim(LongPredicate isEvictable) {
            return queue.stream().filter(isEvictable::test).findFirst().orElseThrow();
        }

        @Override
        public void removed(long id, boolean evicted) {
            queue.remove(id);
        }
    }

    @Test
    void shouldEvictWhatCameFirstHoweverUsed() {
        FlatCache cache = new FlatCache(new FifoPolicy(), new Model(), 3);
        cache.request(1, 2, 3, 1, 1, 4);
        assertEquals(Set.of(2L, 3L, 4L), cache.ids());
    }

    @Test
    void shouldChooseAsTheModelDoes() {
        new FlatCache(new FifoPolicy(), new Model(), 50, 1, 5, 11).requestAtRandom(20_000);
        new FlatCache(new FifoPolicy(), new Model(), 50, 3, 5, 12).requestAtRandom(20_000);
    }
}
