package io.kvcache.bench;

import java.util.NavigableMap;
import java.util.TreeMap;
import java.util.function.IntToLongFunction;

/**
 * Searches for the capacity with which a cache hits enough, in few measurements, where hits mostly grow with capacity but need
 * not always.
 *
 * <p>Not thread-safe.
 */
final class CapacitySearch {
    private final IntToLongFunction hitsWith;
    private final double largestStep;
    private final NavigableMap<Integer, Long> measured = new TreeMap<>(); // hits by capacity

    /**
     * Makes a search.
     *
     * @param hitsWith measures
     * @param largest a capacity that hits as much as any
     * @param largestStep how many times a capacity that hits too little the answer may be; one block more is always fine
     */
    CapacitySearch(IntToLongFunction hitsWith, int largest, double largestStep) {
        this.hitsWith = hitsWith;
        this.largestStep = largestStep;
        measured.put(0, 0L);
        measure(largest);
    }

    /** Measures a capacity, which spares later searches some. */
    void measure(int capacity) {
        measured.computeIfAbsent(capacity, hitsWith::applyAsLong);
    }

    /**
     * The lowest measured capacity from which on all measured ones hit enough, when enough are measured around it.
     *
     * @param enough above 0, and at most what the largest capacity hits
     */
    int capacityFor(long enough) {
        while (true) {
            int low = largestThatMisses(enough);
            int high = measured.higherKey(low);
            if (high == low + 1 || high <= low * largestStep) {
                return high;
            }
            // Halves the distance in steps: as many lie below as above.
            int middle = (int) Math.sqrt(Math.max(1.0, low) * high);
            measure(Math.clamp(middle, low + 1, high - 1));
        }
    }

    private int largestThatMisses(long enough) {
        return measured.descendingMap().entrySet().stream()
                .filter(entry -> entry.getValue() < enough)
                .findFirst()
                .orElseThrow()
                .getKey();
    }
}
