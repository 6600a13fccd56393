package io.kvcache;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Shape of the keys and values of one model and where each lies inside a block. Pure arithmetic, apart from memory.
 *
 * <p>A block holds K and V of all layers for {@link #tokensPerBlock()} consecutive tokens, so that it moves in one copy.
 * For every layer it holds a row-major matrix for K and one for V, the order that Java inference engines read:
 *
 * <pre>
 *            slot 0              slot 1                    slot tokensPerBlock - 1
 * layer 0  K [kvHeads x keyHeadSize | kvHeads x keyHeadSize | ...                ] padded to 64 bytes
 *          V [kvHeads x valueHeadSize | ...                                      ] padded to 64 bytes
 * layer 1  K [ ...
 * </pre>
 *
 * <p>Slots are the places for tokens inside a block, counted from 0. All sizes and offsets are in bytes and long.
 *
 * <p>Thread-safe: immutable.
 */
public final class KvLayout {
    /** Every matrix starts on a cache line, the unit of vector loads. Usual shapes are multiples of it: no padding. */
    static final int ALIGNMENT_BYTES = 64;

    /** Far above any model, far below what would exhaust the heap with bookkeeping. */
    private static final int MAXIMUM_LAYERS = 1 << 16;

    private final KvType type;
    private final int tokensPerBlock;
    private final Shape[] shapes; // [layers]

    private final Matrix[]
            matrices; // [2 * layers] in the order of the block: K of layer 0, V of layer 0, K of layer 1, ...
    private final long blockBytes;
    private final long bytesPerToken;

    /** K/V heads of one layer and the elements of each. */
    private record Shape(int kvHeads, int keyHeadSize, int valueHeadSize) {
        String describe() {
            return "kvHeads=" + kvHeads + " keyHeadSize=" + keyHeadSize + " valueHeadSize=" + valueHeadSize;
        }
    }

    /**
     * K or V of one layer inside a block.
     *
     * @param width elements of a row
     * @param rowBytes bytes of a row
     * @param offset of slot 0, in bytes from the start of the block
     */
    record Matrix(int width, long rowBytes, long offset) {
        /** Where the row of a slot starts, in bytes from the start of the block. */
        long offset(int slot) {
            return offset + slot * rowBytes;
        }
    }

    private KvLayout(KvType type, int tokensPerBlock, Shape[] shapes) {
        this.type = type;
        this.tokensPerBlock = tokensPerBlock;
        this.shapes = shapes;
        this.matrices = new Matrix[2 * shapes.length];
        long offset = 0;
        long perToken = 0;
        for (int i = 0; i < matrices.length; i++) {
            Shape shape = shapes[i / 2];
            int headSize = i % 2 == 0 ? shape.keyHeadSize : shape.valueHeadSize;
            int width = Math.multiplyExact(shape.kvHeads, headSize);
            matrices[i] = new Matrix(width, (long) width * type.bytes(), offset);
            long bytes = Math.multiplyExact(matrices[i].rowBytes, tokensPerBlock);
            offset = Math.addExact(offset, alignedBytes(bytes));
            perToken += matrices[i].rowBytes;
        }
        this.blockBytes = offset;
        this.bytesPerToken = perToken;
    }

    private static long alignedBytes(long bytes) {
        return Math.addExact(bytes, -bytes & (ALIGNMENT_BYTES - 1));
    }

    /**
     * Starts a layout.
     *
     * @return a builder with {@link KvType#F16} and 16 tokens per block; layers, kvHeads and headSize must be given
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
     * Returns the type of stored elements.
     *
     * @return the type
     */
    public KvType type() {
        return type;
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
     * Returns the size of a token's key row in one layer.
     *
     * @param layer from 0
     * @return bytes
     */
    public long keyRowBytes(int layer) {
        return keys(layer).rowBytes;
    }

    /**
     * Returns the size of a token's value row in one layer.
     *
     * @param layer from 0
     * @return bytes
     */
    public long valueRowBytes(int layer) {
        return values(layer).rowBytes;
    }

    /**
     * Returns where a token's key row starts.
     *
     * @param layer from 0
     * @param slot place of the token in its block, from 0
     * @return bytes from the start of the block
     */
    public long keyOffset(int layer, int slot) {
        return keys(layer).offset(checkSlot(slot));
    }

    /**
     * Returns where a token's value row starts.
     *
     * @param layer from 0
     * @param slot place of the token in its block, from 0
     * @return bytes from the start of the block
     */
    public long valueOffset(int layer, int slot) {
        return values(layer).offset(checkSlot(slot));
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
     * Returns what the keys and values of one token take in all layers, padding apart.
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

    /** Layouts are equal when every offset is: type, tokens per block, and the shape of each layer. */
    @Override
    public boolean equals(@Nullable Object other) {
        return this == other // nearly always
                || (other instanceof KvLayout that
                        && type == that.type
                        && tokensPerBlock == that.tokensPerBlock
                        && Arrays.equals(shapes, that.shapes));
    }

    @Override
    public int hashCode() {
        return 31 * Objects.hash(type, tokensPerBlock) + Arrays.hashCode(shapes);
    }

    @Override
    public String toString() {
        return "KvLayout[layers=" + shapes.length + " " + describeShapes() + " type=" + type + " tokensPerBlock="
                + tokensPerBlock + " bytesPerToken=" + bytesPerToken + " blockBytes=" + blockBytes + "]";
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
    Matrix keys(int layer) {
        return matrices[2 * checkLayer(layer)];
    }

    /** The values of a layer. */
    Matrix values(int layer) {
        return matrices[2 * checkLayer(layer) + 1];
    }

    /** Keys or values by their place in the block, 0 to 2 x layers, exclusive. */
    Matrix matrix(int index) {
        return matrices[index];
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
        private KvType type = KvType.F16;
        private int tokensPerBlock = 16;
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
         * Sets the type of stored elements.
         *
         * @param elementType F16 unless set
         * @return this
         */
        public Builder type(KvType elementType) {
            type = Objects.requireNonNull(elementType, "type");
            return this;
        }

        /**
         * Sets the number of tokens that a block holds: fewer waste less and share more finely, more read faster.
         *
         * @param tokens at least 1; 16 unless set
         * @return this
         */
        public Builder tokensPerBlock(int tokens) {
            tokensPerBlock = positive("tokensPerBlock", tokens);
            return this;
        }

        /**
         * Builds the layout.
         *
         * @return the layout
         * @throws IllegalArgumentException if a size is missing, a layer was shaped that does not exist, or a block
         *     would exceed what a long holds
         */
        public KvLayout build() {
            Shape[] shapes = new Shape[positive("layers", layers)];
            for (int layer = 0; layer < layers; layer++) {
                Shape exception = exceptions.get(layer);
                shapes[layer] = exception != null ? exception : commonShape();
            }
            checkExceptionsExist();
            try {
                return new KvLayout(type, tokensPerBlock, shapes);
            } catch (ArithmeticException e) {
                throw new IllegalArgumentException(
                        "layout overflows: layers=" + layers + " kvHeads=" + kvHeads + " keyHeadSize=" + keyHeadSize
                                + " valueHeadSize=" + valueHeadSize + " type=" + type + " tokensPerBlock="
                                + tokensPerBlock + " exceptions=" + exceptions,
                        e);
            }
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
