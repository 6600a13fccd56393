package io.kvcache.tiers;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.jspecify.annotations.Nullable;

/**
 * Pieces of native memory that calls borrow for headers, and for what is in heap memory on its way from or to a file.
 * There are as many as calls were under way at once; the garbage collector frees them.
 *
 * <p>Thread-safe.
 */
final class Scratch {
    /**
     * Size of a piece, and of what is read and checked at a time: it stays in the cache of a core while its checksum is
     * taken, and a call to the system costs little beside it.
     */
    static final int PIECE_BYTES = 256 << 10;

    private static final int FEW = 64;

    private final ConcurrentLinkedQueue<MemorySegment> pieces = new ConcurrentLinkedQueue<>();

    /** Returns [{@value #PIECE_BYTES}] with any contents, aligned to a page. */
    MemorySegment take() {
        @Nullable MemorySegment piece = pieces.poll();
        return piece != null ? piece : Arena.ofAuto().allocate(PIECE_BYTES, SlotShape.PAGE_BYTES);
    }

    void give(MemorySegment piece) {
        if (pieces.size() < FEW) {
            pieces.add(piece);
        }
    }
}
