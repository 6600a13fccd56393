package io.kvcache.demo;

import io.kvcache.CacheStats;
import io.kvcache.KvCache;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.Consumer;
import org.agrona.concurrent.NanoClock;

/**
 * Continues prompts as text, one at a time: a {@link DecodeLoop} that never has more than one request.
 *
 * <p>Not thread-safe: the model belongs to one thread.
 */
public final class Decoder {
    private static final double NANOS_PER_MILLI = 1e6;
    private static final double NANOS_PER_SECOND = 1e9;

    private final DecodeLoop loop;
    private final Tokenizer tokenizer;
    private final KvCache cache;

    /**
     * Makes a decoder.
     *
     * @param cache built for the model's layout; left open
     * @param clock nanoseconds from any origin
     * @throws IllegalArgumentException if the tokenizer has another number of ids than the model
     */
    public Decoder(Model model, Tokenizer tokenizer, KvCache cache, NanoClock clock) {
        if (tokenizer.vocabularySize() != model.vocabularySize()) {
            throw new IllegalArgumentException("model and tokenizer have different vocabularies: model="
                    + model.vocabularySize() + " tokenizer=" + tokenizer.vocabularySize());
        }
        this.loop = new DecodeLoop(
                model, cache, tokenizer.eos().orElse(-1), DecodeOptions.DEFAULT.withConcurrency(1), clock);
        this.tokenizer = tokenizer;
        this.cache = cache;
    }

    /**
     * Continues a prompt until the end-of-sequence token, the requested number of tokens, or the model's context length.
     *
     * @param request of one sample; the listener is set here
     * @param text gets the text as it comes, in whole characters
     * @throws IllegalArgumentException if the prompt holds an id outside the vocabulary or is longer than the context, or if prompt
     *     and continuation cannot fit into the cache
     * @throws IllegalStateException if others hold so much of the cache that there is no room
     */
    public Generation generate(DecodeRequest.Builder request, Consumer<String> text) {
        TextStream stream = tokenizer.continuedText();
        StringBuilder whole = new StringBuilder();
        Consumer<String> output = text.andThen(whole::append);
        List<Integer> tokens = new ArrayList<>();
        request.listener((sample, token) -> {
            tokens.add(token);
            output.accept(stream.append(token));
        });
        CacheStats before = cache.stats();
        CompletableFuture<DecodeResult> future = loop.submit(request.build());
        loop.run();
        DecodeResult result = resultOf(future);
        output.accept(stream.finish());
        return new Generation(
                result.promptTokens(),
                result.cachedTokens(),
                result.cached(),
                List.copyOf(tokens),
                whole.toString(),
                result.firstTokenNanos() / NANOS_PER_MILLI,
                tokens.size() < 2 ? 0 : (tokens.size() - 1) * NANOS_PER_SECOND / Math.max(1, result.decodeNanos()),
                result.samples().getFirst().kv(),
                RunStats.of(result, before, cache.stats()));
    }

    /** What its loop has done so far. */
    LoopStats stats() {
        return loop.stats();
    }

    private static DecodeResult resultOf(CompletableFuture<DecodeResult> future) {
        try {
            return future.join();
        } catch (CompletionException e) {
            throw e.getCause() instanceof RuntimeException cause ? cause : e;
        }
    }
}
