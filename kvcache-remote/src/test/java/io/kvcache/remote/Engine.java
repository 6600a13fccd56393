package io.kvcache.remote;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.KvCache;
import io.kvcache.KvLayout;
import io.kvcache.KvType;
import io.kvcache.Namespace;
import io.kvcache.Sequence;
import java.time.Duration;
import java.util.stream.IntStream;

/** Computes prompts over a cache as an engine would: rows tell token and position. */
final class Engine {
    static final Duration PATIENCE = Duration.ofMinutes(1);

    static final KvLayout LAYOUT = KvLayout.builder()
            .layers(2)
            .kvHeads(2)
            .headSize(32)
            .type(KvType.F32)
            .tokensPerBlock(16)
            .build();

    private Engine() {}

    static KvCache.Builder cache(int blocks) {
        return KvCache.builder(LAYOUT)
                .maximumBytes(blocks * LAYOUT.blockBytes())
                .model("tiny");
    }

    /** A prompt of whole blocks and one token more, that shares no block with another seed. */
    static int[] prompt(int seed, int blocks) {
        return IntStream.rangeClosed(0, blocks * LAYOUT.tokensPerBlock())
                .map(i -> seed * 10_000 + i)
                .toArray();
    }

    /** Opens a prompt, waits for what tiers have, computes the rest, and checks all rows; returns how many were cached. */
    static int run(Namespace namespace, int[] prompt) throws InterruptedException {
        try (Sequence sequence = namespace.open(prompt)) {
            sequence.await(PATIENCE);
            return complete(sequence, prompt);
        }
    }

    /** Computes what a sequence has not got of its prompt, and checks all rows; returns how many were cached. */
    static int complete(Sequence sequence, int[] prompt) {
        int cached = sequence.cachedTokens();
        for (int position = cached; position < prompt.length; position++) {
            step(sequence, prompt[position]);
        }
        check(sequence);
        return cached;
    }

    /** A step of decoding: one token more. */
    static void step(Sequence sequence, int token) {
        assertTrue(sequence.tryReserve(1));
        for (int layer = 0; layer < LAYOUT.layers(); layer++) {
            float[] row = row(layer, token, sequence.length());
            sequence.write(layer, sequence.length(), row, row);
        }
        sequence.commit(token);
    }

    private static float[] row(int layer, int token, int position) {
        float[] row = new float[LAYOUT.keyWidth(layer)];
        for (int i = 0; i < row.length; i++) {
            row[i] = token + 0.5f * position + 1000 * layer + i;
        }
        return row;
    }

    /** Checks that the rows are those of the tokens. */
    static void check(Sequence sequence) {
        for (int layer = 0; layer < LAYOUT.layers(); layer++) {
            int width = LAYOUT.keyWidth(layer);
            float[] keys = new float[sequence.length() * width];
            float[] values = keys.clone();
            sequence.gather(layer, 0, sequence.length(), keys, 0, values, 0);
            for (int position = 0; position < sequence.length(); position++) {
                float[] expected = row(layer, sequence.token(position), position);
                for (int i = 0; i < width; i++) {
                    assertEquals(expected[i], keys[position * width + i]);
                    assertEquals(expected[i], values[position * width + i]);
                }
            }
        }
    }
}
