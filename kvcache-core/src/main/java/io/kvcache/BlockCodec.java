package io.kvcache;

import java.lang.foreign.MemorySegment;

/**
 * Reads and writes rows of K and V where a table says that they are: walks over the blocks, and leaves to {@link MatrixCodec} what
 * depends on type and order. Everything that touches the elements of a block goes through here or through the offsets of
 * {@link KvLayout}. Callers check ranges.
 *
 * <p>Thread-safe: callers see to it that nobody reads rows while they are written.
 */
final class BlockCodec {
    // Arrays and segments have loops of their own: wrapping an array as a segment costs an object a call, which the JIT
    // does not remove (docs/adr/0003).
    private final KvLayout layout;
    private final BlockMemory memory;
    private final MatrixCodec keyCodec;
    private final MatrixCodec valueCodec;

    BlockCodec(KvLayout layout, BlockMemory memory) {
        this.layout = layout;
        this.memory = memory;
        ScratchPool scratches = new ScratchPool(layout);
        this.keyCodec = MatrixCodec.of(layout.keys(0), scratches);
        this.valueCodec = MatrixCodec.of(layout.values(0), scratches);
    }

    /** Stores the rows of one layer from {@code position} on; sources are floats [rows][width] from an index on. */
    void write(
            BlockTable table,
            int layer,
            int position,
            int rows,
            float[] keys,
            int keysFrom,
            float[] values,
            int valuesFrom) {
        BlockMatrix key = layout.keys(layer);
        BlockMatrix value = layout.values(layer);
        int keyWidth = key.width;
        int valueWidth = value.width;
        for (int done = 0; done < rows; ) {
            int index = table.indexOf(position + done);
            int slot = position + done - index * layout.tokensPerBlock();
            int run = Math.min(rows - done, layout.tokensPerBlock() - slot);
            int block = table.block(index);
            MemorySegment segment = memory.segment(block);
            int keysAt = keysFrom + done * keyWidth;
            int valuesAt = valuesFrom + done * valueWidth;
            boolean keysFinite = keyCodec.encode(keys, keysAt, run, key, segment, memory.offset(block), slot);
            boolean valuesFinite = valueCodec.encode(values, valuesAt, run, value, segment, memory.offset(block), slot);
            if (!keysFinite || !valuesFinite) {
                memory.markNotFinite(block);
            }
            done += run;
        }
    }

    /** Stores the rows of one layer from {@code position} on; sources are floats [rows][width] from a byte on. */
    void write(
            BlockTable table,
            int layer,
            int position,
            int rows,
            MemorySegment keys,
            long keysFrom,
            MemorySegment values,
            long valuesFrom) {
        BlockMatrix key = layout.keys(layer);
        BlockMatrix value = layout.values(layer);
        long keyWidth = key.width;
        long valueWidth = value.width;
        for (int done = 0; done < rows; ) {
            int index = table.indexOf(position + done);
            int slot = position + done - index * layout.tokensPerBlock();
            int run = Math.min(rows - done, layout.tokensPerBlock() - slot);
            int block = table.block(index);
            MemorySegment segment = memory.segment(block);
            long keysAt = keysFrom + done * keyWidth * Float.BYTES;
            long valuesAt = valuesFrom + done * valueWidth * Float.BYTES;
            boolean keysFinite = keyCodec.encode(keys, keysAt, run, key, segment, memory.offset(block), slot);
            boolean valuesFinite = valueCodec.encode(values, valuesAt, run, value, segment, memory.offset(block), slot);
            if (!keysFinite || !valuesFinite) {
                memory.markNotFinite(block);
            }
            done += run;
        }
    }

    /** Loads the rows of one layer from {@code position} on as floats [rows][width], to an index on. */
    void read(
            BlockTable table,
            int layer,
            int position,
            int rows,
            float[] keys,
            int keysFrom,
            float[] values,
            int valuesFrom) {
        BlockMatrix key = layout.keys(layer);
        BlockMatrix value = layout.values(layer);
        int keyWidth = key.width;
        int valueWidth = value.width;
        for (int done = 0; done < rows; ) {
            int index = table.indexOf(position + done);
            int slot = position + done - index * layout.tokensPerBlock();
            int run = Math.min(rows - done, layout.tokensPerBlock() - slot);
            int block = table.block(index);
            MemorySegment segment = memory.segment(block);
            int keysAt = keysFrom + done * keyWidth;
            int valuesAt = valuesFrom + done * valueWidth;
            keyCodec.decode(key, segment, memory.offset(block), slot, run, keys, keysAt);
            valueCodec.decode(value, segment, memory.offset(block), slot, run, values, valuesAt);
            done += run;
        }
    }

