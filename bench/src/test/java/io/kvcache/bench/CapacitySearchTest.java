package io.kvcache.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.function.IntToLongFunction;
import org.junit.jupiter.api.Test;

final class CapacitySearchTest {
    private static final int LARGEST = 170_899;

    /** Remembers what was measured. */
    private static final class Measured implements IntToLongFunction {
        private final IntToLongFunction hits;
        private final Map<Integer, Long> known = new TreeMap<>();

        Measured(IntToLongFunction hits) {
            this.hits = hits;
        }

        @Override
        public long applyAsLong(int capacity) {
            assertEquals(null, known.put(capacity, hits.applyAsLong(capacity)), "measured twice: " + capacity);
            return known.getOrDefault(capacity, 0L);
        }
    }

    @Test
    void shouldComeWithinAStepOfTheSmallestThatIsEnough() {
        for (int smallest : new int[] {1, 2, 3, 40, 51, 999, 80_000, LARGEST}) {
            Measured measured = new Measured(capacity -> capacity);
            int found = new CapacitySearch(measured, LARGEST, 1.02).capacityFor(smallest);
            assertTrue(found >= smallest, found + " < " + smallest);
            assertTrue(found == smallest || found <= (smallest - 1) * 1.02, found + " > " + smallest);
            assertTrue(measured.known.size() <= 14, "measured " + measured.known);
        }
    }

    @Test
    void shouldStartFromWhatIsMeasured() {
        Measured measured = new Measured(capacity -> capacity);
        CapacitySearch search = new CapacitySearch(measured, LARGEST, 1.02);
        search.measure(64_000);
        search.measure(128_000);
        search.measure(128_000);
        int before = measured.known.size();
        assertTrue(search.capacityFor(100_000) >= 100_000);
        assertTrue(measured.known.size() - before <= 6, "measured " + measured.known);
        int found = measured.known.size();
        assertTrue(search.capacityFor(100_000) >= 100_000);
        assertEquals(found, measured.known.size());
    }

    @Test
    void shouldStandAboveAllThatMissesWhereMoreCanHitLess() {
        Random random = new Random(31);
        for (int round = 0; round < 500; round++) {
            long[] hits = new long[2_001]; // [capacity]
            for (int capacity = 1; capacity < 2_000; capacity++) {
                hits[capacity] = Math.min(2_000, Math.max(0, capacity + random.nextInt(400) - 200));
            }
            hits[2_000] = 2_000;
            Measured measured = new Measured(capacity -> hits[capacity]);
            CapacitySearch search = new CapacitySearch(measured, 2_000, 1.02);
            random.ints(20, 1, 2_000).forEach(search::measure);
            int enough = 1 + random.nextInt(2_000);
            int found = search.capacityFor(enough);
            int below = measured.known.keySet().stream()
                    .filter(capacity -> capacity < found)
                    .reduce(0, Math::max);
            assertTrue(hits[below] < enough && (found == below + 1 || found <= below * 1.02), below + " " + found);
            measured.known.forEach((capacity, hit) -> assertTrue(capacity < found || hit >= enough));
        }
    }
}
