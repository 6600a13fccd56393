package io.kvcache.demo;

/**
 * Guesses the next tokens of a text from the text itself: what followed the last few tokens where they stood before (Saxena, "Prompt
 * Lookup Decoding", 2023; vLLM's n-gram speculation). Costs no model; right where text repeats itself.
 *
 * <p>Thread-safe: stateless.
 */
final class NgramDraft {
    private static final int LONGEST = 4;
    private static final int SHORTEST = 2;

    private NgramDraft() {}

    /**
     * Puts guesses behind a text.
     *
     * @param text ids, with room behind {@code length}
     * @param most guesses wanted
     * @return how many there are; none where the last tokens are new
     */
    static int append(int[] text, int length, int most) {
        int from = follower(text, length);
        int count = from < 0 ? 0 : Math.min(most, length - from);
        System.arraycopy(text, from < 0 ? 0 : from, text, length, count);
        return count;
    }

    /** What follows the latest place that ends like the text, in as many tokens as possible; -1 if there is none. */
    private static int follower(int[] text, int length) {
        int best = SHORTEST - 1;
        int follower = -1;
        for (int end = length - 1; end >= SHORTEST && best < LONGEST; end--) {
            int matching = matching(text, end, length);
            if (matching > best) {
                best = matching;
                follower = end;
            }
        }
        return follower;
    }

    /** How many tokens before {@code end} equal those before {@code length}. */
    private static int matching(int[] text, int end, int length) {
        int count = 0;
        while (count < LONGEST && count < end && text[end - 1 - count] == text[length - 1 - count]) {
            count++;
        }
        return count;
    }
}
