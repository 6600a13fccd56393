package io.kvcache.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Comparator;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.LongPredicate;
import org.junit.jupiter.api.Test;

final class LfuDaPolicyTest {
    private static final class Model implements PolicyModel {
        private record Entry(long id, long uses, long priority, long release) {}

        private final Map<Long, Entry> entries = new HashMap<>();
        private long age;
        private long releases;

        @Override
        public void published(long id) {
            entries.put(id, new Entry(id, 1, 1 + age, 0));
        }

        @Override
        public void touched(long id) {
            entries.computeIfPresent(id, (same, old) -> new Entry(id, old.uses + 1, old.uses + 1 + age, 0));
        }

        @Override
        public void released(long id) {
            entries.computeIfPresent(id, (same, old) -> new Entry(id, old.uses, old.priority, releases++));
        }

        @Override
        public long victim(LongPredicate isEvictable) {
            return entries.values().stream()
                    .filter(entry -> isEvictable.test(entry.id))
                    .min(Comparator.comparingLong(Entry::priority).thenComparingLong(Entry::release))
                    .orElseThrow()
                    .id;
        }

        @Override
        public void removed(long id, boolean evicted) {
            Entry entry = Objects.requireNonNull(entries.remove(id));
            if (evicted) {
                age = Math.max(age, entry.priority);
            }
        }
    }

    @Test
    void shouldEvictWhatIsUsedLeastAndOfTheseWhatWasReleasedFirst() {
        FlatCache cache = new FlatCache(new LfuDaPolicy(), new Model(), 3);
        cache.request(1, 1, 2, 3, 4);
        assertEquals(Set.of(1L, 3L, 4L), cache.ids());
    }

    @Test
    void shouldForgetWhatWasUsedMuchLongAgo() {
        FlatCache cache = new FlatCache(new LfuDaPolicy(), new Model(), 2);
        cache.request(1, 1, 1, 1); // 4 uses
        cache.request(2, 3, 4); // priorities 1, 2, 3: each evicts the one before
        assertEquals(Set.of(1L, 4L), cache.ids());
        cache.request(5, 6); // 4 ties with the one released earlier, which goes
        assertEquals(Set.of(5L, 6L), cache.ids());
    }

    @Test
    void shouldChooseAsTheModelDoes() {
        new FlatCache(new LfuDaPolicy(), new Model(), 50, 1, 5, 21).requestAtRandom(20_000);
        new FlatCache(new LfuDaPolicy(), new Model(), 50, 3, 5, 22).requestAtRandom(20_000);
    }
}
