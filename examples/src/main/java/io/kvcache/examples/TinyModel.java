package io.kvcache.examples;

import io.kvcache.KvCache;
import io.kvcache.KvLayout;
import io.kvcache.KvType;
import io.kvcache.Sequence;
import java.util.Arrays;

/**
 * Stands in for a model: one layer, four tokens a block, and keys and values that it makes up. A character is a token.
 *
 * <p>Thread-safe: stateless.
 */
final class TinyModel {
    static final KvLayout LAYOUT = KvLayout.builder()
            .layers(1)
            .kvHeads(1)
            .headSize(2)
            .type(KvType.F32)
            .tokensPerBlock(4)
            .build();

    private TinyModel() {}

    /** A cache of so many blocks. */
    static KvCache.Builder cacheOf(int blocks) {
        return KvCache.builder(LAYOUT).maximumBytes(blocks * LAYOUT.blockBytes());
    }

    static int[] tokens(String text) {
        return text.chars().toArray();
    }

    /**
     * Computes the next tokens of a sequence: reserve, write, commit, as an engine does.
     *
     * @return whether there was memory
     */
    static boolean compute(Sequence sequence, int... tokens) {
        if (!sequence.tryReserve(tokens.length)) {
            return false;
        }
        for (int token : tokens) {
            float[] row = {token, sequence.length()}; // a real model projects keys and values here
            sequence.write(0, sequence.length(), row, row);
            sequence.commit(token);
        }
        return true;
    }

    /** Computes what a sequence does not have of its prompt, up to a length. */
    static void prefill(Sequence sequence, int[] prompt, int length) {
        if (!compute(sequence, Arrays.copyOfRange(prompt, sequence.length(), length))) {
            throw new IllegalStateException("memory is full: " + sequence);
        }
    }

    static void prefill(Sequence sequence, int[] prompt) {
        prefill(sequence, prompt, prompt.length);
    }
}
