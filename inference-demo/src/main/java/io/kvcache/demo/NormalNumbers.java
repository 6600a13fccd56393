package io.kvcache.demo;

import java.util.SplittableRandom;

/**
 * Normally distributed random numbers, the same for the same seed on every machine: Marsaglia's polar method on SplitMix64,
 * computed by operations whose results Java prescribes to the last bit.
 *
 * <p>Not thread-safe: one thread at a time.
 */
final class NormalNumbers {
    private final SplittableRandom random;

    NormalNumbers(long seed) {
        this.random = new SplittableRandom(seed);
    }

    /** Overwrites all of {@code destination}. */
    void fill(float[] destination, double mean, double deviation) {
        for (int index = 0; index < destination.length; index += 2) {
            double x;
            double y;
            double square;
            do {
                x = 2 * random.nextDouble() - 1;
                y = 2 * random.nextDouble() - 1;
                square = x * x + y * y;
            } while (square >= 1 || square == 0);
            double scale = deviation * Math.sqrt(-2 * StrictMath.log(square) / square);
            destination[index] = (float) (mean + scale * x);
            if (index + 1 < destination.length) {
                destination[index + 1] = (float) (mean + scale * y);
            }
        }
    }
}
