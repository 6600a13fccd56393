package io.kvcache.demo;

import io.kvcache.Namespace;
import io.kvcache.Sequence;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.function.Consumer;

/**
 * A conversation with somebody who can go back in it. Each remembered point is a session of its own, which shares the blocks of the
 * conversation's:
 *
 * <pre>
 *   session  | turn | answer | turn | answer |
 *   point 2  | turn | answer |
 *   point 1  |
 * </pre>
 *
 * <p>Should memory have been needed and a session be gone, its tokens are computed again.
 *
 * <p>Not thread-safe.
 */
final class Chat {
    private static final String SESSION = "chat";
    private static final int SINKS = 4;

    private final Decoder decoder;
    private final Tokenizer tokenizer;
    private final Namespace namespace;
    private final int contextTokens;
    private final ContextShift shift;
    private final int maxTokens;
    private final SamplingOptions sampling;
    private final Conversation conversation;
    private final Deque<int[]> points = new ArrayDeque<>(); // what was said there, the last one first

    /**
     * Begins a conversation.
     *
     * @param namespace of the decoder's cache, for this conversation alone
     * @param contextTokens of the decoder's model
     * @param maxTokens of an answer
     */
    Chat(
            Decoder decoder,
            Tokenizer tokenizer,
            Namespace namespace,
            int contextTokens,
            int maxTokens,
            SamplingOptions sampling) {
        this.decoder = decoder;
        this.tokenizer = tokenizer;
        this.namespace = namespace;
        this.contextTokens = contextTokens;
        this.shift = new ContextShift(Math.min(SINKS, contextTokens / 4), Math.max(1, contextTokens / 2));
        this.maxTokens = maxTokens;
        this.sampling = sampling;
        this.conversation = new Conversation(namespace.name(), SESSION);
    }

    /**
     * Answers.
     *
     * @param answer gets the text as it comes, in whole characters
     * @throws IllegalArgumentException if the text is too long; then nothing was said
     * @throws IllegalStateException if there is no room in the cache; then nothing was said
     */
    ChatReply say(String text, Consumer<String> answer) {
        int[] before = conversation.said();
        try {
            int[] turn = conversation.encode(tokenizer, text);
            int dropped = conversation.makeRoom(turn.length, shift, contextTokens);
            conversation.add(turn);
            return reply(dropped, answer);
        } catch (IllegalArgumentException | IllegalStateException e) {
            conversation.returnTo(before);
            throw e;
        }
    }

    private ChatReply reply(int dropped, Consumer<String> answer) {
        long shifts = decoder.stats().shifts();
        DecodeRequest.Builder request = conversation
                .address(DecodeRequest.builder(conversation.said()))
                .maxTokens(maxTokens)
                .sampling(sampling);
        if ((long) conversation.size() + maxTokens > contextTokens + 1) {
            request.shift(shift); // it needs more memory: only if it comes to that
        }
        Generation generation = decoder.generate(request, answer);
        int[] tokens = generation.tokens().stream().mapToInt(token -> token).toArray();
        conversation.addShifted(tokens, shift, contextTokens);
        return new ChatReply(generation, dropped, decoder.stats().shifts() - shifts);
    }

    /** Remembers this point. */
    void fork() {
        points.push(conversation.said());
        copySession(SESSION, pointKey());
    }

    /**
     * Returns to the point that was remembered last, and forgets it.
     *
     * @return whether there was one
     */
    boolean back() {
        if (points.isEmpty()) {
            return false;
        }
        copySession(pointKey(), SESSION);
        namespace.remove(pointKey());
        conversation.returnTo(points.pop());
        return true;
    }

    private String pointKey() {
        return SESSION + "/" + points.size();
    }

    private void copySession(String from, String to) {
        Sequence sequence = namespace.get(from);
        if (sequence == null) {
            namespace.remove(to);
            return;
        }
        try (sequence) {
            namespace.put(to, sequence, namespace.options().retention());
        }
    }

    /** How many tokens were said. */
    int size() {
        return conversation.size();
    }
}
