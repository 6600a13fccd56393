package io.kvcache.demo;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Runs many requests through a loop. Those of the same session go one after the other, as each needs the answer to the one before;
 * all others at once, as many as the loop has room for.
 *
 * <p>Not thread-safe: belongs to the thread of the loop.
 */
final class BatchRun {
    private final DecodeLoop loop;
    private final Tokenizer tokenizer;
    private final Consumer<BatchOutcome> outcomes;
    private final Queue<Ended> ended = new ArrayDeque<>();

    /** The turns of a conversation that are still to come. */
    private record Turns(Conversation conversation, Deque<BatchRequest> left) {
        Turns(BatchRequest first) {
            this(first.newConversation(), new ArrayDeque<>());
        }
    }

    /** Which requests are turns of one conversation. */
    private record Key(String namespace, @Nullable String session, int line) {
        static Key of(BatchRequest request) {
            String session = request.session();
            return new Key(request.namespace(), session, session == null ? request.line() : 0);
        }
    }

    private record Ended(
            Turns turns,
            BatchRequest request,
            @Nullable DecodeResult result,
            @Nullable Throwable failure) {}

    /**
     * Prepares a run.
     *
     * @param outcomes gets one for each request, as it ends
     */
    BatchRun(DecodeLoop loop, Tokenizer tokenizer, Consumer<BatchOutcome> outcomes) {
        this.loop = loop;
        this.tokenizer = tokenizer;
        this.outcomes = outcomes;
    }

    /** Runs requests until all have ended. */
    void run(List<BatchRequest> requests) {
        Map<Key, Turns> conversations = new LinkedHashMap<>();
        for (BatchRequest request : requests) {
            conversations
                    .computeIfAbsent(Key.of(request), key -> new Turns(request))
                    .left
                    .add(request);
        }
        conversations.values().forEach(this::submitNext);
        while (loop.step() || !ended.isEmpty()) {
            for (Ended end = ended.poll(); end != null; end = ended.poll()) {
                settle(end);
            }
        }
    }

    private void submitNext(Turns turns) {
        BatchRequest request = turns.left.poll();
        if (request != null) {
            try {
                submit(turns, request);
            } catch (IllegalArgumentException e) {
                fail(turns, request, e);
            }
        }
    }

    private void submit(Turns turns, BatchRequest request) {
        Conversation conversation = turns.conversation;
        conversation.add(request.turn(conversation, tokenizer));
        var _ = loop.submit(request.request(conversation, conversation.said()))
                .whenComplete((result, failure) -> ended.add(new Ended(turns, request, result, failure)));
    }

    private void settle(Ended end) {
        DecodeResult result = end.result;
        if (result == null) {
            fail(end.turns, end.request, end.failure);
            return;
        }
        outcomes.accept(BatchResult.of(end.request, result, tokenizer));
        end.turns.conversation.add(result.samples().getFirst().tokens());
        submitNext(end.turns);
    }

    /** Later turns would answer to something else than what was meant: they fail too. */
    private void fail(Turns turns, BatchRequest failed, @Nullable Throwable failure) {
        String error = failure == null || failure.getMessage() == null ? "no details" : failure.getMessage();
        outcomes.accept(new BatchFailure(failed.line(), failed.id(), error));
        for (BatchRequest request = turns.left.poll(); request != null; request = turns.left.poll()) {
            String reason = "a turn before it failed: line=" + failed.line();
            outcomes.accept(new BatchFailure(request.line(), request.id(), reason));
        }
    }
}
