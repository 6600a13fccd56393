package io.kvcache.demo;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.StandardCharsets;

/**
 * Reads little-endian values one after the other, and checks every size against what is left before anything is read or
 * allocated.
 *
 * <p>Not thread-safe: one thread at a time.
 */
final class GgufCursor {
    /*
     * Whatever a header makes this reader keep or build is in proportion to the header's bytes or to a count, so two
     * limits bound the memory that a hostile (perhaps sparse) file can claim. Both are far above real files,
     * whose vocabularies have some hundred thousand pieces and take some tens of MiB.
     */
    static final long MAXIMUM_HEADER_BYTES = 128L << 20;

    static final int MAXIMUM_ARRAY_COUNT = 1 << 22;

    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final String source;
    private final MemorySegment bytes;
    private final CharsetDecoder strictDecoder = StandardCharsets.UTF_8.newDecoder();
    private long position;

    GgufCursor(String source, MemorySegment bytes) {
        this.source = source;
        this.bytes = bytes;
    }

    String source() {
        return source;
    }

    long position() {
        return position;
    }

    long remainingBytes() {
        return bytes.byteSize() - position;
    }

    byte int8() {
        return bytes.get(ValueLayout.JAVA_BYTE, claim(Byte.BYTES));
    }

    short int16() {
        return bytes.get(SHORT, claim(Short.BYTES));
    }

    int int32() {
        return bytes.get(INT, claim(Integer.BYTES));
    }

    long int64() {
        return bytes.get(LONG, claim(Long.BYTES));
    }

    /** A string with its length in front. */
    String string() {
        long length = int64();
        long start = claim(length);
        try {
            return strictDecoder
                    .decode(bytes.asSlice(start, length).asByteBuffer())
                    .toString();
        } catch (CharacterCodingException malformed) {
            throw failure("string is not UTF-8", "position", start, "bytes", length, "cause", malformed);
        }
    }

    /** A value type, which must be known. */
    GgufValueType valueType() {
        long start = position;
        int number = int32();
        if (!GgufValueType.isKnown(number)) {
            throw failure("value type is unknown", "type", Integer.toUnsignedString(number), "position", start);
        }
        return GgufValueType.ofNumber(number);
    }

    /** A count of things that take at least {@code minimumBytes} each, and so must be able to fit into the rest. */
    int count(String name, int minimumBytes, int maximum) {
        long count = int64();
        if (count < 0 || count > maximum) {
            throw failure("count is too large", name, Long.toUnsignedString(count), "maximum", maximum);
        }
        if (count > remainingBytes() / minimumBytes) {
            throw failure(
                    "file is truncated", name, count, "minimumBytes", minimumBytes, "remaining", remainingBytes());
        }
        return (int) count;
    }

    /** Passes over {@code count} bytes. */
    void skip(long count) {
        claim(count);
    }

    /** The bytes from {@code start} up to here. */
    MemorySegment sliceFrom(long start) {
        return bytes.asSlice(start, position - start);
    }

    GgufException failure(String rule, Object... operands) {
        return GgufException.of(source, rule, operands);
    }

    /** Takes {@code count} bytes (unsigned) and returns the position of the first. */
    private long claim(long count) {
        if (count < 0 || count > remainingBytes()) {
            throw failure(
                    "file is truncated",
                    "position",
                    position,
                    "needed",
                    Long.toUnsignedString(count),
                    "remaining",
                    remainingBytes());
        }
        if (count > MAXIMUM_HEADER_BYTES - position) {
            throw failure(
                    "header is too large", "position", position, "needed", count, "maximum", MAXIMUM_HEADER_BYTES);
        }
        long start = position;
        position += count;
        return start;
    }
}
