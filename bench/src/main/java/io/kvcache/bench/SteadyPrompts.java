package io.kvcache.bench;

/**
 * Tokens: those of prefixes, the same for everybody, and those that nobody else has. Makes no garbage: a prompt is valid until the
 * next one of the same length.
 *
 * <p>Not thread-safe.
 */
final class SteadyPrompts {
    /** Prefixes that prompts begin with. */
    static final int PREFIXES = 4_000;

    private static final int LEAST_PREFIX = 64;
    private static final int MOST_PREFIX = 512;
    private static final int OWN_TOKENS = 1 << 28; // of each worker, above those of prefixes

    private final int[][] prompts; // [length][length]
    private final int firstOwn;
    private int nextOwn;

    /** Prepares prompts with at most so many tokens behind a prefix. */
    SteadyPrompts(int worker, int mostBehind) {
        firstOwn = (worker + 1) * OWN_TOKENS;
        prompts = new int[MOST_PREFIX + mostBehind][];
        for (int length = 0; length < prompts.length; length++) {
            prompts[length] = new int[length];
        }
    }

    /** A token that nobody else has, for some hundred million tokens. */
    int ownToken() {
        nextOwn = (nextOwn + 1) % OWN_TOKENS;
        return firstOwn + nextOwn;
    }

    /** A prefix, and so many tokens behind it. */
    int[] prompt(int prefix, int behind) {
        int prefixTokens = LEAST_PREFIX + mixed(prefix) % (MOST_PREFIX - LEAST_PREFIX);
        int[] prompt = prompts[prefixTokens + behind];
        for (int i = 0; i < prompt.length; i++) {
            prompt[i] = i < prefixTokens ? mixed(prefix * MOST_PREFIX + i) % OWN_TOKENS : ownToken();
        }
        return prompt;
    }

    /** Any number, not negative, the same for the same one. */
    private static int mixed(int number) {
        int mixed = number * 0x9e3779b1; // the golden ratio: neighbours end up far apart
        mixed = (mixed ^ (mixed >>> 15)) * 0x85ebca6b;
        return (mixed ^ (mixed >>> 13)) & Integer.MAX_VALUE;
    }
}