    /** Loads the rows of one layer from {@code position} on as floats [rows][width], to a byte on. */
    void read(
            BlockTable table,
            int layer,
            int position,
            int rows,
            MemorySegment keys,
            long keysFrom,
            MemorySegment values,
            long valuesFrom) {
        BlockMatrix key = layout.keys(layer);
        BlockMatrix value = layout.values(layer);
        long keyWidth = key.width;
        long valueWidth = value.width;
        for (int done = 0; done < rows; ) {
            int index = table.indexOf(position + done);
            int slot = position + done - index * layout.tokensPerBlock();
            int run = Math.min(rows - done, layout.tokensPerBlock() - slot);
            int block = table.block(index);
            MemorySegment segment = memory.segment(block);
            long keysAt = keysFrom + done * keyWidth * Float.BYTES;
            long valuesAt = valuesFrom + done * valueWidth * Float.BYTES;
            keyCodec.decode(key, segment, memory.offset(block), slot, run, keys, keysAt);
            valueCodec.decode(value, segment, memory.offset(block), slot, run, values, valuesAt);
            done += run;
        }
    }

    /**
     * Copies the first {@code slots} tokens of a block, all layers, as they are stored: elements and scales. The copy is not finite if
     * the source is not, in whatever slot.
     */
    void copy(int source, int target, int slots) {
        if (!memory.isFinite(source)) {
            memory.markNotFinite(target);
        }
        for (int i = 0; i < 2 * layout.layers(); i++) {
            BlockMatrix matrix = layout.matrix(i);
            if (matrix.order == BlockOrder.ROWS) {
                copy(source, target, matrix.offset, slots * matrix.rowBytes);
            } else {
                copyTiles(source, target, matrix, slots);
            }
            if (matrix.type.hasScales()) {
                for (int head = 0; head < matrix.heads; head++) {
                    copy(source, target, matrix.scaleOffset(head, 0), (long) slots * Float.BYTES);
                }
            }
        }
    }

    /** Copies whole tiles of keys, where tokens beyond the last one that counts come along, and the lines of values that count. */
    private void copyTiles(int source, int target, BlockMatrix matrix, int slots) {
        for (int head = 0; head < matrix.heads; head++) {
            if (matrix.keys) {
                long bytes = Math.ceilDiv(slots, BlockMatrix.TILE_TOKENS) * matrix.tileBytes;
                copy(source, target, matrix.tileOffset(head, 0), bytes);
            } else {
                for (int chunk = 0; chunk * BlockMatrix.LINE_WORDS < matrix.words; chunk++) {
                    long bytes = (long) slots * matrix.chunkWords(chunk) * BlockMatrix.WORD_BYTES;
                    copy(source, target, matrix.lineOffset(head, chunk, 0), bytes);
                }
            }
        }
    }

    /**
     * Moves tokens of a block, all layers, to slots of another one or to earlier slots of the same, as they are stored. The target is
     * not finite if the source is not, in whatever slot.
     */
    void move(int source, int sourceSlot, int tokens, int target, int targetSlot) {
        if (!memory.isFinite(source)) {
            memory.markNotFinite(target);
        }
        MemorySegment from = memory.segment(source);
        MemorySegment to = memory.segment(target);
        for (int i = 0; i < 2 * layout.layers(); i++) {
            BlockMatrix matrix = layout.matrix(i);
            MatrixCodec codec = matrix.keys ? keyCodec : valueCodec;
            codec.move(matrix, from, memory.offset(source), sourceSlot, tokens, to, memory.offset(target), targetSlot);
        }
    }

    private void copy(int source, int target, long offset, long bytes) {
        MemorySegment.copy(
                memory.segment(source),
                memory.offset(source) + offset,
                memory.segment(target),
                memory.offset(target) + offset,
                bytes);
    }

    /** The first {@code slots} rows of a matrix, for reading. */
    MemorySegment view(int block, BlockMatrix matrix, int slots) {
        return memory.readOnlySegment(block).asSlice(offset(block, matrix, 0), slots * matrix.rowBytes);
    }

    /** The scales of a matrix [kvHeads][tokensPerBlock], for reading. */
    MemorySegment scales(int block, BlockMatrix matrix) {
        long bytes = (long) matrix.heads * matrix.tokensPerBlock * Float.BYTES;
        return memory.readOnlySegment(block).asSlice(memory.offset(block) + matrix.scalesOffset, bytes);
    }

    /** One row, writable. */
    MemorySegment row(int block, BlockMatrix matrix, int slot) {
        return memory.segment(block).asSlice(offset(block, matrix, slot), matrix.rowBytes);
    }

    /** Where a row starts in the block's chunk, in bytes. */
    long offset(int block, BlockMatrix matrix, int slot) {
        return memory.offset(block) + matrix.rowOffset(slot);
    }
}
