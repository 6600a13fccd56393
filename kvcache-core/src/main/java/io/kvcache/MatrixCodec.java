package io.kvcache;

import java.lang.foreign.MemorySegment;

/**
 * Stores and loads consecutive tokens of a matrix in one block. Offsets {@code block} are bytes from the start of the segment to
 * the start of the block.
 *
 * <p>Thread-safe: no state of their own; callers see to it that nobody reads tokens while they are written.
 */
abstract class MatrixCodec {
    static MatrixCodec of(BlockMatrix matrix, ScratchPool scratches) {
        return matrix.type == KvType.F32 && matrix.order == BlockOrder.ROWS
                ? new PlainCodec()
                : new ConvertingCodec(ElementCodec.of(matrix.type), ElementPlacement.of(matrix), scratches);
    }

    /**
     * Stores floats [rows][width] from an index on.
     *
     * @return false if an element has become an infinity or NaN in F16
     */
    abstract boolean encode(
            float[] source, int from, int rows, BlockMatrix matrix, MemorySegment segment, long block, int slot);

    /**
     * Stores floats [rows][width] from a byte on.
     *
     * @return false if an element has become an infinity or NaN in F16
     */
    abstract boolean encode(
            MemorySegment source, long from, int rows, BlockMatrix matrix, MemorySegment segment, long block, int slot);

    /** Loads floats [rows][width], to an index on. */
    abstract void decode(
            BlockMatrix matrix, MemorySegment segment, long block, int slot, int rows, float[] destination, int to);

    /** Loads floats [rows][width], to a byte on. */
    abstract void decode(
            BlockMatrix matrix,
            MemorySegment segment,
            long block,
            int slot,
            int rows,
            MemorySegment destination,
            long to);

    /** Moves tokens to other slots, as they are stored: elements and scales. In one block, they move towards its start. */
    abstract void move(
            BlockMatrix matrix,
            MemorySegment source,
            long sourceBlock,
            int sourceSlot,
            int rows,
            MemorySegment target,
            long targetBlock,
            int targetSlot);
}
