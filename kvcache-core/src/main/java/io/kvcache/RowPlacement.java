package io.kvcache;

import java.lang.foreign.MemorySegment;

/**
 * A row for each token.
 *
 * <p>Thread-safe: stateless.
 */
final class RowPlacement extends ElementPlacement {
    @Override
    void put(CodecScratch scratch, int tokens, BlockMatrix matrix, MemorySegment segment, long block, int slot) {
        long bytes = scratch.tokenBytes();
        for (int token = 0; token < tokens; token++) {
            long at = block + matrix.elementOffset(scratch.firstHead(), slot + token, 0);
            MemorySegment.copy(scratch.encoded, token * bytes, segment, at, bytes);
        }
    }

    @Override
    void take(CodecScratch scratch, int tokens, BlockMatrix matrix, MemorySegment segment, long block, int slot) {
        long bytes = scratch.tokenBytes();
        for (int token = 0; token < tokens; token++) {
            long at = block + matrix.elementOffset(scratch.firstHead(), slot + token, 0);
            MemorySegment.copy(segment, at, scratch.encoded, token * bytes, bytes);
        }
    }
}
