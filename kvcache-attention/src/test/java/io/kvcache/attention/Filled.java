package io.kvcache.attention;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.BlockOrder;
import io.kvcache.KvCache;
import io.kvcache.KvLayout;
import io.kvcache.KvType;
import io.kvcache.Sequence;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/**
 * A cache and sequences in it, with random keys and values.
 *
 * <p>Not thread-safe.
 */
final class Filled implements AutoCloseable {
    final KvLayout layout;
    final KvCache cache;
    final List<Sequence> sequences = new ArrayList<>();
    private final Random random;
    private int prompts;

    Filled(KvLayout layout, Random random) {
        this(layout, random, 256);
    }

    Filled(KvLayout layout, Random random, int blocks) {
        this.layout = layout;
        this.random = random;
        this.cache = KvCache.builder(layout)
                .maximumBytes(blocks * layout.blockBytes())
                .build();
    }

    static KvLayout layout(KvType type, BlockOrder order, int kvHeads, int headSize, int tokensPerBlock) {
        return KvLayout.builder()
                .layers(1)
                .kvHeads(kvHeads)
                .headSize(headSize)
                .type(type)
                .order(order)
                .tokensPerBlock(tokensPerBlock)
                .build();
    }

    /** Opens a sequence that shares nothing. */
    Sequence open(int tokens) {
        Sequence sequence = cache.namespace("prompt " + prompts++).open(new int[] {1});
        sequences.add(sequence);
        append(sequence, tokens);
        return sequence;
    }

    /** Forks a sequence and lets the fork go on by itself. */
    Sequence fork(Sequence of, int tokens) {
        Sequence fork = of.fork();
        sequences.add(fork);
        append(fork, tokens);
        return fork;
    }

    void append(Sequence sequence, int tokens) {
        if (tokens > 0) {
            assertTrue(sequence.tryReserve(tokens));
            for (int layer = 0; layer < layout.layers(); layer++) {
                float[] keys = gaussian(tokens * layout.keyWidth(layer));
                float[] values = gaussian(tokens * layout.valueWidth(layer));
                sequence.write(layer, sequence.length(), tokens, keys, 0, values, 0);
            }
            sequence.commit(random.ints(tokens, 0, 1_000_000).toArray());
        }
    }

    float[] gaussian(int count) {
        float[] floats = new float[count];
        for (int i = 0; i < count; i++) {
            floats[i] = (float) random.nextGaussian();
        }
        return floats;
    }

    @Override
    public void close() {
        sequences.forEach(Sequence::close);
        cache.verify();
        cache.close();
    }
}
