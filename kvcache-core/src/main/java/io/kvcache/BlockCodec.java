package io.kvcache;

import java.lang.foreign.MemorySegment;

/**
 * Reads and writes rows of K and V where a table says that they are, in the order that the layout prescribes. Everything
 * that touches the elements of a block goes through here or through the offsets of {@link KvLayout}, so that an order is one
 * thing to change. Callers check ranges.
 *
 * <p>Thread-safe: it has no state; callers see to it that nobody reads rows while they are written.
 */
final class BlockCodec {
    // Arrays and segments have loops of their own: wrapping an array as a segment costs an object a call, which the JIT
    // does not remove (docs/adr/0003).
    private final KvLayout layout;
    private final BlockMemory memory;

    BlockCodec(KvLayout layout, BlockMemory memory) {
        this.layout = layout;
        this.memory = memory;
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
            key.type.encode(keys, keysAt, run * keyWidth, segment, offset(block, key, slot));
            value.type.encode(values, valuesAt, run * valueWidth, segment, offset(block, value, slot));
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
            key.type.encode(keys, keysAt, run * keyWidth, segment, offset(block, key, slot));
            value.type.encode(values, valuesAt, run * valueWidth, segment, offset(block, value, slot));
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
            key.type.decode(segment, offset(block, key, slot), run * keyWidth, keys, keysAt);
            value.type.decode(segment, offset(block, value, slot), run * valueWidth, values, valuesAt);
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
            key.type.decode(segment, offset(block, key, slot), run * keyWidth, keys, keysAt);
            value.type.decode(segment, offset(block, value, slot), run * valueWidth, values, valuesAt);
            done += run;
        }
    }

    /** Copies the first {@code slots} tokens of a block, all layers, as they are stored. */
    void copy(int source, int target, int slots) {
        MemorySegment from = memory.segment(source);
        MemorySegment to = memory.segment(target);
        for (int i = 0; i < 2 * layout.layers(); i++) {
            BlockMatrix matrix = layout.matrix(i);
            long bytes = slots * matrix.rowBytes;
            MemorySegment.copy(from, offset(source, matrix, 0), to, offset(target, matrix, 0), bytes);
        }
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
