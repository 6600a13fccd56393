package io.kvcache;

import static io.kvcache.Thrown.assertMisuse;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Random;
import java.util.TreeMap;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

final class BlockPoolTest {
    private static final int BLOCKS = 100;

    private final BlockMemory memory = new BlockMemory(64, BLOCKS * 64);
    private final BlockPool pool = new BlockPool(memory);
    private final TreeMap<Integer, Integer> held = new TreeMap<>(); // block -> references
    private final BitSet everUsed = new BitSet();

    @AfterEach
    void verifyAndClose() {
        verify();
        memory.close();
    }

    private void verify() {
        int[] references = new int[BLOCKS];
        held.forEach((block, count) -> references[block] = count);
        pool.verify(references, new boolean[BLOCKS]);
        assertEquals(held.size(), pool.used());
        assertEquals(memory.blocks() - held.size(), pool.available());
        assertEquals(BLOCKS - held.size(), pool.reachable());
    }

    private int allocate(int after) {
        int block = pool.allocate(after);
        if (block != BlockPool.NONE) {
            assertNull(held.put(block, 1), "handed out twice");
            everUsed.set(block);
        }
        return block;
    }

    private void release(int block) {
        if (pool.release(block) == 0) {
            pool.free(block);
        }
        held.computeIfPresent(block, (key, count) -> count == 1 ? null : count - 1);
    }

    @Test
    void shouldHandOutNothingWithoutMemory() {
        assertEquals(BlockPool.NONE, allocate(BlockPool.NONE));
    }

    @Test
    void shouldHandOutEveryBlockOnce() {
        memory.ensure(BLOCKS);
        for (int i = 0; i < BLOCKS; i++) {
            allocate(BlockPool.NONE);
        }
        assertEquals(BLOCKS, held.size());
        assertEquals(BlockPool.NONE, allocate(BlockPool.NONE));
        assertEquals(BlockPool.NONE, allocate(3));
    }

    @Test
    void shouldPreferTheBlockAfterTheLastOne() {
        memory.ensure(BLOCKS);
        for (int i = 0; i < 10; i++) {
            allocate(BlockPool.NONE);
        }
        release(4);
        release(7);
        release(2);
        assertEquals(7, allocate(6)); // from the middle of the free list
        assertEquals(10, allocate(9)); // fresh, before blocks that were used and are free
        assertEquals(2, allocate(8)); // 9 is taken: the block released last
        assertEquals(4, allocate(BlockPool.NONE));
        assertEquals(11, allocate(BlockPool.NONE));
    }

    @Test
    void shouldPreferUsedMemoryToFreshMemory() {
        memory.ensure(BLOCKS);
        int block = allocate(BlockPool.NONE);
        release(block);
        assertEquals(block, allocate(BlockPool.NONE));
    }

    @Test
    void shouldFreeABlockWithItsLastReference() {
        memory.ensure(BLOCKS);
        int block = allocate(BlockPool.NONE);
        pool.retain(block);
        held.put(block, 2);
        assertEquals(2, pool.references(block));
        release(block);
        verify();
        release(block);
        verify();
    }

    @Test
    void shouldDetectUseOfAFreeBlock() {
        memory.ensure(BLOCKS);
        int block = allocate(BlockPool.NONE);
        release(block);
        assertMisuse("block is not in use: block=0 created=1", () -> pool.release(block));
        assertMisuse("block is not in use: block=0 created=1", () -> pool.retain(block));
        assertMisuse("block is not in use: block=0 created=1", () -> pool.references(block));
        assertMisuse("block is not in use: block=1 created=1", () -> pool.release(1));
        assertMisuse("block is not in use: block=-1 created=1", () -> pool.release(-1));
        assertMisuse("block is not in use: block=2147483647 created=1", () -> pool.release(Integer.MAX_VALUE));
    }

    @Test
    void shouldAgreeWithAMapOfReferencesOverRandomCalls() {
        Random random = new Random(2);
        for (int step = 0; step < 20_000; step++) {
            List<Integer> blocks = new ArrayList<>(held.keySet());
            int any = blocks.isEmpty() ? BlockPool.NONE : blocks.get(random.nextInt(blocks.size()));
            switch (random.nextInt(5)) {
                case 0, 1 -> allocateAndCheckNeighbour(random.nextBoolean() ? any : BlockPool.NONE);
                case 2 -> retainIfAny(any);
                case 3 -> releaseIfAny(any);
                default -> memory.ensure(Math.min(BLOCKS, step / 100));
            }
            verify();
        }
    }

    private void allocateAndCheckNeighbour(int after) {
        int neighbour = after + 1;
        boolean wasUsedBefore = after != BlockPool.NONE && everUsed.get(neighbour);
        boolean expected = wasUsedBefore && !held.containsKey(neighbour);
        boolean none = held.size() == memory.blocks();
        int block = allocate(after);
        assertEquals(none, block == BlockPool.NONE);
        if (expected) {
            assertEquals(neighbour, block);
        }
    }

    private void retainIfAny(int block) {
        if (block != BlockPool.NONE) {
            pool.retain(block);
            held.merge(block, 1, Integer::sum);
        }
    }

    private void releaseIfAny(int block) {
        if (block != BlockPool.NONE) {
            release(block);
        }
    }
}
