package io.kvcache.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.kvcache.KvLayout;
import io.kvcache.KvType;
import io.kvcache.Sequence;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class PlainReadTest {
    /** Every word once, also in a layer whose size is no multiple of eight vectors. */
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3})
    void shouldReadEveryByteOfALayer(int threads) {
        KvLayout layout = KvLayout.builder()
                .layers(3)
                .kvHeads(2)
                .headSize(20)
                .type(KvType.INT8)
                .tokensPerBlock(16)
                .build();
        try (FilledCache cache = new FilledCache(layout, 11, true);
                Helpers helpers = new Helpers(threads - 1)) {
            Sequence sequence = cache.open();
            cache.grow(sequence, 11 * 16);
            PlainRead read = new PlainRead(layout, sequence, helpers, threads);
            assertEquals(11 * layout.blockBytes() / 3, read.bytes());
            int before = 0;
            for (int round = 0; round < 300; round++) {
                int total = read.read(round % 3);
                assertEquals(expected(layout, sequence, round % 3), total - before);
                before = total;
            }
        }
    }

    private static int expected(KvLayout layout, Sequence sequence, int layer) {
        long bytes = layout.blockBytes() / layout.layers();
        int total = 0;
        for (int block = 0; block < sequence.blocks(); block++) {
            long from = sequence.blockOffset(block) + layer * bytes;
            for (long at = from; at < from + bytes; at += Integer.BYTES) {
                total += sequence.segment(block).get(ValueLayout.JAVA_INT, at);
            }
        }
        return total;
    }
}
