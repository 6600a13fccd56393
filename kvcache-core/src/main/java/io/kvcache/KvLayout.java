package io.kvcache;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Shape of the keys and values of one model and where each lies inside a block. Pure arithmetic, apart from memory.
 *
 * <p>A block holds K and V of all layers for {@link #tokensPerBlock()} consecutive tokens, so that it moves in one copy. For every
 * layer it holds a matrix for K and one for V. A matrix has a region of elements and, where the type has scales, one of
 * scales; each starts at a multiple of 64 bytes from the start of the block:
 *
 * <pre>
 * layer 0  K elements | K scales: float [kvHeads][tokensPerBlock]
 *          V elements | V scales
 * layer 1  K ...
 * </pre>
 *
 * <p>Elements lie in one of two {@linkplain BlockOrder orders}. In rows:
 *
 * <pre>
 * slot 0                  slot 1                   slot tokensPerBlock - 1
 * [ kvHeads x headSize  | kvHeads x headSize | ... ]
 * </pre>
 *
 * <p>In tiles, everything is in 32-bit words of 1 F32, 2 F16 or BF16, or 4 INT8 elements: W = ceil(headSize x bytes / 4)
 * words a head and token, with zeros behind the last element. Head after head lies there: K in tiles of 16 tokens, V in
 * chunks of 16 words:
 *
 * <pre>
 * K of a head  tile 0      line 0      word 0 of tokens 0 to 15
 *                          line 1      word 1 of tokens 0 to 15
 *                          ...
 *                          line W - 1
 *              tile 1      the same of tokens 16 to 31
 *              ...
 *
 * V of a head  chunk 0     words 0 to 15 of token 0     of token 1   ...  of token tokensPerBlock - 1
 *              chunk 1     words 16 to 31 of token 0    of token 1   ...
 *              ...
 *              last chunk  the W % 16 words that remain of token 0 | of token 1 | ... (without gaps)
 * </pre>
 *
 * <p>Slots are the places for tokens inside a block, counted from 0. All sizes and offsets are in bytes and long.
 *
 * <p>Thread-safe: immutable.
 */
public final class KvLayout {
    /** Tokens of a tile: as many as 32-bit words fit in 64 bytes, a cache line and the widest vector. */
    public static final int TILE_TOKENS = BlockMatrix.TILE_TOKENS;

    /** Far above any model, far below what would exhaust the heap with bookkeeping. */
    private static final int MAXIMUM_LAYERS = 1 << 16;

    private final KvType keyType;
    private final KvType valueType;
    private final BlockOrder order;
    private final int tokensPerBlock;
    private final Shape[] shapes; // [layers]
    private final BlockMatrix[] matrices; // [2 * layers] as in the block: K of layer 0, V of layer 0, K of layer 1, ...
    private final long blockBytes;
    private final long bytesPerToken;
    private final String rationale;

    /** K/V heads of one layer and the elements of each. */
    private record Shape(int kvHeads, int keyHeadSize, int valueHeadSize) {
        String describe() {
            return "kvHeads=" + kvHeads + " keyHeadSize=" + keyHeadSize + " valueHeadSize=" + valueHeadSize;
        }
    }

    private KvLayout(
            KvType keyType, KvType valueType, BlockOrder order, int tokensPerBlock, Shape[] shapes, String rationale) {
        this.keyType = keyType;
        this.valueType = valueType;
        this.order = order;
        this.tokensPerBlock = tokensPerBlock;
        this.shapes = shapes;
        this.rationale = rationale;
        this.matrices = new BlockMatrix[2 * shapes.length];
        long offset = 0;
        long perToken = 0;
        for (int i = 0; i < matrices.length; i++) {
            Shape shape = shapes[i / 2];
            boolean keys = i % 2 == 0;
            KvType type = keys ? keyType : valueType;
            int headSize = keys ? shape.keyHeadSize : shape.valueHeadSize;
            matrices[i] = new BlockMatrix(type, order, keys, shape.kvHeads, headSize, tokensPerBlock, offset);
            offset = matrices[i].end;
            perToken += matrices[i].bytesPerToken();
        }
        this.blockBytes = offset;
        this.bytesPerToken = perToken;
    }

    /**
     * Starts a layout.
     *
     * @return a builder with {@link KvType#F16} for keys and values; layers, kvHeads and headSize must be given
     */
    public static Builder builder() {
        return new Builder();
    }

    /**
     * Returns the number of layers.
     *
     * @return layers, at least 1
     */
    public int layers() {
        return shapes.length;
    }

    /**
     * Returns the number of tokens that a block holds.
     *
     * @return tokens, at least 1
     */
    public int tokensPerBlock() {
        return tokensPerBlock;
    }

    /**
     * Returns the type in which keys are stored.
     *
     * @return the type
     */
    public KvType keyType() {
        return keyType;
    }

    /**
     * Returns the type in which values are stored.
     *
     * @return the type
     */
    public KvType valueType() {
        return valueType;
    }

    /**
     * Returns the order of the elements in a block.
     *
     * @return the order
     */
    public BlockOrder order() {
        return order;
    }

    /**
     * Returns why the layout has this order and this number of tokens per block: because its caller said so, or the reason for the
     * choice.
     *
     * @return sentences for people
     */
    public String rationale() {
        return rationale;
    }

    /**
     * Returns the number of K/V heads of a layer.
     *
     * @param layer from 0
     * @return heads
     */
    public int kvHeads(int layer) {
        return shape(layer).kvHeads();
    }

    /**
     * Returns the elements of one head's key.
     *
     * @param layer from 0
     * @return elements
     */
    public int keyHeadSize(int layer) {
        return shape(layer).keyHeadSize();
    }

    /**
     * Returns the elements of one head's value.
     *
     * @param layer from 0
     * @return elements
     */
    public int valueHeadSize(int layer) {
        return shape(layer).valueHeadSize();
    }

    /**
     * Returns the elements of a token's key row: kvHeads x keyHeadSize, heads outermost.
     *
     * @param layer from 0
     * @return elements
     */
    public int keyWidth(int layer) {
        return keys(layer).width;
    }

    /**
     * Returns the elements of a token's value row: kvHeads x valueHeadSize, heads outermost.
     *
     * @param layer from 0
     * @return elements
     */
    public int valueWidth(int layer) {
        return values(layer).width;
    }

    /**
     * Returns the size of a token's key row in one layer, in row order.
     *
     * @param layer from 0
     * @return bytes
     * @throws IllegalStateException in another order
     */
    public long keyRowBytes(int layer) {
        return rows(keys(layer)).rowBytes;
    }

    /**
     * Returns the size of a token's value row in one layer, in row order.
     *
     * @param layer from 0
     * @return bytes
     * @throws IllegalStateException in another order
     */
    public long valueRowBytes(int layer) {
        return rows(values(layer)).rowBytes;
    }

    /**
     * Returns where a token's key row starts, in row order.
     *
     * @param layer from 0
     * @param slot place of the token in its block, from 0
     * @return bytes from the start of the block
     * @throws IllegalStateException in another order
     */
    public long keyOffset(int layer, int slot) {
        return rows(keys(layer)).rowOffset(checkSlot(slot));
    }

    /**
     * Returns where a token's value row starts, in row order.
     *
     * @param layer from 0
     * @param slot place of the token in its block, from 0
     * @return bytes from the start of the block
     * @throws IllegalStateException in another order
     */
    public long valueOffset(int layer, int slot) {
        return rows(values(layer)).rowOffset(checkSlot(slot));
    }

    /**
     * Returns where the keys of a layer start.
     *
     * @param layer from 0
     * @return bytes from the start of the block
     */
    public long keysOffset(int layer) {
        return keys(layer).offset;
    }

    /**
     * Returns where the values of a layer start.
     *
     * @param layer from 0
     * @return bytes from the start of the block
     */
    public long valuesOffset(int layer) {
        return values(layer).offset;
    }

    /**
     * Returns where the scales of a layer's keys start: floats [kvHeads][tokensPerBlock].
     *
     * @param layer from 0
     * @return bytes from the start of the block
     * @throws IllegalStateException if the type of keys has no scales
     */
    public long keyScalesOffset(int layer) {
        return scaled("keyType", keys(layer)).scalesOffset;
    }

    /**
     * Returns where the scales of a layer's values start: floats [kvHeads][tokensPerBlock].
     *
     * @param layer from 0
     * @return bytes from the start of the block
     * @throws IllegalStateException if the type of values has no scales
     */
    public long valueScalesOffset(int layer) {
        return scaled("valueType", values(layer)).scalesOffset;
    }

    /**
     * Returns where an element of a key lies, in either order.
     *
     * @param layer from 0
     * @param head K/V head, from 0
     * @param slot place of the token in its block, from 0
     * @param element from 0 to keyHeadSize, exclusive
     * @return bytes from the start of the block
     */
    public long keyElementOffset(int layer, int head, int slot, int element) {
        return elementOffset(keys(layer), head, slot, element);
    }

    /**
     * Returns where an element of a value lies, in either order.
     *
     * @param layer from 0
     * @param head K/V head, from 0
     * @param slot place of the token in its block, from 0
     * @param element from 0 to valueHeadSize, exclusive
     * @return bytes from the start of the block
     */
    public long valueElementOffset(int layer, int head, int slot, int element) {
        return elementOffset(values(layer), head, slot, element);
    }

    /**
     * Returns the 32-bit words that one head's key takes in tiles.
     *
     * @param layer from 0
     * @return words
     */
    public int keyWords(int layer) {
        return keys(layer).words;
    }

    /**
     * Returns the 32-bit words that one head's value takes in tiles.
     *
     * @param layer from 0
     * @return words
     */
    public int valueWords(int layer) {
        return values(layer).words;
    }

    /**
     * Returns the size of a block, all layers, a multiple of 64.
     *
     * @return bytes
     */
    public long blockBytes() {
        return blockBytes;
    }

    /**
     * Returns what the keys and values of one token take in all layers, scales included, padding apart.
     *
     * @return bytes
     */
    public long bytesPerToken() {
        return bytesPerToken;
    }

    /**
     * Returns how many blocks hold a number of tokens.
     *
     * @param tokens at least 0
     * @return blocks
     */
    public int blocksFor(int tokens) {
        return Math.ceilDiv(tokens, tokensPerBlock);
    }

    /** Layouts are equal when every offset is: types, order, tokens per block, and the shape of each layer. */
    @Override
    public boolean equals(@Nullable Object other) {
        return this == other // nearly always
                || (other instanceof KvLayout that
                        && keyType == that.keyType
                        && valueType == that.valueType
                        && order == that.order
                        && tokensPerBlock == that.tokensPerBlock
                        && Arrays.equals(shapes, that.shapes));
    }

    @Override
    public int hashCode() {
        return 31 * Objects.hash(keyType, valueType, order, tokensPerBlock) + Arrays.hashCode(shapes);
    }

    @Override
    public String toString() {
        return "KvLayout[layers=" + shapes.length + " " + describeShapes() + " keyType=" + keyType + " valueType="
                + valueType + " order=" + order + " tokensPerBlock=" + tokensPerBlock + " bytesPerToken="
                + bytesPerToken + " blockBytes=" + blockBytes + "]";
    }

    /** The shape of the first layer, and each layer that differs from the one before it: layouts that differ read differently. */
    private String describeShapes() {
        StringBuilder text = new StringBuilder(shapes[0].describe());
        for (int layer = 1; layer < shapes.length; layer++) {
            if (!shapes[layer].equals(shapes[layer - 1])) {
                text.append(" from layer ").append(layer).append(' ').append(shapes[layer].describe());
            }
        }
        return text.toString();
    }

    /** The keys of a layer. */
    BlockMatrix keys(int layer) {
        return matrices[2 * checkLayer(layer)];
    }

    /** The values of a layer. */
    BlockMatrix values(int layer) {
        return matrices[2 * checkLayer(layer) + 1];
    }

    /** Keys or values by their place in the block, 0 to 2 x layers, exclusive. */
    BlockMatrix matrix(int index) {
        return matrices[index];
    }

    /** A matrix that has rows. */
    BlockMatrix rows(BlockMatrix matrix) {
        if (order != BlockOrder.ROWS) {
            throw new IllegalStateException("rows exist in row order only: order=" + order);
        }
        return matrix;
    }

    /** A matrix that has scales. */
    BlockMatrix scaled(String name, BlockMatrix matrix) {
        if (!matrix.type.hasScales()) {
            throw new IllegalStateException("type has no scales: " + name + "=" + matrix.type);
        }
        return matrix;
    }

    private long elementOffset(BlockMatrix matrix, int head, int slot, int element) {
        if (head < 0 || head >= matrix.heads) {
            throw new IndexOutOfBoundsException("no such head: head=" + head + " kvHeads=" + matrix.heads);
        }
        if (element < 0 || element >= matrix.headSize) {
            throw new IndexOutOfBoundsException("no such element: element=" + element + " headSize=" + matrix.headSize);
        }
        return matrix.elementOffset(head, checkSlot(slot), element);
    }

    private Shape shape(int layer) {
        return shapes[checkLayer(layer)];
    }

    private int checkLayer(int layer) {
        if (layer < 0 || layer >= shapes.length) {
            throw new IndexOutOfBoundsException("no such layer: layer=" + layer + " layers=" + shapes.length);
        }
        return layer;
    }

    private int checkSlot(int slot) {
        if (slot < 0 || slot >= tokensPerBlock) {
            throw new IndexOutOfBoundsException("no such slot: slot=" + slot + " tokensPerBlock=" + tokensPerBlock);
        }
        return slot;
    }

    /**
     * Collects the shape of a model. Layers are alike unless {@link #layer} says otherwise for one of them.
     *
     * <p>Not thread-safe.
     */
    public static final class Builder {
        private int layers;
        private int kvHeads;
        private int keyHeadSize;
        private int valueHeadSize;
        private KvType keyType = KvType.F16;
        private KvType valueType = KvType.F16;
        private @Nullable BlockOrder order;
        private int tokensPerBlock; // 0: not given
        private int queryHeads; // 0: not given
        private final Map<Integer, Shape> exceptions = new HashMap<>();

        private Builder() {}

        /**
         * Sets the number of layers.
         *
         * @param count 1 to 65,536
         * @return this
         */
        public Builder layers(int count) {
            layers = positive("layers", count);
            if (count > MAXIMUM_LAYERS) {
                throw new IllegalArgumentException("too many layers: layers=" + count + " maximum=" + MAXIMUM_LAYERS);
            }
            return this;
        }

        /**
         * Sets the number of K/V heads (not of query heads).
         *
         * @param count at least 1
         * @return this
         */
        public Builder kvHeads(int count) {
            kvHeads = positive("kvHeads", count);
            return this;
        }

        /**
         * Sets the elements of one head, the same for K and V.
         *
         * @param elements at least 1
         * @return this
         */
        public Builder headSize(int elements) {
            return headSizes(elements, elements);
        }

        /**
         * Sets the elements of one head where they differ for K and V.
         *
         * @param keyElements at least 1
         * @param valueElements at least 1
         * @return this
         */
        public Builder headSizes(int keyElements, int valueElements) {
            keyHeadSize = positive("keyHeadSize", keyElements);
            valueHeadSize = positive("valueHeadSize", valueElements);
            return this;
        }

        /**
         * Gives one layer a shape of its own.
         *
         * @param layer from 0
         * @param heads K/V heads, at least 1
         * @param keyElements elements of one head's key, at least 1
         * @param valueElements elements of one head's value, at least 1
         * @return this
         */
        public Builder layer(int layer, int heads, int keyElements, int valueElements) {
            Shape shape = new Shape(
                    positive("kvHeads", heads),
                    positive("keyHeadSize", keyElements),
                    positive("valueHeadSize", valueElements));
            exceptions.put(layer, shape);
            return this;
        }

        /**
         * Sets the type in which keys and values are stored.
         *
         * @param elementType F16 unless set
         * @return this
         */
        public Builder type(KvType elementType) {
            return types(elementType, elementType);
        }

        /**
         * Sets the types in which keys and values are stored, each for itself.
         *
         * @param ofKeys F16 unless set
         * @param ofValues F16 unless set
         * @return this
         */
        public Builder types(KvType ofKeys, KvType ofValues) {
            keyType = Objects.requireNonNull(ofKeys, "keyType");
            valueType = Objects.requireNonNull(ofValues, "valueType");
            return this;
        }

        /**
         * Sets the order of the elements in a block.
         *
         * @param blockOrder unless set, {@link BlockOrder#TILES} where tokensPerBlock is a multiple of 16, otherwise
         *     {@link BlockOrder#ROWS}
         * @return this
         */
        public Builder order(BlockOrder blockOrder) {
            order = Objects.requireNonNull(blockOrder, "order");
            return this;
        }

        /**
         * Sets the number of tokens that a block holds: fewer waste less and share more finely, more read faster.
         *
         * @param tokens at least 1, in tiles a multiple of 16; unless set, 64 where K and V of one layer then take 64 KiB or more,
         *     otherwise 16
         * @return this
         */
        public Builder tokensPerBlock(int tokens) {
            tokensPerBlock = positive("tokensPerBlock", tokens);
            return this;
        }

        /**
         * Says how many heads of queries there are. They have no part in any offset: only {@link KvLayout#rationale()} tells what
         * they mean for the choice.
         *
         * @param count at least 1
         * @return this
         */
        public Builder queryHeads(int count) {
            queryHeads = positive("queryHeads", count);
            return this;
        }

        /**
         * Builds the layout.
         *
         * @return the layout
         * @throws IllegalArgumentException if a size is missing, a layer was shaped that does not exist, tiles are asked for and
         *     tokensPerBlock is not a multiple of 16, or a block would exceed what a long holds
         */
        public KvLayout build() {
            Shape[] shapes = new Shape[positive("layers", layers)];
            for (int layer = 0; layer < layers; layer++) {
                Shape exception = exceptions.get(layer);
                shapes[layer] = exception != null ? exception : commonShape();
            }
            checkExceptionsExist();
            LayoutChoice choice = new LayoutChoice(order, tokensPerBlock, largestRowBytes(shapes), heads(shapes));
            try {
                return new KvLayout(
                        keyType, valueType, choice.order(), choice.tokensPerBlock(), shapes, choice.rationale());
            } catch (ArithmeticException e) {
                throw new IllegalArgumentException(
                        "layout overflows: layers=" + layers + " kvHeads=" + kvHeads + " keyHeadSize=" + keyHeadSize
                                + " valueHeadSize=" + valueHeadSize + " keyType=" + keyType + " valueType="
                                + valueType + " tokensPerBlock=" + choice.tokensPerBlock() + " exceptions="
                                + exceptions,
                        e);
            }
        }

        /** K and V of a token in the layer where they take the most. */
        private long largestRowBytes(Shape[] shapes) {
            long largest = 0;
            for (Shape shape : shapes) {
                long keyBytes = (long) shape.keyHeadSize * keyType.bytes();
                long valueBytes = (long) shape.valueHeadSize * valueType.bytes();
                largest = Math.max(largest, shape.kvHeads * (keyBytes + valueBytes));
            }
            return largest;
        }

        /** How many query heads read a K/V head, in words, as far as it is known. */
        private String heads(Shape[] shapes) {
            return queryHeads == 0 ? "" : "queryHeads=" + queryHeads + " kvHeads=" + shapes[0].kvHeads;
        }

        private Shape commonShape() {
            return new Shape(
                    positive("kvHeads", kvHeads),
                    positive("keyHeadSize", keyHeadSize),
                    positive("valueHeadSize", valueHeadSize));
        }

        private void checkExceptionsExist() {
            for (int layer : exceptions.keySet()) {
                if (layer < 0 || layer >= layers) {
                    throw new IllegalArgumentException("no such layer: layer=" + layer + " layers=" + layers);
                }
            }
        }

        private static int positive(String name, int value) {
            if (value <= 0) {
                throw new IllegalArgumentException("must be positive: " + name + "=" + value);
            }
            return value;
        }
    }
}
