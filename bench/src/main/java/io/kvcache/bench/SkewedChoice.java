package io.kvcache.bench;

import java.util.Arrays;
import java.util.random.RandomGenerator;

/**
 * Chooses numbers by Zipf's law: the number at place r of n comes with a probability in proportion to 1 / r. Choosing allocates
 * nothing.
 *
 * <p>Thread-safe: immutable.
 */
final class SkewedChoice {
    private final double[] cumulative; // [numbers] up to 1

    SkewedChoice(int numbers) {
        cumulative = new double[numbers];
        double sum = 0;
        for (int i = 0; i < numbers; i++) {
            sum += 1.0 / (i + 1);
            cumulative[i] = sum;
        }
        for (int i = 0; i < numbers; i++) {
            cumulative[i] /= sum;
        }
    }

    /** Chooses from 0, the most frequent, to the number of numbers, exclusive. */
    int choose(RandomGenerator random) {
        int found = Arrays.binarySearch(cumulative, random.nextDouble());
        return found >= 0 ? found + 1 : -found - 1;
    }
}
