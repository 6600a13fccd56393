package io.kvcache;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** Runs the example of docs/design.md, step by step. */
final class DesignExampleTest {
    @RegisterExtension
    final Caches caches = new Caches();

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

        Sequence c = namespace.open(new int[20]); // 6
        append(c, 20);
        assertBlocks(c, 4, 5, 6, 7, 8);
        assertEquals(9, cache.stats().usedBlocks());

        Sequence d = namespace.open(new int[8]); // 7
        assertFalse(d.tryReserve(8));
        assertBlocks(d);

        b.close(); // 8
        assertTrue(d.tryReserve(8));
        assertBlocks(d, 3, 9);
        assertEquals(10, cache.stats().usedBlocks());

        a.close(); // 9
        c.close();
        d.close();
    }

    private static void append(Sequence sequence, int tokens) {
        assertTrue(sequence.tryReserve(tokens));
        sequence.commit(new int[tokens]);
    }

    private static void assertBlocks(Sequence sequence, int... blocks) {
        assertArrayEquals(blocks, sequence.blockTable());
    }
}
