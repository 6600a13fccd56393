package io.kvcache.demo;

import io.kvcache.CacheStats;
import io.kvcache.KvCache;
import io.kvcache.Sequence;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.LongSupplier;

/**
 * Continues prompts, one at a time: opens a sequence, computes what of the prompt is not cached in chunks, then token
 * after token.
 *
 * <p>Not thread-safe: the model belongs to one thread.
 */
public final class Decoder {
    private static final double NANOS_PER_MILLI = 1e6;
    private static final double NANOS_PER_SECOND = 1e9;

    private final Llama model;
    private final Tokenizer tokenizer;
    private final KvCache cache;
    private final LongSupplier nanoClock;

    /**
     * Makes a decoder.
     *
     * @param cache built for the model's layout; left open
     * @param nanoClock nanoseconds from any origin
     * @throws IllegalArgumentException if the tokenizer has another number of ids than the model
     */
    public Decoder(Llama model, Tokenizer tokenizer, KvCache cache, LongSupplier nanoClock) {
        if (tokenizer.vocabularySize() != model.vocabularySize()) {
            throw new IllegalArgumentException("model and tokenizer have different vocabularies: model="
                    + model.vocabularySize() + " tokenizer=" + tokenizer.vocabularySize());
        }
        this.model = model;
        this.tokenizer = tokenizer;
        this.cache = cache;
        this.nanoClock = nanoClock;
    }

    /**
     * Continues a prompt until the end-of-sequence token, the requested number of tokens, or the model's context length.
     *
     * @param text gets the text as it comes, in whole characters
     * @throws IllegalArgumentException if the prompt is empty, holds an id outside the vocabulary, or is longer than the
     *     context, or if prompt and continuation cannot fit into the cache
     * @throws IllegalStateException if others hold so much of the cache that there is no room
     */
    public Generation generate(GenerationRequest request, Consumer<String> text) {
        int[] prompt = request.prompt();
        int limit = checkRoom(prompt, request.maxTokens());
        Sampler sampler = new Sampler(request.sampling());
        TextStream stream = tokenizer.continuedText();
        StringBuilder whole = new StringBuilder();
        Consumer<String> output = text.andThen(whole::append);
        List<Integer> tokens = new ArrayList<>();
        float[] logits = new float[model.vocabularySize()];
        CacheStats before = cache.stats();
        long start = nanoClock.getAsLong();
        try (Sequence sequence = cache.namespace("run").open(prompt)) {
            int cached = sequence.cachedTokens();
            prefill(sequence, prompt);
            int token = next(sampler, logits);
            long first = nanoClock.getAsLong();
            while (!ends(token, request)) {
                tokens.add(token);
                output.accept(stream.append(token));
                if (tokens.size() == limit) {
                    break;
                }
                compute(sequence, new int[] {token}, 0, 1);
                token = next(sampler, logits);
            }
            long end = nanoClock.getAsLong();
            output.accept(stream.finish());
            return new Generation(
                    prompt.length,
                    cached,
                    List.copyOf(tokens),
                    whole.toString(),
                    (first - start) / NANOS_PER_MILLI,
                    tokens.size() < 2 ? 0 : (tokens.size() - 1) * NANOS_PER_SECOND / Math.max(1, end - first),
                    KvUsage.of(sequence),
                    RunStats.of(sequence, before, cache.stats()));
        }
    }

    /** Returns how many tokens can be generated: as many as asked for, while there is a position to compute them from. */
    private int checkRoom(int[] prompt, int maxTokens) {
        int context = model.shape().contextTokens();
        if (prompt.length > context) {
            throw new IllegalArgumentException(
                    "prompt is longer than the context: promptTokens=" + prompt.length + " contextTokens=" + context);
        }
        int limit = Math.min(maxTokens, context - prompt.length + 1);
        CacheStats stats = cache.stats();
        int needed = cache.layout().blocksFor(prompt.length + limit - 1);
        if (needed > stats.maximumBlocks()) {
            throw new IllegalArgumentException("cache too small for prompt and continuation: promptTokens="
                    + prompt.length + " newTokens=" + limit + " blocksNeeded=" + needed + " blocks="
                    + stats.maximumBlocks() + " blockBytes=" + stats.blockBytes());
        }
        return limit;
    }

    private void prefill(Sequence sequence, int[] prompt) {
        while (sequence.length() < prompt.length) {
            int position = sequence.length();
            compute(sequence, prompt, position, Math.min(model.maximumRows(), prompt.length - position));
        }
    }

    private void compute(Sequence sequence, int[] tokens, int from, int rows) {
        if (!sequence.tryReserve(rows)) {
            throw new IllegalStateException(
                    "cache is full: tokens=" + sequence.length() + " wanted=" + rows + " " + cache.stats());
        }
        model.forward(sequence, tokens, from, rows);
        sequence.commit(tokens, from, rows);
    }

    private int next(Sampler sampler, float[] logits) {
        model.logits(logits);
        return sampler.sample(logits, 0, logits.length);
    }

    private boolean ends(int token, GenerationRequest request) {
        return !request.ignoreEndOfSequence() && tokenizer.eos().orElse(-1) == token;
    }
}
