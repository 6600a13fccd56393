package io.kvcache;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** Runs the example of docs/design.md, step by step. */
final class DesignExampleTest {
    @RegisterExtension
    final Caches caches = new Caches();

    private int nextToken = 100;

    @Test
    void shouldHoldWhatTheDesignSays() {
        KvLayout layout = KvLayout.builder()
                .layers(1)
                .kvHeads(1)
                .headSize(8)
                .tokensPerBlock(4)
                .build();
        KvCache cache = caches.of(layout, 10);
        Namespace namespace = cache.namespace("example");

        Sequence a = namespace.open(new int[10]); // 1
        append(a, 10);
        assertBlocks(a, 0, 1, 2);

        Sequence b = a.fork(); // 2
        assertBlocks(b, 0, 1, 2);
        assertEquals(3, cache.stats().usedBlocks());

        append(b, 1); // 3
        assertBlocks(a, 0, 1, 2);
        assertBlocks(b, 0, 1, 3);

        append(a, 1); // 4
        assertBlocks(a, 0, 1, 2);

        append(a, 6); // 5
        assertBlocks(a, 0, 1, 2, 4, 5);
        a.truncate(12);
        assertBlocks(a, 0, 1, 2);
        assertEquals(1, cache.stats().cachedBlocks());

        Sequence c = namespace.open(new int[20]); // 6
        append(c, 20);
        assertBlocks(c, 5, 6, 7, 8, 9);
        assertEquals(9, cache.stats().usedBlocks());

        Sequence d = namespace.open(new int[8]); // 7
        assertFalse(d.tryReserve(8));
        assertBlocks(d);
        assertEquals(1, cache.stats().cachedBlocks());

        b.close(); // 8
        assertTrue(d.tryReserve(8));
        assertBlocks(d, 4, 3);
        assertEquals(1, cache.stats().traffic().evictedBlocks());

        int[] tokens = IntStream.range(0, 11).map(a::token).toArray();
        a.close(); // 9
        assertEquals(3, cache.stats().cachedBlocks());

        Sequence e = namespace.open(tokens); // 10
        assertEquals(10, e.cachedTokens());
        assertBlocks(e, 0, 1, 2);
        assertTrue(e.tryReserve(1));
        assertBlocks(e, 0, 1, 2);
        assertEquals(2, cache.stats().traffic().evictedBlocks());

        c.close(); // 11
        d.close();
        e.close();
        assertEquals(0, cache.stats().usedBlocks());
        assertEquals(7, cache.stats().cachedBlocks());
    }

    private void append(Sequence sequence, int tokens) {
        assertTrue(sequence.tryReserve(tokens));
        for (int i = 0; i < tokens; i++) {
            sequence.commit(nextToken++); // no two prefixes are equal unless they are one
        }
    }

    private static void assertBlocks(Sequence sequence, int... blocks) {
        assertArrayEquals(blocks, sequence.blockTable());
    }
}
