package io.kvcache.attention;

import io.kvcache.BlockOrder;
import io.kvcache.KvLayout;
import io.kvcache.KvType;

/**
 * The sizes of one layer, as kernels want them, and where its keys and values lie in a block.
 *
 * <p>Thread-safe: immutable.
 */
final class LayerShape {
    private static final int WORD_BYTES = 4;

    final boolean tiles; // or rows
    final int tokensPerBlock;
    final int kvHeads;
    final int group; // query heads that share a K/V head
    final int keySize; // elements of a head
    final int valueSize;

    /** Elements of a head, those included that fill the last word up in tiles. */
    final int keyElements;

    final int valueElements;
    final int keyWords;
    final int valueWords;

    /** From the sums of one query head to those of the next: whole vectors. */
    final int sumStride;

    private final KvLayout layout;
    private final int layer;
    private final long keyRowBytes; // in row order
    private final long valueRowBytes;

    LayerShape(KvLayout layout, int layer, int queryHeads) {
        this.layout = layout;
        this.layer = layer;
        this.tiles = layout.order() == BlockOrder.TILES;
        this.tokensPerBlock = layout.tokensPerBlock();
        this.kvHeads = layout.kvHeads(layer);
        this.group = queryHeads / kvHeads;
        this.keySize = layout.keyHeadSize(layer);
        this.valueSize = layout.valueHeadSize(layer);
        this.keyWords = Math.ceilDiv(keySize * layout.keyType().bytes(), WORD_BYTES);
        this.valueWords = Math.ceilDiv(valueSize * layout.valueType().bytes(), WORD_BYTES);
        this.keyElements = tiles ? keyWords * WORD_BYTES / layout.keyType().bytes() : keySize;
        this.valueElements =
                tiles ? valueWords * WORD_BYTES / layout.valueType().bytes() : valueSize;
        this.sumStride = Math.ceilDiv(valueElements, HeadKernels.LINE_WORDS) * HeadKernels.LINE_WORDS;
        this.keyRowBytes = (long) kvHeads * keySize * layout.keyType().bytes();
        this.valueRowBytes = (long) kvHeads * valueSize * layout.valueType().bytes();
    }

    KvType keyType() {
        return layout.keyType();
    }

    KvType valueType() {
        return layout.valueType();
    }

    // ---- bytes from the start of a block ----

    /** The tile that starts with a slot. */
    long keyTile(int head, int slot) {
        return layout.keysOffset(layer) + ((long) head * tokensPerBlock + slot) * keyWords * WORD_BYTES;
    }

    /** The line of a slot in a chunk of values. */
    long valueLine(int head, int chunk, int slot) {
        long chunkAt = layout.valuesOffset(layer)
                + (long) tokensPerBlock
                        * ((long) head * valueWords * WORD_BYTES + (long) chunk * HeadKernels.LINE_BYTES);
        return chunkAt + (long) slot * chunkWords(chunk) * WORD_BYTES;
    }

    /** Words of a chunk of values: those of a line, but what is left in the last one. */
    int chunkWords(int chunk) {
        return Math.min(HeadKernels.LINE_WORDS, valueWords - chunk * HeadKernels.LINE_WORDS);
    }

    int chunks() {
        return Math.ceilDiv(valueWords, HeadKernels.LINE_WORDS);
    }

    /** The key of a head in row order. */
    long keyRow(int head, int slot) {
        return layout.keysOffset(layer)
                + slot * keyRowBytes
                + (long) head * keySize * layout.keyType().bytes();
    }

    long keyRowBytes() {
        return keyRowBytes;
    }

    /** The value of a head in row order. */
    long valueRow(int head, int slot) {
        return layout.valuesOffset(layer)
                + slot * valueRowBytes
                + (long) head * valueSize * layout.valueType().bytes();
    }

    long valueRowBytes() {
        return valueRowBytes;
    }

    boolean hasKeyScales() {
        return layout.keyType() == KvType.INT8;
    }

    boolean hasValueScales() {
        return layout.valueType() == KvType.INT8;
    }

    long keyScale(int head, int slot) {
        return layout.keyScalesOffset(layer) + ((long) head * tokensPerBlock + slot) * Float.BYTES;
    }

    long valueScale(int head, int slot) {
        return layout.valueScalesOffset(layer) + ((long) head * tokensPerBlock + slot) * Float.BYTES;
    }
}
