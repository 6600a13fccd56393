package io.kvcache;

import java.lang.foreign.MemorySegment;

/**
 * Reads and writes token rows of K and V inside blocks, in the order that the layout prescribes. Everything that touches
 * the elements of a block goes through here or through the offsets of {@link KvLayout}, so that an order is one thing to
 * change. Callers check ranges; a run of rows never leaves its block.
 *
 * <p>Thread-safe: it has no state; callers see to it that nobody reads rows while they are written.
 */
final class BlockCodec {
    private final KvLayout layout;
    private final BlockMemory memory;

    BlockCodec(KvLayout layout, BlockMemory memory) {
        this.layout = layout;
        this.memory = memory;
    }

    /** Stores rows [rows][width] of floats in native byte order from slot {@code slot} on; sources from a byte offset. */
    void write(
            int block,
            int layer,
            int slot,
            int rows,
            MemorySegment keys,
            long keysFrom,
            MemorySegment values,
            long valuesFrom) {
        MemorySegment segment = memory.segment(block);
        KvType type = layout.type();
        long keyCount = (long) rows * layout.keyWidth(layer);
        long valueCount = (long) rows * layout.valueWidth(layer);
        type.encode(keys, keysFrom, keyCount, segment, keyOffset(block, layer, slot));
        type.encode(values, valuesFrom, valueCount, segment, valueOffset(block, layer, slot));
    }

    /** Loads rows from slot {@code slot} on as floats [rows][width] in native byte order; destinations from a byte offset. */
    void read(
            int block,
            int layer,
            int slot,
            int rows,
            MemorySegment keys,
            long keysFrom,
            MemorySegment values,
            long valuesFrom) {
        MemorySegment segment = memory.readOnlySegment(block);
        KvType type = layout.type();
        long keyCount = (long) rows * layout.keyWidth(layer);
        long valueCount = (long) rows * layout.valueWidth(layer);
        type.decode(segment, keyOffset(block, layer, slot), keyCount, keys, keysFrom);
        type.decode(segment, valueOffset(block, layer, slot), valueCount, values, valuesFrom);
    }

    /** Copies the first {@code slots} tokens of a block, all layers, as they are stored. */
    void copy(int source, int target, int slots) {
        MemorySegment from = memory.readOnlySegment(source);
        MemorySegment to = memory.segment(target);
        for (int layer = 0; layer < layout.layers(); layer++) {
            long keyBytes = slots * layout.keyRowBytes(layer);
            long valueBytes = slots * layout.valueRowBytes(layer);
            MemorySegment.copy(from, keyOffset(source, layer, 0), to, keyOffset(target, layer, 0), keyBytes);
            MemorySegment.copy(from, valueOffset(source, layer, 0), to, valueOffset(target, layer, 0), valueBytes);
        }
    }

    /** The first {@code slots} key rows of a block, for reading. */
    MemorySegment keys(int block, int layer, int slots) {
        return memory.readOnlySegment(block).asSlice(keyOffset(block, layer, 0), slots * layout.keyRowBytes(layer));
    }

    /** The first {@code slots} value rows of a block, for reading. */
    MemorySegment values(int block, int layer, int slots) {
        return memory.readOnlySegment(block).asSlice(valueOffset(block, layer, 0), slots * layout.valueRowBytes(layer));
    }

    /** One key row, writable. */
    MemorySegment keyRow(int block, int layer, int slot) {
        return memory.segment(block).asSlice(keyOffset(block, layer, slot), layout.keyRowBytes(layer));
    }

    /** One value row, writable. */
    MemorySegment valueRow(int block, int layer, int slot) {
        return memory.segment(block).asSlice(valueOffset(block, layer, slot), layout.valueRowBytes(layer));
    }

    /** Where a key row starts in the block's chunk, in bytes. */
    long keyOffset(int block, int layer, int slot) {
        return memory.offset(block) + layout.keyOffset(layer, slot);
    }

    /** Where a value row starts in the block's chunk, in bytes. */
    long valueOffset(int block, int layer, int slot) {
        return memory.offset(block) + layout.valueOffset(layer, slot);
    }
}
