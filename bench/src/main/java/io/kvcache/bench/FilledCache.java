package io.kvcache.bench;

import io.kvcache.KvCache;
import io.kvcache.KvLayout;
import io.kvcache.Namespace;
import io.kvcache.Sequence;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;

/**
 * A cache whose sequences get their blocks in a given order of addresses, with random keys and values.
 *
 * <p>Not thread-safe.
 */
final class FilledCache implements AutoCloseable {
    private final KvLayout layout;
    private final KvCache cache;
    private final Namespace namespace;
    private final ArrayDeque<Sequence> holders = new ArrayDeque<>(); // of one block each, in the order of their release
    private final List<Sequence> sequences = new ArrayList<>();
    private final float[] keys; // [tokensPerBlock][kvHeads * headSize]
    private final float[] values; // [tokensPerBlock][kvHeads * headSize]
    private int nextToken = 1;

    /** Makes a cache of so many blocks; all of them have their memory when this is done. */
    FilledCache(KvLayout layout, int blocks, boolean shuffled) {
        this.layout = layout;
        this.cache = KvCache.builder(layout)
                .maximumBytes(blocks * layout.blockBytes())
                .build();
        this.namespace = cache.namespace("bench");
        Random random = new Random(1);
        List<Sequence> held = new ArrayList<>();
        for (int block = 0; block < blocks; block++) {
            Sequence holder = namespace.open(new int[1]);
            reserve(holder, layout.tokensPerBlock());
            held.add(holder);
        }
        if (shuffled) {
            Collections.shuffle(held, random);
        }
        holders.addAll(held);
        this.keys = randoms(random, layout.tokensPerBlock() * layout.keyWidth(0));
        this.values = randoms(random, layout.tokensPerBlock() * layout.valueWidth(0));
    }

    /** Numbers between -0.5 and 0.5. */
    static float[] randoms(Random random, int count) {
        float[] numbers = new float[count];
        for (int i = 0; i < count; i++) {
            numbers[i] = random.nextFloat() - 0.5f;
        }
        return numbers;
    }

    private static void reserve(Sequence sequence, int tokens) {
        if (!sequence.tryReserve(tokens)) {
            throw new IllegalStateException("cache is full: tokens=" + tokens + " sequence=" + sequence);
        }
    }

    /** Opens an empty sequence, which {@link #close} closes. */
    Sequence open() {
        return keep(namespace.open(new int[1]));
    }

    /** Forks a sequence; {@link #close} closes the fork. */
    Sequence fork(Sequence sequence) {
        return keep(sequence.fork());
    }

    private Sequence keep(Sequence sequence) {
        sequences.add(sequence);
        return sequence;
    }

    /** Appends tokens that no other sequence has, in all layers; for each new block the next holder lets go of its own. */
    void grow(Sequence sequence, int tokens) {
        int left = tokens;
        while (left > 0) {
            int slot = sequence.length() % layout.tokensPerBlock();
            int count = Math.min(left, layout.tokensPerBlock() - slot);
            if (slot == 0) {
                holders.remove().close();
            }
            reserve(sequence, count);
            for (int layer = 0; layer < layout.layers(); layer++) {
                sequence.write(layer, sequence.length(), count, keys, 0, values, 0);
            }
            int[] committed = new int[count];
            Arrays.fill(committed, nextToken++);
            sequence.commit(committed);
            left -= count;
        }
    }

    /** Closes all sequences and frees the memory; a leak fails. */
    @Override
    public void close() {
        sequences.forEach(Sequence::close);
        holders.forEach(Sequence::close);
        cache.close();
    }
}
