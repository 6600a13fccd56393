package io.kvcache.bench;

import io.kvcache.KvCache;
import io.kvcache.KvLayout;
import io.kvcache.Namespace;
import io.kvcache.Sequence;
import java.util.SplittableRandom;

/**
 * Caches of blocks as small as can be (one layer, one head of one element, 16 tokens: 128 bytes), so that bookkeeping is measured
 * and not memory for keys and values; and prompts for them.
 *
 * <p>Thread-safe: it has no state.
 */
final class TinyBlocks {
    static final int TOKENS_PER_BLOCK = 16;

    /** Tokens are below it. */
    static final int VOCABULARY = 128_000;

    private static final KvLayout LAYOUT = KvLayout.builder()
            .layers(1)
            .kvHeads(1)
            .headSize(1)
            .tokensPerBlock(TOKENS_PER_BLOCK)
            .build();

    private TinyBlocks() {}

    /** A cache that holds so many blocks. */
    static KvCache.Builder cache(int blocks) {
        return KvCache.builder(LAYOUT).maximumBytes(LAYOUT.blockBytes() * blocks);
    }

    /** A prompt of whole blocks and the one token that a hit leaves to compute. */
    static int[] prompt(SplittableRandom random, int blocks) {
        return random.ints((long) blocks * TOKENS_PER_BLOCK + 1, 0, VOCABULARY).toArray();
    }

    /** Computes whole blocks of a prompt, and leaves them cached. */
    static void compute(Namespace namespace, int[] prompt) {
        try (Sequence sequence = namespace.open(prompt)) {
            extend(sequence, prompt);
        }
    }

    /** Computes what a sequence has not got of the whole blocks of a prompt. */
    static void extend(Sequence sequence, int[] prompt) {
        int tokens = prompt.length / TOKENS_PER_BLOCK * TOKENS_PER_BLOCK - sequence.length();
        if (!sequence.tryReserve(tokens)) {
            throw new IllegalStateException("no room for a prompt: tokens=" + tokens);
        }
        sequence.commit(prompt, sequence.length(), tokens);
    }
}
