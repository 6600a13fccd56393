package io.kvcache.bench;

import java.util.Arrays;
import java.util.List;

/**
 * Requests that one caller makes one after the other; each prompt is the one before, what was answered, and something new.
 *
 * <p>Immutable, hence thread-safe.
 */
final class ServingScript {
    private final int[] opening;
    private final List<int[]> additions; // [turns]
    private final int answerTokens;

    /**
     * Makes a script.
     *
     * @param opening ids that the first prompt begins with; several scripts may have the same
     * @param additions ids that are new in each turn
     * @param answerTokens how many tokens each turn generates
     */
    ServingScript(int[] opening, List<int[]> additions, int answerTokens) {
        this.opening = opening.clone();
        this.additions = additions.stream().map(int[]::clone).toList();
        this.answerTokens = answerTokens;
    }

    /** How many tokens it shares with other scripts, at most. */
    int openingTokens() {
        return opening.length;
    }

    /** How many tokens each answer has. */
    int answerTokens() {
        return answerTokens;
    }

    /** How many requests it makes. */
    int turns() {
        return additions.size();
    }

    /** The prompt of the first turn. */
    int[] firstPrompt() {
        return joined(opening, additions.getFirst());
    }

    /** The prompt of another turn, from that of the turn before and its answer. */
    int[] nextPrompt(int turn, int[] prompt, int[] answer) {
        return joined(joined(prompt, answer), additions.get(turn));
    }

    /** How many tokens the prompt of a turn has. */
    int promptTokens(int turn) {
        int tokens = opening.length + turn * answerTokens;
        for (int[] addition : additions.subList(0, turn + 1)) {
            tokens += addition.length;
        }
        return tokens;
    }

    private static int[] joined(int[] first, int[] second) {
        int[] both = Arrays.copyOf(first, first.length + second.length);
        System.arraycopy(second, 0, both, first.length, second.length);
        return both;
    }
}
