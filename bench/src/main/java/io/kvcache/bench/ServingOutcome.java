package io.kvcache.bench;

import io.kvcache.demo.DecodeResult;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;

/**
 * What a run of a mix came to.
 *
 * <p>Thread-safe: immutable.
 *
 * @param results [scripts][turns]
 * @param seconds from the first request to the last answer
 * @param peakBlocks blocks that requests held, at most at any time, shared ones once
 */
record ServingOutcome(List<List<DecodeResult>> results, double seconds, int peakBlocks) {
    private static final double NANOS_PER_MILLI = 1e6;

    /** Copies the lists. */
    ServingOutcome {
        results = results.stream().map(List::copyOf).toList();
    }

    private Stream<DecodeResult> all() {
        return results.stream().flatMap(List::stream);
    }

    /** Tokens of all prompts. */
    int promptTokens() {
        return all().mapToInt(DecodeResult::promptTokens).sum();
    }

    /** How many of them were not computed for the request, but found. */
    int cachedTokens() {
        return all().mapToInt(DecodeResult::cachedTokens).sum();
    }

    /** Tokens of all answers. */
    int generatedTokens() {
        return all().mapToInt(DecodeResult::generatedTokens).sum();
    }

    /** Generated tokens in a second, prompts included in the time. */
    double tokensPerSecond() {
        return generatedTokens() / seconds;
    }

    /** The time from a request to its first token that a share of the requests does not exceed. */
    double firstTokenMillis(double share) {
        return atShare(all(), share);
    }

    /** The median of the time from a request to its first token, of one turn. */
    double firstTokenMillisOfTurn(int turn) {
        return atShare(results.stream().map(script -> script.get(turn)), .5);
    }

    /** By the nearest rank. */
    private static double atShare(Stream<DecodeResult> of, double share) {
        long[] nanos = of.mapToLong(DecodeResult::firstTokenNanos).sorted().toArray();
        return nanos[(int) Math.ceil(share * nanos.length) - 1] / NANOS_PER_MILLI;
    }

    /** How many requests were answered with other tokens than in another run of the same mix. */
    int answersUnlike(ServingOutcome other) {
        int unlike = 0;
        for (int script = 0; script < results.size(); script++) {
            for (int turn = 0; turn < results.get(script).size(); turn++) {
                unlike += Arrays.equals(answer(script, turn), other.answer(script, turn)) ? 0 : 1;
            }
        }
        return unlike;
    }

    private int[] answer(int script, int turn) {
        return results.get(script).get(turn).samples().getFirst().tokens();
    }
}
