package io.kvcache;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;
import java.util.Arrays;

/**
 * Off-heap memory of all blocks, in chunks that are allocated when a block in them is first needed; and of each block, whether it
 * holds finite elements only.
 *
 * <p>Thread-safe: {@link #ensure} locks; the other methods do not. Whoever uses a block has got its number after the chunk
 * was published (through the volatile {@link #blocks()}). Marks are like the elements they are about: any number of
 * threads may set one, and who reads or resets it comes after them by means of the callers.
 */
final class BlockMemory implements AutoCloseable {
    // A chunk is a power of two of blocks, so that a block's number splits into chunk and place by shift and mask:
    //
    //   block number   [ chunk | place ]        byte offset in the chunk = place * blockBytes
    //
    // 2 MiB: the JDK zero-fills what it allocates, which costs about 0.5 ms at this size on an idle machine (and many
    // times that where the hypervisor has to find the pages first), and nothing larger is touched before it is
    // needed. Blocks above that size get a chunk each.
    static final long CHUNK_BYTES = 2L << 20; // 2 MiB

    // A chunk starts on a page, so that blocks of whole pages do too: they touch no page more than they need.
    static final long CHUNK_ALIGNMENT_BYTES = 4096;

    /** Allocates zeroed native memory of {@code bytes}, aligned to a page; throws OutOfMemoryError when refused. */
    @FunctionalInterface
    interface ChunkAllocator {
        MemorySegment allocate(Arena arena, long bytes);
    }

    private final Arena arena = Arena.ofShared();
    private final ChunkAllocator allocator;
    private final long blockBytes;
    private final long maximumBytes;
    private final int maximumBlocks;
    private final int chunkShift;
    private final int placeMask;
    private MemorySegment[] chunks = new MemorySegment[0];
    private MemorySegment[] readOnlyChunks = new MemorySegment[0];

    // Chunk by chunk, so that a mark stays where it is when memory grows: whoever sets one does not lock.
    private boolean[][] notFinite = new boolean[0][]; // [chunk][place]
    private volatile int blocks;

    BlockMemory(long blockBytes, long maximumBytes) {
        this(blockBytes, maximumBytes, (arena, bytes) -> arena.allocate(bytes, CHUNK_ALIGNMENT_BYTES));
    }

    BlockMemory(long blockBytes, long maximumBytes, ChunkAllocator allocator) {
        long fitting = maximumBytes / blockBytes;
        if (fitting < 1) {
            throw new IllegalArgumentException(
                    "cache too small for one block: maximumBytes=" + maximumBytes + " blockBytes=" + blockBytes);
        }
        if (fitting > Integer.MAX_VALUE - 8) {
            throw new IllegalArgumentException("more blocks than an int counts: maximumBytes=" + maximumBytes
                    + " blockBytes=" + blockBytes + " blocks=" + fitting);
        }
        this.allocator = allocator;
        this.blockBytes = blockBytes;
        this.maximumBytes = maximumBytes;
        this.maximumBlocks = (int) fitting;
        long blocksPerChunk = Long.highestOneBit(Math.max(1, CHUNK_BYTES / blockBytes));
        this.chunkShift = Long.numberOfTrailingZeros(blocksPerChunk);
        this.placeMask = (int) blocksPerChunk - 1;
    }

    /** Blocks that have memory; they are numbered from 0. */
    int blocks() {
        return blocks;
    }

    int maximumBlocks() {
        return maximumBlocks;
    }

    long maximumBytes() {
        return maximumBytes;
    }

    long blockBytes() {
        return blockBytes;
    }

    long allocatedBytes() {
        return blocks * blockBytes;
    }

    /** The chunk that holds a block, writable. */
    MemorySegment segment(int block) {
        return chunks[block >>> chunkShift];
    }

    /** The chunk that holds a block, for reading. */
    MemorySegment readOnlySegment(int block) {
        return readOnlyChunks[block >>> chunkShift];
    }

    /** Where a block starts in its chunk, in bytes. */
    long offset(int block) {
        return (block & placeMask) * blockBytes;
    }

    /** Whether nobody has marked a block since it was reset. */
    boolean isFinite(int block) {
        return !notFinite[block >>> chunkShift][block & placeMask];
    }

    /** Says that a block holds an infinity or NaN. */
    void markNotFinite(int block) {
        notFinite[block >>> chunkShift][block & placeMask] = true;
    }

    /** Says that what a block holds means nothing any more. */
    void resetFinite(int block) {
        notFinite[block >>> chunkShift][block & placeMask] = false;
    }

    /** Overwrites a block with zeros. */
    void clear(int block) {
        segment(block).asSlice(offset(block), blockBytes).fill((byte) 0);
    }

    /** Whether {@code next} starts in memory where {@code block} ends. */
    boolean adjacent(int block, int next) {
        return next == block + 1 && (next & placeMask) != 0;
    }

    /**
     * Grows until there is memory for {@code wanted} blocks. May take milliseconds: call it without holding other locks.
     *
     * @param wanted at most {@link #maximumBlocks()}
     * @throws BlockMemoryException if native memory is refused; chunks allocated so far stay
     */
    synchronized void ensure(int wanted) {
        if (wanted > maximumBlocks) {
            throw new IllegalArgumentException(
                    "more blocks than the limit allows: wanted=" + wanted + " maximumBlocks=" + maximumBlocks);
        }
        while (blocks < wanted) {
            int count = Math.min(placeMask + 1, maximumBlocks - blocks);
            int index = blocks >>> chunkShift;
            if (index >= readOnlyChunks.length) {
                growArrays(Math.max(8, index * 2));
            }
            boolean[] marks = new boolean[count];
            MemorySegment chunk = allocate(count * blockBytes);
            notFinite[index] = marks;
            chunks[index] = chunk;
            readOnlyChunks[index] = chunk.asReadOnly();
            blocks += count;
        }
    }

    /** Others go on using blocks: they see the old arrays or the new ones, but no new one without its contents. */
    private void growArrays(int capacity) {
        boolean[][] grownMarks = Arrays.copyOf(notFinite, capacity);
        MemorySegment[] grownChunks = Arrays.copyOf(chunks, capacity);
        MemorySegment[] grownReadOnlyChunks = Arrays.copyOf(readOnlyChunks, capacity);
        VarHandle.releaseFence();
        notFinite = grownMarks;
        chunks = grownChunks;
        readOnlyChunks = grownReadOnlyChunks;
    }

    private MemorySegment allocate(long bytes) {
        try {
            return allocator.allocate(arena, bytes);
        } catch (OutOfMemoryError e) {
            throw new BlockMemoryException(
                    "native memory refused: chunkBytes=" + bytes + " allocatedBytes=" + allocatedBytes()
                            + " maximumBytes=" + maximumBytes,
                    e);
        }
    }

    /**
     * Frees all memory; every view of it throws from then on. A second call does nothing.
     *
     * @throws IllegalStateException if native code is reading or writing a view; the memory stays
     */
    @Override
    public void close() {
        if (!arena.scope().isAlive()) {
            return;
        }
        try {
            arena.close();
        } catch (IllegalStateException e) {
            throw new IllegalStateException(
                    "memory is in use by native code, close again when it is done: allocatedBytes=" + allocatedBytes(),
                    e);
        }
    }
}
