package io.kvcache;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Where a few heads of up to 16 tokens are on their way between floats and a block.
 *
 * <pre>
 *   float[] --ElementCodec--> encoded [tokens][heads][headBytes] --ElementPlacement--> block
 * </pre>
 *
 * <p>Not thread-safe: belongs to whoever has claimed it from {@link ScratchPool}.
 */
final class CodecScratch {
    // The JIT vectorises loops from array to array; bits of floats it moves only in bulk, through native memory
    // (docs/adr/0007).
    private static final int TOKENS = BlockMatrix.TILE_TOKENS;

    /** As many words of 16 tokens as stay in the second-level cache beside what they come from and go to. */
    private static final int WORDS = 16 << 10;

    // Two halves in a word, without their signs. A step more, and an exponent of ones, which is infinity or NaN, flows
    // over to where the sign was; no other does, and none reaches the other half.
    private static final int MAGNITUDES = 0x7fff_7fff;
    private static final int EXPONENT_STEPS = 0x0400_0400;
    private static final int SIGNS = 0x8000_8000;

    /** Encoded elements [tokens][heads][headBytes]. In tiles, heads end on a whole word, with zeros behind the last element. */
    final MemorySegment encoded;

    /** Scales [tokens][heads], for types that have them. */
    final float[] scales;

    /** Elements of one token [heads][headSize], as each type needs them. */
    final float[] floats;

    final int[] bits;
    final short[] shorts;
    final byte[] bytes;

    /** Words of all tokens [tokens][heads][words], and of a tile of one head. */
    final int[] words;

    final int[] tile;

    private final MemorySegment exchange; // [heads][headSize] floats or their bits

    // What is on its way now:
    private int firstHead;
    private int heads;
    private int headSize;
    private long headBytes;
    private int paddingBytes;

    /** Makes room for as many heads as {@link #headsAtOnce} says, of K and V of any layer. */
    CodecScratch(KvLayout layout) {
        int elements = 0;
        int headsAtOnce = 0;
        int headWords = 0;
        int allWords = 0;
        for (int i = 0; i < 2 * layout.layers(); i++) {
            BlockMatrix matrix = layout.matrix(i);
            int atOnce = headsAtOnce(matrix);
            headsAtOnce = Math.max(headsAtOnce, atOnce);
            elements = Math.max(elements, Math.multiplyExact(atOnce, matrix.headSize));
            headWords = Math.max(headWords, matrix.words);
            allWords = Math.max(allWords, Math.multiplyExact(atOnce, matrix.words));
        }
        Arena arena = Arena.ofAuto();
        this.encoded = arena.allocate((long) TOKENS * allWords * BlockMatrix.WORD_BYTES, BlockMatrix.ALIGNMENT_BYTES);
        this.exchange = arena.allocate((long) elements * Float.BYTES, BlockMatrix.ALIGNMENT_BYTES);
        this.scales = new float[TOKENS * headsAtOnce];
        this.floats = new float[elements];
        this.bits = new int[elements];
        this.shorts = new short[elements];
        this.bytes = new byte[elements];
        this.words = new int[Math.multiplyExact(TOKENS, allWords)];
        this.tile = new int[Math.multiplyExact(TOKENS, headWords)];
    }

    /** How many heads of a matrix are converted together. */
    private static int headsAtOnce(BlockMatrix matrix) {
        return Math.clamp(WORDS / TOKENS / matrix.words, 1, matrix.heads);
    }

    /**
     * Takes up heads of a matrix.
     *
     * @return how many, from {@code head} on
     */
    int begin(BlockMatrix matrix, int head) {
        firstHead = head;
        heads = Math.min(headsAtOnce(matrix), matrix.heads - head);
        headSize = matrix.headSize;
        int elementBytes = headSize * matrix.type.bytes();
        headBytes = matrix.order == BlockOrder.ROWS ? elementBytes : (long) matrix.words * BlockMatrix.WORD_BYTES;
        paddingBytes = (int) (headBytes - elementBytes);
        return heads;
    }

    int firstHead() {
        return firstHead;
    }

    int heads() {
        return heads;
    }

    int headSize() {
        return headSize;
    }

    /** Elements of one token. */
    int elements() {
        return heads * headSize;
    }

    /** Bytes of one token in {@link #encoded}. */
    long tokenBytes() {
        return heads * headBytes;
    }

    /** Where a token and head lies in {@link #encoded}. */
    long encodedOffset(int token, int head) {
        return (token * (long) heads + head) * headBytes;
    }

    /** Puts the encoded elements of a token, an array [heads][headSize], where they belong. */
    void storeEncoded(Object elements, ValueLayout layout, int token) {
        if (paddingBytes == 0) {
            MemorySegment.copy(elements, 0, encoded, layout, encodedOffset(token, 0), elements());
            return;
        }
        for (int head = 0; head < heads; head++) {
            long at = encodedOffset(token, head);
            MemorySegment.copy(elements, head * headSize, encoded, layout, at, headSize);
            for (int i = 1; i <= paddingBytes; i++) {
                encoded.set(JAVA_BYTE, at + headBytes - i, (byte) 0);
            }
        }
    }

    /** The reverse. */
    void loadEncoded(int token, ValueLayout layout, Object elements) {
        if (paddingBytes == 0) {
            MemorySegment.copy(encoded, layout, encodedOffset(token, 0), elements, 0, elements());
            return;
        }
        for (int head = 0; head < heads; head++) {
            MemorySegment.copy(encoded, layout, encodedOffset(token, head), elements, head * headSize, headSize);
        }
    }

    /** Whether the encoded tokens, which are F16, hold neither infinity nor NaN. Overwrites {@link #words}. */
    boolean halvesAreFinite(int tokens) {
        long bytes = tokens * tokenBytes();
        int count = (int) (bytes / BlockMatrix.WORD_BYTES);
        // As words, because the JIT is slow with sums and the like over shorts (docs/adr/0007).
        MemorySegment.copy(encoded, JAVA_INT, 0, words, 0, count);
        int overflows = overflows(words, count);
        if (bytes % BlockMatrix.WORD_BYTES != 0) {
            int last = Short.toUnsignedInt(encoded.get(JAVA_SHORT, bytes - Short.BYTES));
            overflows |= (last & MAGNITUDES) + EXPONENT_STEPS;
        }
        return (overflows & SIGNS) == 0;
    }

    private static int overflows(int[] words, int count) {
        int overflows = 0;
        for (int i = 0; i < count; i++) {
            overflows |= (words[i] & MAGNITUDES) + EXPONENT_STEPS;
        }
        return overflows;
    }

    /** Fills {@link #bits} with the bits of one token's floats. */
    void floatsToBits(float[] source, int from) {
        MemorySegment.copy(source, from, exchange, JAVA_FLOAT, 0, elements());
        MemorySegment.copy(exchange, JAVA_INT, 0, bits, 0, elements());
    }

    /** The reverse. */
    void bitsToFloats(float[] destination, int to) {
        MemorySegment.copy(bits, 0, exchange, JAVA_INT, 0, elements());
        MemorySegment.copy(exchange, JAVA_FLOAT, 0, destination, to, elements());
    }
}
