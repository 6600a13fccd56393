package io.kvcache.demo;

import com.fasterxml.jackson.databind.JsonNode;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * A line of a file of requests.
 *
 * <p>Immutable, hence thread-safe.
 *
 * @param line its number, from 1
 * @param id what results call it besides, a string or a number; null: nothing
 * @param prompt text to continue; null: ids are given
 * @param tokens ids to continue; null: a text is given
 * @param maxTokens tokens to generate at most
 * @param samples continuations wanted
 * @param bestOf continuations to compute
 * @param sampling how tokens are chosen
 * @param priority the greater goes first
 * @param namespace of the cache
 * @param session the conversation that it is a turn of; null: none
 * @param timeout how long it may take; null: any time
 * @param ignoreEndOfSequence whether it goes on behind the end-of-sequence token
 */
record BatchRequest(
        int line,
        @Nullable JsonNode id,
        @Nullable String prompt,
        @Nullable List<Integer> tokens,
        int maxTokens,
        int samples,
        int bestOf,
        SamplingOptions sampling,
        int priority,
        String namespace,
        @Nullable String session,
        @Nullable Duration timeout,
        boolean ignoreEndOfSequence) {
    /**
     * Asks a loop for it, as a turn of a conversation.
     *
     * @param promptTokens all that was said and the turn
     * @throws IllegalArgumentException if a value is out of range
     */
    DecodeRequest request(Conversation conversation, int[] promptTokens) {
        DecodeRequest.Builder request = conversation
                .address(DecodeRequest.builder(promptTokens))
                .maxTokens(maxTokens)
                .samples(samples)
                .bestOf(bestOf)
                .sampling(sampling)
                .priority(priority)
                .ignoreEndOfSequence(ignoreEndOfSequence);
        return timeout == null ? request.build() : request.timeout(timeout).build();
    }

    /** The ids of the turn alone. */
    int[] turn(Conversation conversation, Tokenizer tokenizer) {
        return prompt == null ? ids() : conversation.encode(tokenizer, prompt);
    }

    /** The ids that are given. */
    int[] ids() {
        return Objects.requireNonNull(tokens).stream().mapToInt(token -> token).toArray();
    }

    /** Whether more samples are computed than wanted, so that the best ones are chosen. */
    boolean choosesAmongSamples() {
        return bestOf > samples;
    }

    /** A conversation for it and those that follow it. */
    Conversation newConversation() {
        return new Conversation(namespace, session);
    }
}
