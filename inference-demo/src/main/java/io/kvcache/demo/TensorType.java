package io.kvcache.demo;

import java.util.List;

/**
 * How the elements of a tensor are stored: in blocks of {@code blockElements} elements and {@code blockBytes} bytes. Types
 * that this reader cannot read have a block of no bytes.
 *
 * <p>Immutable, hence thread-safe.
 *
 * @param number the type's number in the file
 * @param label its usual name
 * @param blockElements elements in a block
 * @param blockBytes bytes of a block, 0 for a type that cannot be read
 */
public record TensorType(int number, String label, int blockElements, int blockBytes) {
    /** 32-bit floating point. */
    public static final TensorType F32 = new TensorType(0, "F32", 1, 4);

    /** 16-bit floating point (5 bits of exponent). */
    public static final TensorType F16 = new TensorType(1, "F16", 1, 2);

    /** Blocks of 32 signed bytes, with an F16 scale in front. */
    public static final TensorType Q8_0 = new TensorType(8, "Q8_0", 32, 34);

    private static final List<TensorType> READABLE = List.of(F32, F16, Q8_0);

    /** Names by number, for messages; 4 and 5 are no longer in use. */
    private static final List<String> LABELS = List.of(
            "F32", "F16", "Q4_0", "Q4_1", "Q4_2", "Q4_3", "Q5_0", "Q5_1", "Q8_0", "Q8_1", "Q2_K", "Q3_K", "Q4_K",
            "Q5_K", "Q6_K", "Q8_K", "IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ1_S", "IQ4_NL", "IQ3_S", "IQ2_S", "IQ4_XS", "I8",
            "I16", "I32", "I64", "F64", "IQ1_M", "BF16");

    /** The type of that number, known or not. */
    static TensorType ofNumber(int number) {
        for (TensorType type : READABLE) {
            if (type.number == number) {
                return type;
            }
        }
        return new TensorType(number, labelOf(number), 1, 0);
    }

    private static String labelOf(int number) {
        boolean known = number >= 0 && number < LABELS.size();
        return known ? LABELS.get(number) : "type-" + Integer.toUnsignedString(number);
    }

    /** Whether elements of this type can be read. */
    public boolean isReadable() {
        return blockBytes > 0;
    }

    /** Bytes of that many elements, a multiple of {@code blockElements}. */
    public long bytes(long elements) {
        return Math.multiplyExact(elements / blockElements, blockBytes);
    }

    @Override
    public String toString() {
        return label;
    }
}
