package io.kvcache;

import java.lang.foreign.MemorySegment;

/**
 * Moves encoded elements between a scratch and their places in a block, in one of the orders. Offsets {@code block} are bytes from the
 * start of the segment to the start of the block.
 *
 * <p>Thread-safe: stateless; a scratch belongs to one thread.
 */
abstract class ElementPlacement {
    static ElementPlacement of(BlockMatrix matrix) {
        if (matrix.order == BlockOrder.ROWS) {
            return new RowPlacement();
        }
        return matrix.keys ? new KeyTilePlacement() : new ValueTilePlacement();
    }

    /** Puts {@code tokens} tokens, none beyond a tile, into the slots from {@code slot} on. */
    abstract void put(
            CodecScratch scratch, int tokens, BlockMatrix matrix, MemorySegment segment, long block, int slot);

    /** Takes {@code tokens} tokens, none beyond a tile, from the slots from {@code slot} on. */
    abstract void take(
            CodecScratch scratch, int tokens, BlockMatrix matrix, MemorySegment segment, long block, int slot);
}
