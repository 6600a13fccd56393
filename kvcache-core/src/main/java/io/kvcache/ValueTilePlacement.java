package io.kvcache;

import java.lang.foreign.MemorySegment;

/**
 * Chunks of values, a line of each token in each: lines are copied one by one.
 *
 * <p>Thread-safe: stateless.
 */
final class ValueTilePlacement extends ElementPlacement {
    @Override
    void put(CodecScratch scratch, int tokens, BlockMatrix matrix, MemorySegment segment, long block, int slot) {
        for (int head = 0; head < scratch.heads(); head++) {
            for (int chunk = 0; chunk * BlockMatrix.LINE_WORDS < matrix.words; chunk++) {
                long bytes = (long) matrix.chunkWords(chunk) * BlockMatrix.WORD_BYTES;
                long at = block + matrix.lineOffset(scratch.firstHead() + head, chunk, slot);
                for (int token = 0; token < tokens; token++) {
                    long from = scratch.encodedOffset(token, head) + (long) chunk * BlockMatrix.LINE_BYTES;
                    MemorySegment.copy(scratch.encoded, from, segment, at + token * bytes, bytes);
                }
            }
        }
    }

    @Override
    void take(CodecScratch scratch, int tokens, BlockMatrix matrix, MemorySegment segment, long block, int slot) {
        for (int head = 0; head < scratch.heads(); head++) {
            for (int chunk = 0; chunk * BlockMatrix.LINE_WORDS < matrix.words; chunk++) {
                long bytes = (long) matrix.chunkWords(chunk) * BlockMatrix.WORD_BYTES;
                long at = block + matrix.lineOffset(scratch.firstHead() + head, chunk, slot);
                for (int token = 0; token < tokens; token++) {
                    long to = scratch.encodedOffset(token, head) + (long) chunk * BlockMatrix.LINE_BYTES;
                    MemorySegment.copy(segment, at + token * bytes, scratch.encoded, to, bytes);
                }
            }
        }
    }
}
