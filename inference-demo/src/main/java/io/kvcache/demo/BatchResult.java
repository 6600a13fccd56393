package io.kvcache.demo;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.databind.JsonNode;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * The answer to a request.
 *
 * <p>Immutable, hence thread-safe.
 *
 * @param line its number, from 1
 * @param id what the file calls it, if it does
 * @param promptTokens tokens of the prompt, the turns before included
 * @param cachedTokens how many of them were cached, and not computed
 * @param cachedTokensByTier where they were found
 * @param samples the continuations, the most probable first where the best were chosen
 * @param preemptions how often it had to make room for others
 * @param recomputedTokens tokens that were computed again for that
 * @param draftedTokens guesses that were verified
 * @param acceptedTokens guesses that were right
 * @param queuedMillis from the request to its start
 * @param ttftMillis from the request to the first generated token (time to first token)
 * @param decodeTokensPerSecond of the tokens after the first ones; 0 if there are none
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
record BatchResult(
        int line,
        @Nullable JsonNode id,
        int promptTokens,
        int cachedTokens,
        CachedTokens cachedTokensByTier,
        List<Continuation> samples,
        int preemptions,
        long recomputedTokens,
        long draftedTokens,
        long acceptedTokens,
        double queuedMillis,
        double ttftMillis,
        double decodeTokensPerSecond)
        implements BatchOutcome {
    private static final double NANOS_PER_MILLI = 1e6;
    private static final double NANOS_PER_SECOND = 1e9;

    /**
     * One continuation.
     *
     * <p>Immutable, hence thread-safe.
     *
     * @param text its text
     * @param tokens the generated ids
     * @param reason why there are no more
     * @param meanLogProbability how probable a token is on average, where the best were chosen and there is a token
     */
    @JsonInclude(JsonInclude.Include.NON_NULL)
    record Continuation(
            String text,
            List<Integer> tokens,
            FinishReason reason,
            @Nullable Double meanLogProbability) {
        static Continuation of(Sample sample, boolean chosen, Tokenizer tokenizer) {
            double mean = sample.meanLogProbability();
            List<Integer> tokens = Arrays.stream(sample.tokens()).boxed().toList();
            TextStream stream = tokenizer.continuedText();
            String text = tokens.stream().map(stream::append).collect(Collectors.joining());
            return new Continuation(
                    text + stream.finish(), tokens, sample.reason(), chosen && Double.isFinite(mean) ? mean : null);
        }

        private String words() {
            String mean =
                    meanLogProbability == null ? "" : String.format(", mean log-probability %.4f", meanLogProbability);
            return tokens.size() + " tokens, "
                    + reason.name().toLowerCase(Locale.ROOT).replace('_', ' ') + mean;
        }
    }

    static BatchResult of(BatchRequest request, DecodeResult result, Tokenizer tokenizer) {
        return new BatchResult(
                request.line(),
                request.id(),
                result.promptTokens(),
                result.cachedTokens(),
                result.cached(),
                result.samples().stream()
                        .map(sample -> Continuation.of(sample, request.choosesAmongSamples(), tokenizer))
                        .toList(),
                result.preemptions(),
                result.recomputedTokens(),
                result.draftedTokens(),
                result.acceptedTokens(),
                result.queuedNanos() / NANOS_PER_MILLI,
                result.firstTokenNanos() / NANOS_PER_MILLI,
                tokensPerSecond(result));
    }

    /** The first tokens of all samples come at once. */
    private static double tokensPerSecond(DecodeResult result) {
        long later = result.samples().stream()
                .mapToInt(sample -> Math.max(0, sample.size() - 1))
                .sum();
        return later == 0 ? 0 : later * NANOS_PER_SECOND / Math.max(1, result.decodeNanos());
    }

    int generatedTokens() {
        return samples.stream().mapToInt(sample -> sample.tokens().size()).sum();
    }

    @Override
    public String text() {
        String text = String.format(
                "[line %d%s: %d prompt tokens, %d cached%s; queued %.1f ms, first token after %.1f ms; %d tokens at"
                        + " %.1f tokens/s%s%s]",
                line,
                id == null ? "" : ", id " + id.asText(),
                promptTokens,
                cachedTokens,
                cachedTokensByTier.split(),
                queuedMillis,
                ttftMillis,
                generatedTokens(),
                decodeTokensPerSecond,
                preemptions == 0
                        ? ""
                        : "; preempted " + preemptions + " times, " + recomputedTokens + " tokens computed again",
                draftedTokens == 0 ? "" : "; " + acceptedTokens + " of " + draftedTokens + " guesses right");
        for (Continuation sample : samples) {
            text += System.lineSeparator() + sample.text() + (samples.size() == 1 ? "" : " [" + sample.words() + "]");
        }
        return text;
    }
}
