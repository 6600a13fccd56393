package io.kvcache.bench;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.KvLayout;
import io.kvcache.Sequence;
import java.util.Arrays;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

final class FilledCacheTest {
    private static final int BLOCKS = 32;
    private static final int[] ASCENDING = IntStream.range(0, BLOCKS).toArray();

    private final KvLayout layout = KvLayout.builder()
            .layers(2)
            .kvHeads(1)
            .headSize(16)
            .tokensPerBlock(16)
            .build();

    @Test
    void shouldGiveBlocksInTheOrderOfTheirAddresses() {
        try (FilledCache cache = new FilledCache(layout, BLOCKS, false)) {
            Sequence sequence = cache.open();
            cache.grow(sequence, BLOCKS * 16);
            assertArrayEquals(ASCENDING, sequence.blockTable());
        }
    }

    @Test
    void shouldGiveBlocksInNoOrder() {
        try (FilledCache cache = new FilledCache(layout, BLOCKS, true)) {
            Sequence sequence = cache.open();
            cache.grow(sequence, BLOCKS * 16);
            int[] table = sequence.blockTable();
            int neighbours = 0;
            for (int block = 1; block < BLOCKS; block++) {
                neighbours += table[block] == table[block - 1] + 1 ? 1 : 0;
            }
            assertTrue(neighbours < 4, Arrays.toString(table));
            Arrays.sort(table);
            assertArrayEquals(ASCENDING, table);
        }
    }

    @Test
    void shouldShareTheBlocksOfForksOnly() {
        try (FilledCache cache = new FilledCache(layout, BLOCKS, true)) {
            Sequence one = cache.open();
            cache.grow(one, 64);
            Sequence fork = cache.fork(one);
            cache.grow(one, 8);
            cache.grow(fork, 8);
            Sequence other = cache.open();
            cache.grow(other, 64);
            assertEquals(72, fork.length());
            assertArrayEquals(Arrays.copyOf(one.blockTable(), 4), Arrays.copyOf(fork.blockTable(), 4));
            assertFalse(one.blockTable()[4] == fork.blockTable()[4]);
            assertFalse(one.blockTable()[0] == other.blockTable()[0]);
        }
    }
}
