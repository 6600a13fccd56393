package io.kvcache.demo;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class SamplerTest {
    private static final int DRAWS = 200_000;

    @Test
    void shouldTakeTheFirstOfTheMaximaIfGreedy() {
        Sampler sampler = new Sampler(SamplingOptions.greedy());
        assertEquals(1, sampler.sample(new float[] {1, 3, 2, 3}, 0, 4));
        assertEquals(2, sampler.sample(new float[] {9, 1, 2, 3, 9}, 1, 3));
        assertEquals(0, sampler.sample(new float[] {0f, -0f}, 0, 2));
        assertEquals(0, sampler.sample(new float[] {-0f, 0f}, 0, 2));
        assertEquals(1, sampler.sample(new float[] {Float.NEGATIVE_INFINITY, -5}, 0, 2));
        assertEquals(0, sampler.sample(new float[] {-Float.MAX_VALUE}, 0, 1));
    }

    @Test
    void shouldBeGreedyWithOneTokenKept() {
        float[] logits = {1, 3, 2, 3};
        assertEquals(1, new Sampler(new SamplingOptions(5, 1, 1, 3)).sample(logits, 0, 4));
        assertEquals(1, new Sampler(new SamplingOptions(5, 0, 1e-9, 3)).sample(logits, 0, 4));
        assertEquals(1, new Sampler(new SamplingOptions(0, 0, 0.5, 3)).sample(logits, 0, 4));
    }

    @ParameterizedTest
    @CsvSource({
        "1, 0, 1",
        "0.7, 0, 1",
        "2.5, 0, 1",
        "1, 5, 1",
        "0.7, 40, 1",
        "0.7, 1000, 1",
        "1, 0, 0.9",
        "1.5, 0, 0.5",
        "0.8, 0, 0.999",
        "1, 10, 0.8",
        "0.5, 3, 0.999999",
        "3, 20, 0.6"
    })
    void shouldDrawFromTheDistributionOfAPlainComputation(double temperature, int topK, double topP) {
        float[] logits = randomLogits(60, 21);
        logits[7] = logits[8];
        logits[30] = Float.NEGATIVE_INFINITY;
        double[] expected = distribution(logits, temperature, topK, topP);
        Sampler sampler = new Sampler(new SamplingOptions(temperature, topK, topP, 99));
        int[] counts = new int[logits.length];
        float[] shifted = new float[logits.length + 5];
        System.arraycopy(logits, 0, shifted, 5, logits.length);
        for (int draw = 0; draw < DRAWS; draw++) {
            counts[sampler.sample(shifted, 5, logits.length)]++;
        }
        assertFits(expected, counts);
    }

    /** Chi-square over the tokens expected at least five times, the others as one; the bound is six deviations up. */
    private static void assertFits(double[] expected, int[] counts) {
        double chiSquare = 0;
        double rareExpected = 0;
        double rareCount = 0;
        int cells = 0;
        for (int id = 0; id < counts.length; id++) {
            assertTrue(expected[id] > 0 || counts[id] == 0, "token " + id + " is not to be drawn");
            if (expected[id] * DRAWS >= 5) {
                chiSquare += square(counts[id] - expected[id] * DRAWS) / (expected[id] * DRAWS);
                cells++;
            } else {
                rareExpected += expected[id] * DRAWS;
                rareCount += counts[id];
            }
        }
        chiSquare += square(rareCount - rareExpected) / Math.max(rareExpected, 1);
        assertTrue(chiSquare < cells + 6 * Math.sqrt(2.0 * cells), "chi-square " + chiSquare + " of " + cells);
    }

    private static double square(double value) {
        return value * value;
    }

    /** The definition: sort all, keep k, keep the nucleus at temperature 1, then apply the temperature. */
    private static double[] distribution(float[] logits, double temperature, int topK, double topP) {
        List<Integer> sorted = IntStream.range(0, logits.length)
                .boxed()
                .sorted(Comparator.comparingDouble((Integer id) -> -logits[id]).thenComparingInt(id -> id))
                .limit(topK == 0 ? logits.length : topK)
                .toList();
        double[] plain = softmax(logits, sorted, 1);
        double reached = 0;
        int kept = 0;
        while (kept < sorted.size() && (kept == 0 || reached < topP)) {
            reached += plain[sorted.get(kept)];
            kept++;
        }
        return softmax(logits, sorted.subList(0, kept), temperature);
    }

    private static double[] softmax(float[] logits, List<Integer> ids, double temperature) {
        double[] probabilities = new double[logits.length];
        for (int id : ids) {
            probabilities[id] = Math.exp(logits[id] / temperature);
        }
        double sum = Arrays.stream(probabilities).sum();
        return Arrays.stream(probabilities).map(each -> each / sum).toArray();
    }

    /** Probabilities of 1/16, 10/16, 1/16 and 4/16. */
    @ParameterizedTest
    @CsvSource({"0.62, 1", "0.63, 2", "0.87, 2", "0.88, 3", "0.93, 3", "0.94, 4", "0.99, 4"})
    void shouldKeepTheSmallestSetThatReachesTopP(double topP, int kept) {
        float[] logits = {0, (float) Math.log(10), 0, (float) Math.log(4)};
        int[] inOrder = {1, 3, 0, 2};
        Sampler sampler = new Sampler(new SamplingOptions(1000, 0, topP, 5));
        assertArrayEquals(Arrays.stream(inOrder).limit(kept).sorted().toArray(), drawn(sampler, logits));
    }

    /** Equal probabilities of 1/4 add up exactly: reaching p is enough. */
    @Test
    void shouldKeepNoMoreOnceTopPIsReachedExactly() {
        Sampler sampler = new Sampler(new SamplingOptions(1, 0, 0.5, 5));
        assertArrayEquals(new int[] {0, 1}, drawn(sampler, new float[] {3, 3, 3, 3}));
    }

    @Test
    void shouldKeepTheLowerIdsOfEqualLogits() {
        Sampler sampler = new Sampler(new SamplingOptions(1, 3, 1, 5));
        assertArrayEquals(new int[] {0, 1, 4}, drawn(sampler, new float[] {1, 1, 1 - 1e-3f, 1 - 1e-3f, 2}));
        Sampler ties = new Sampler(new SamplingOptions(1, 2, 1, 5));
        assertArrayEquals(new int[] {0, 1}, drawn(ties, new float[] {1, 1, 1, 1, 1}));
    }

    @Test
    void shouldNeverDrawABannedToken() {
        float no = Float.NEGATIVE_INFINITY;
        float[] logits = {no, 0, no, 0, no};
        assertArrayEquals(new int[] {1, 3}, drawn(new Sampler(new SamplingOptions(1, 0, 1, 5)), logits));
        assertArrayEquals(new int[] {1, 3}, drawn(new Sampler(new SamplingOptions(1, 4, 1, 5)), logits));
        assertArrayEquals(new int[] {1, 3}, drawn(new Sampler(new SamplingOptions(1, 0, 0.9999, 5)), logits));
    }

    @Test
    void shouldSurviveExtremeLogitsAndTemperatures() {
        float[] logits = {-Float.MAX_VALUE, Float.MAX_VALUE, 0, Float.MAX_VALUE};
        assertArrayEquals(new int[] {1, 3}, drawn(new Sampler(new SamplingOptions(Double.MIN_VALUE, 0, 1, 5)), logits));
        assertArrayEquals(
                new int[] {0, 1, 2, 3}, drawn(new Sampler(new SamplingOptions(Double.MAX_VALUE, 0, 1, 5)), logits));
    }

    /** The tokens that come up in a thousand draws. */
    private static int[] drawn(Sampler sampler, float[] logits) {
        return IntStream.range(0, 1000)
                .map(draw -> sampler.sample(logits, 0, logits.length))
                .sorted()
                .distinct()
                .toArray();
    }

    @Test
    void shouldRepeatItselfForTheSameSeedOnly() {
        float[] logits = randomLogits(500, 4);
        SamplingOptions options = new SamplingOptions(1, 40, 0.95, 17);
        int[] first = draws(new Sampler(options), logits);
        assertArrayEquals(first, draws(new Sampler(options), logits));
        int[] other = draws(new Sampler(new SamplingOptions(1, 40, 0.95, 18)), logits);
        assertNotEquals(Arrays.toString(first), Arrays.toString(other));
    }

    private static int[] draws(Sampler sampler, float[] logits) {
        return IntStream.range(0, 200)
                .map(draw -> sampler.sample(logits, 0, logits.length))
                .toArray();
    }

    @Test
    void shouldServeVocabulariesOfChangingSizes() {
        Sampler sampler = new Sampler(new SamplingOptions(1, 3, 0.9, 17));
        for (int size : new int[] {1, 100, 2, 50, 200}) {
            float[] logits = randomLogits(size, size);
            double[] expected = distribution(logits, 1, 3, 0.9);
            for (int draw = 0; draw < 100; draw++) {
                assertTrue(expected[sampler.sample(logits, 0, size)] > 0);
            }
        }
    }

    @ParameterizedTest
    @CsvSource({"0, 0, 1", "1, 0, 1", "1, 40, 1", "1, 0, 0.9", "0.7, 40, 0.9"})
    void shouldAllocateNothingOnceWarm(double temperature, int topK, double topP) {
        Sampler sampler = new Sampler(new SamplingOptions(temperature, topK, topP, 1));
        float[] logits = randomLogits(1000, 3);
        sampler.sample(logits, 0, logits.length);
        long before = allocatedBytes();
        for (int draw = 0; draw < 1000; draw++) {
            sampler.sample(logits, 0, logits.length);
        }
        assertTrue(allocatedBytes() - before < 1000, "bytes " + (allocatedBytes() - before));
    }

    private static long allocatedBytes() {
        return ((ThreadMXBean) ManagementFactory.getThreadMXBean()).getCurrentThreadAllocatedBytes();
    }

    @ParameterizedTest
    @CsvSource({"0, 1", "1, 1", "1, 0.9"})
    void shouldNameALogitThatIsNoNumber(double temperature, double topP) {
        Sampler sampler = new Sampler(new SamplingOptions(temperature, 0, topP, 1));
        assertMessage("logit is not a number below infinity: token=1 logit=NaN", sampler, 0, Float.NaN, 5);
        assertMessage("logit is not a number below infinity: token=0 logit=NaN", sampler, Float.NaN);
        assertMessage(
                "logit is not a number below infinity: token=1 logit=Infinity", sampler, 0, Float.POSITIVE_INFINITY);
        assertMessage("no token has a finite logit: vocabularySize=1", sampler, Float.NEGATIVE_INFINITY);
    }

    private static void assertMessage(String message, Sampler sampler, float... logits) {
        IllegalArgumentException failure =
                assertThrows(IllegalArgumentException.class, () -> sampler.sample(logits, 0, logits.length));
        assertEquals(message, failure.getMessage());
    }

    @ParameterizedTest
    @CsvSource({"-1, 2", "0, 0", "0, 5", "3, 2", "2147483647, 1", "0, -1"})
    void shouldNameTheOperandsOfAWrongRange(int offset, int size) {
        Sampler sampler = new Sampler(SamplingOptions.greedy());
        IndexOutOfBoundsException failure =
                assertThrows(IndexOutOfBoundsException.class, () -> sampler.sample(new float[4], offset, size));
        assertEquals(
                "logits do not hold the vocabulary: length=4 offset=" + offset + " vocabularySize=" + size,
                failure.getMessage());
    }

    private static float[] randomLogits(int size, long seed) {
        Random random = new Random(seed);
        float[] logits = new float[size];
        for (int id = 0; id < size; id++) {
            logits[id] = (float) (2 * random.nextGaussian());
        }
        return logits;
    }
}
