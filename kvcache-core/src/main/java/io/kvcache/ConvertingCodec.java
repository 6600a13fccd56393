package io.kvcache;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;

import java.lang.foreign.MemorySegment;

/**
 * Any type in any order, through a scratch: a few heads of the tokens of one tile at a time are converted, then placed.
 *
 * <p>Thread-safe: stateless; each call has a scratch of its own.
 */
final class ConvertingCodec extends MatrixCodec {
    private final ElementCodec elements;
    private final ElementPlacement placement;
    private final ScratchPool scratches;

    ConvertingCodec(ElementCodec elements, ElementPlacement placement, ScratchPool scratches) {
        this.elements = elements;
        this.placement = placement;
        this.scratches = scratches;
    }

    /** Tokens from {@code slot} on that are in the same tile. */
    private static int tokens(int slot, int rows) {
        return Math.min(rows, BlockMatrix.TILE_TOKENS - slot % BlockMatrix.TILE_TOKENS);
    }

    @Override
    boolean encode(
            float[] source, int from, int rows, BlockMatrix matrix, MemorySegment segment, long block, int slot) {
        CodecScratch scratch = scratches.claim();
        boolean finite = true;
        for (int done = 0; done < rows; ) {
            int tokens = tokens(slot + done, rows - done);
            for (int head = 0; head < matrix.heads; head += scratch.heads()) {
                scratch.begin(matrix, head);
                int at = from + done * matrix.width + head * matrix.headSize;
                for (int token = 0; token < tokens; token++) {
                    elements.encode(source, at + token * matrix.width, scratch, token);
                }
                finite &= elements.isFinite(scratch, tokens);
                put(scratch, tokens, matrix, segment, block, slot + done);
            }
            done += tokens;
        }
        scratches.release(scratch);
        return finite;
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
        CodecScratch scratch = scratches.claim();
        boolean finite = true;
        long rowBytes = (long) matrix.width * Float.BYTES;
        for (int done = 0; done < rows; ) {
            int tokens = tokens(slot + done, rows - done);
            for (int head = 0; head < matrix.heads; head += scratch.heads()) {
                scratch.begin(matrix, head);
                long at = from + done * rowBytes + (long) head * matrix.headSize * Float.BYTES;
                for (int token = 0; token < tokens; token++) {
                    long row = at + token * rowBytes;
                    MemorySegment.copy(source, JAVA_FLOAT_UNALIGNED, row, scratch.floats, 0, scratch.elements());
                    elements.encode(scratch.floats, 0, scratch, token);
                }
                finite &= elements.isFinite(scratch, tokens);
                put(scratch, tokens, matrix, segment, block, slot + done);
            }
            done += tokens;
        }
        scratches.release(scratch);
        return finite;
    }

    private void put(
            CodecScratch scratch, int tokens, BlockMatrix matrix, MemorySegment segment, long block, int slot) {
        placement.put(scratch, tokens, matrix, segment, block, slot);
        if (matrix.type.hasScales()) {
            for (int token = 0; token < tokens; token++) {
                for (int head = 0; head < scratch.heads(); head++) {
                    long at = block + matrix.scaleOffset(scratch.firstHead() + head, slot + token);
                    segment.set(JAVA_FLOAT, at, scratch.scales[token * scratch.heads() + head]);
                }
            }
        }
    }

    @Override
    void decode(
            BlockMatrix matrix, MemorySegment segment, long block, int slot, int rows, float[] destination, int to) {
        CodecScratch scratch = scratches.claim();
        for (int done = 0; done < rows; ) {
            int tokens = tokens(slot + done, rows - done);
            for (int head = 0; head < matrix.heads; head += scratch.heads()) {
                scratch.begin(matrix, head);
                take(scratch, tokens, matrix, segment, block, slot + done);
                int at = to + done * matrix.width + head * matrix.headSize;
                for (int token = 0; token < tokens; token++) {
                    elements.decode(scratch, token, destination, at + token * matrix.width);
                }
            }
            done += tokens;
        }
        scratches.release(scratch);
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
        CodecScratch scratch = scratches.claim();
        long rowBytes = (long) matrix.width * Float.BYTES;
        for (int done = 0; done < rows; ) {
            int tokens = tokens(slot + done, rows - done);
            for (int head = 0; head < matrix.heads; head += scratch.heads()) {
                scratch.begin(matrix, head);
                take(scratch, tokens, matrix, segment, block, slot + done);
                long at = to + done * rowBytes + (long) head * matrix.headSize * Float.BYTES;
                for (int token = 0; token < tokens; token++) {
                    long row = at + token * rowBytes;
                    elements.decode(scratch, token, scratch.floats, 0);
                    MemorySegment.copy(scratch.floats, 0, destination, JAVA_FLOAT_UNALIGNED, row, scratch.elements());
                }
            }
            done += tokens;
        }
        scratches.release(scratch);
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
        CodecScratch scratch = scratches.claim();
        for (int done = 0; done < rows; ) {
            int tokens = tokens(targetSlot + done, tokens(sourceSlot + done, rows - done));
            for (int head = 0; head < matrix.heads; head += scratch.heads()) {
                scratch.begin(matrix, head);
                take(scratch, tokens, matrix, source, sourceBlock, sourceSlot + done);
                put(scratch, tokens, matrix, target, targetBlock, targetSlot + done);
            }
            done += tokens;
        }
        scratches.release(scratch);
    }

    private void take(
            CodecScratch scratch, int tokens, BlockMatrix matrix, MemorySegment segment, long block, int slot) {
        placement.take(scratch, tokens, matrix, segment, block, slot);
        if (matrix.type.hasScales()) {
            for (int token = 0; token < tokens; token++) {
                for (int head = 0; head < scratch.heads(); head++) {
                    long at = block + matrix.scaleOffset(scratch.firstHead() + head, slot + token);
                    scratch.scales[token * scratch.heads() + head] = segment.get(JAVA_FLOAT, at);
                }
            }
        }
    }
}
