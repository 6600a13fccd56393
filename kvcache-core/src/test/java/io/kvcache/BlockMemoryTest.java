package io.kvcache;

import static io.kvcache.Thrown.assertMessage;
import static io.kvcache.Thrown.assertRefused;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

final class BlockMemoryTest {
    @Test
    void shouldAllocateNothingUntilABlockIsNeeded() {
        List<Long> allocations = new ArrayList<>();
        try (BlockMemory memory = new BlockMemory(64, 64L << 30, (arena, bytes) -> {
            allocations.add(bytes);
            return arena.allocate(bytes, 64);
        })) {
            assertEquals(List.of(), allocations);
            memory.ensure(1);
            assertEquals(List.of(BlockMemory.CHUNK_BYTES), allocations);
            memory.ensure(32_768);
            assertEquals(1, allocations.size());
            memory.ensure(32_769);
            assertEquals(2, allocations.size());
        }
    }

    @Test
    void shouldGiveEveryBlockAlignedZeroedMemoryOfItsOwn() {
        long blockBytes = 192; // 10,922 fit a chunk, 8,192 are used
        try (BlockMemory memory = new BlockMemory(blockBytes, 20_000 * blockBytes)) {
            memory.ensure(20_000);
            assertEquals(20_000, memory.blocks());
            for (int block = 0; block < 20_000; block++) {
                MemorySegment place = memory.segment(block).asSlice(memory.offset(block), blockBytes);
                assertEquals(0, place.address() % 64);
                assertEquals(0L, place.get(ValueLayout.JAVA_LONG, 0));
                assertEquals(0L, place.get(ValueLayout.JAVA_LONG, blockBytes - 8));
                place.fill((byte) 1);
            }
        }
    }

    @Test
    void shouldNotExceedTheMaximum() {
        try (BlockMemory memory = new BlockMemory(1L << 20, (3L << 20) + 17)) {
            assertEquals(3, memory.maximumBlocks());
            memory.ensure(3);
            assertEquals(3L << 20, memory.allocatedBytes());
            assertRefused("more blocks than the limit allows: wanted=4 maximumBlocks=3", () -> memory.ensure(4));
        }
    }

    @Test
    void shouldGiveBlocksAboveTheChunkSizeAChunkEach() {
        try (BlockMemory memory = new BlockMemory(3L << 20, 12L << 20)) {
            memory.ensure(2);
            assertEquals(6L << 20, memory.allocatedBytes());
            assertEquals(0, memory.offset(1));
            assertFalse(memory.adjacent(0, 1));
        }
    }

    @Test
    void shouldKnowWhichBlocksLieSideBySide() {
        try (BlockMemory memory = new BlockMemory(1L << 20, 4L << 20)) {
            memory.ensure(4);
            assertTrue(memory.adjacent(0, 1));
            assertSame(memory.segment(0), memory.segment(1));
            assertFalse(memory.adjacent(1, 2)); // two blocks a chunk
            assertFalse(memory.adjacent(1, 0));
            assertFalse(memory.adjacent(0, 3));
        }
    }

    @Test
    void shouldKeepMarksWhileMemoryGrows() throws InterruptedException {
        int blocks = 20_000;
        MemorySegment chunk = MemorySegment.ofArray(new byte[0]); // nobody looks into it
        for (long blockBytes : new long[] {BlockMemory.CHUNK_BYTES, BlockMemory.CHUNK_BYTES / 4}) {
            try (BlockMemory memory = new BlockMemory(blockBytes, blocks * blockBytes, (arena, bytes) -> chunk)) {
                Thread[] markers = new Thread[2];
                for (int i = 0; i < markers.length; i++) {
                    int first = 1 + i; // of three blocks in a row, one stays as it is
                    markers[i] = Thread.ofPlatform().start(() -> {
                        for (int block = first; block < blocks; block += 3) {
                            while (memory.blocks() <= block) {
                                Thread.onSpinWait();
                            }
                            memory.markNotFinite(block);
                        }
                    });
                }
                for (int wanted = 1; wanted <= blocks; wanted++) {
                    memory.ensure(wanted);
                }
                for (Thread marker : markers) {
                    marker.join();
                }
                for (int block = 0; block < blocks; block++) {
                    assertEquals(block % 3 == 0, memory.isFinite(block));
                    memory.resetFinite(block);
                    assertTrue(memory.isFinite(block));
                }
            }
        }
    }

    @Test
    void shouldStayUsableWhenNativeMemoryIsRefused() {
        boolean[] refuse = {false};
        try (BlockMemory memory = new BlockMemory(1L << 20, 8L << 20, (arena, bytes) -> {
            if (refuse[0]) {
                throw new OutOfMemoryError("Cannot allocate");
            }
            return arena.allocate(bytes, 64);
        })) {
            memory.ensure(2);
            refuse[0] = true;
            assertMessage(
                    "native memory refused: chunkBytes=2097152 allocatedBytes=2097152 maximumBytes=8388608",
                    BlockMemoryException.class,
                    () -> memory.ensure(3));
            assertEquals(2, memory.blocks());
            refuse[0] = false;
            memory.ensure(3);
            assertEquals(4, memory.blocks());
        }
    }

    @Test
    void shouldRefuseWhatHoldsNoBlockOrTooMany() {
        assertRefused(
                "cache too small for one block: maximumBytes=127 blockBytes=128", () -> new BlockMemory(128, 127));
        assertRefused(
                "more blocks than an int counts: maximumBytes=137438953472 blockBytes=64 blocks=2147483648",
                () -> new BlockMemory(64, 128L << 30));
    }
}
