package io.kvcache;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.MemorySegment;

/**
 * Tiles of values: chunks of 16 words, a line of each token in a chunk. A whole tile is put together in an array and stored at once,
 * front to back; the lines of fewer tokens are copied one by one.
 *
 * <p>Thread-safe: stateless.
 */
final class ValueTilePlacement extends ElementPlacement {
    private static final int TOKENS = BlockMatrix.TILE_TOKENS;
    private static final int LINE_WORDS = BlockMatrix.LINE_WORDS;

    @Override
    void put(CodecScratch scratch, int tokens, BlockMatrix matrix, MemorySegment segment, long block, int slot) {
        if (tokens == TOKENS) {
            putTiles(scratch, matrix, segment, block, slot);
            return;
        }
        for (int token = 0; token < tokens; token++) {
            for (int head = 0; head < scratch.heads(); head++) {
                long row = scratch.encodedOffset(token, head);
                long tile = block + matrix.tileOffset(scratch.firstHead() + head, slot);
                for (int chunk = 0; chunk * LINE_WORDS < matrix.words; chunk++) {
                    long at = tile + matrix.lineOffset(chunk, (slot + token) % TOKENS);
                    long bytes = (long) matrix.chunkWords(chunk) * BlockMatrix.WORD_BYTES;
                    MemorySegment.copy(
                            scratch.encoded, row + (long) chunk * BlockMatrix.LINE_BYTES, segment, at, bytes);
                }
            }
        }
    }

    private static void putTiles(
            CodecScratch scratch, BlockMatrix matrix, MemorySegment segment, long block, int slot) {
        int stride = scratch.heads() * matrix.words;
        MemorySegment.copy(scratch.encoded, JAVA_INT, 0, scratch.words, 0, TOKENS * stride);
        for (int head = 0; head < scratch.heads(); head++) {
            assemble(scratch.words, head * matrix.words, stride, matrix, scratch.tile);
            long tile = block + matrix.tileOffset(scratch.firstHead() + head, slot);
            MemorySegment.copy(scratch.tile, 0, segment, JAVA_INT, tile, matrix.words * TOKENS);
        }
    }

    private static void assemble(int[] words, int from, int stride, BlockMatrix matrix, int[] tile) {
        int to = 0;
        for (int chunk = 0; chunk * LINE_WORDS < matrix.words; chunk++) {
            int count = matrix.chunkWords(chunk);
            for (int token = 0; token < TOKENS; token++) {
                System.arraycopy(words, from + token * stride + chunk * LINE_WORDS, tile, to, count);
                to += count;
            }
        }
    }

    @Override
    void take(CodecScratch scratch, int tokens, BlockMatrix matrix, MemorySegment segment, long block, int slot) {
        for (int token = 0; token < tokens; token++) {
            for (int head = 0; head < scratch.heads(); head++) {
                long row = scratch.encodedOffset(token, head);
                long tile = block + matrix.tileOffset(scratch.firstHead() + head, slot);
                for (int chunk = 0; chunk * LINE_WORDS < matrix.words; chunk++) {
                    long at = tile + matrix.lineOffset(chunk, (slot + token) % TOKENS);
                    long bytes = (long) matrix.chunkWords(chunk) * BlockMatrix.WORD_BYTES;
                    MemorySegment.copy(
                            segment, at, scratch.encoded, row + (long) chunk * BlockMatrix.LINE_BYTES, bytes);
                }
            }
        }
    }
}
