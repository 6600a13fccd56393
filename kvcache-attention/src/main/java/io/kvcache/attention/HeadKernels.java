package io.kvcache.attention;

import java.lang.foreign.MemorySegment;

/**
 * The inner loops of attention over the tokens of one piece of a block, for one K/V head and one element type. A piece has at
 * most {@link #PIECE_TOKENS} tokens.
 *
 * <p>What the loops use besides the block is scratch memory, arranged for them:
 *
 * <pre>
 *   queries of four   [element, zeros up to a whole word][4]      for tiles
 *   queries of one    [element, zeros up to a whole word]         for tiles
 *   queries for rows  [element in the order of place()]
 *   scores, weights   [query][PIECE_TOKENS]
 *   sums              [query][element in the order of place()]
 * </pre>
 *
 * <p>Loops may take elements for a power of two more or less than they are, where that saves work for each of them: queries
 * come multiplied by {@link #keyFactor}, weights by {@link #weightFactor}, and sums are to be multiplied by
 * {@link #sumFactor}.
 *
 * <p>Thread-safe: stateless.
 */
abstract class HeadKernels {
    /** Scores of a piece are this far apart, a constant, so that loops address four rows of them from one register. */
    static final int PIECE_TOKENS = 64;

    /** A line of memory, and the words in it. */
    static final int LINE_BYTES = 64;

    static final int LINE_WORDS = 16;

    // ---- tiles ----

    /** Scores of a query for consecutive tiles of keys of {@code words} words, the first of which starts at a byte. */
    abstract void scoresOfOne(
            MemorySegment memory, long at, int words, int tiles, float[] queries, int from, float[] scores, int to);

    /** Scores of four queries. */
    abstract void scoresOfFour(
            MemorySegment memory, long at, int words, int tiles, float[] queries, int from, float[] scores, int to);

    /** Adds weighted values, the lines of consecutive tokens in a whole chunk, to the sums of a query. */
    abstract void addToOne(MemorySegment memory, long at, int tokens, float[] weights, int from, float[] sums, int to);

    /** Adds weighted values to the sums of four queries, {@code stride} floats apart. */
    abstract void addToFour(
            MemorySegment memory, long at, int tokens, float[] weights, int from, float[] sums, int to, int stride);

    // ---- rows, and the last chunk of tiles where it is not whole ----

    /** Scores of a query for the keys of consecutive tokens, {@code stride} bytes apart. */
    abstract void scoresOfRows(
            MemorySegment memory,
            long at,
            long stride,
            int elements,
            int tokens,
            float[] queries,
            int from,
            float[] scores,
            int to);

    /** Adds weighted values of consecutive tokens, {@code stride} bytes apart, to the sums of a query. */
    abstract void addRows(
            MemorySegment memory,
            long at,
            long stride,
            int elements,
            int tokens,
            float[] weights,
            int from,
            float[] sums,
            int to);

    // ---- softmax ----

    /** Multiplies floats by those in memory: the scales of quantised elements. */
    abstract void multiply(float[] floats, int from, MemorySegment memory, long at, int count);

    /** Replaces each score x by cap x tanh(x / cap). */
    abstract void softCap(float[] scores, int from, int count, float cap);

    /**
     * Replaces scores by weights, e^(score - greatest) multiplied by {@link #weightFactor}; adds up what they were before that in
     * {@code totals[row]}, and keeps the greatest score so far in {@code greatest[row]}. Where that has grown, the total and
     * the sums so far are multiplied by what their weights were too great.
     *
     * @param sumsCount floats of {@code sums} from {@code sumsFrom} on
     */
    abstract void softmax(
            float[] scores,
            int from,
            int count,
            float[] greatest,
            float[] totals,
            int row,
            float[] sums,
            int sumsFrom,
            int sumsCount);

    // ---- arrangement ----

    /** Where an element of a head of so many, zeros that fill words up included, is among its sums and in queries for rows. */
    abstract int place(int element, int elements);

    /** What queries are multiplied by. */
    abstract float keyFactor();

    /** What weights are multiplied by. */
    abstract float weightFactor();

    /** What sums are to be multiplied by. */
    abstract float sumFactor();
}
