package io.kvcache;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.MemorySegment;

/**
 * Rows of F32: what is stored is what the caller has, so that any number of rows is one copy.
 *
 * <p>Thread-safe: stateless.
 */
final class PlainCodec extends MatrixCodec {
    @Override
    boolean encode(
            float[] source, int from, int rows, BlockMatrix matrix, MemorySegment segment, long block, int slot) {
        long at = block + matrix.rowOffset(slot);
        MemorySegment.copy(source, from, segment, JAVA_FLOAT, at, rows * matrix.width);
        return true;
    }

    @Override
    boolean encode(
            MemorySegment source,
            long from,
            int rows,
            BlockMatrix matrix,
            MemorySegment segment,
            long block,
            int slot) {
        MemorySegment.copy(source, from, segment, block + matrix.rowOffset(slot), rows * matrix.rowBytes);
        return true;
    }

    @Override
    void decode(
            BlockMatrix matrix, MemorySegment segment, long block, int slot, int rows, float[] destination, int to) {
        long at = block + matrix.rowOffset(slot);
        MemorySegment.copy(segment, JAVA_FLOAT, at, destination, to, rows * matrix.width);
    }

    @Override
    void decode(
            BlockMatrix matrix,
            MemorySegment segment,
            long block,
            int slot,
            int rows,
            MemorySegment destination,
            long to) {
        MemorySegment.copy(segment, block + matrix.rowOffset(slot), destination, to, rows * matrix.rowBytes);
    }

    @Override
    void move(
            BlockMatrix matrix,
            MemorySegment source,
            long sourceBlock,
            int sourceSlot,
            int rows,
            MemorySegment target,
            long targetBlock,
            int targetSlot) {
        long from = sourceBlock + matrix.rowOffset(sourceSlot);
        MemorySegment.copy(source, from, target, targetBlock + matrix.rowOffset(targetSlot), rows * matrix.rowBytes);
    }
}
