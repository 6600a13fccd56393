package io.kvcache.tiers;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_CHAR_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.zip.CRC32C;

/**
 * What every page that describes something begins with, and how numbers and texts are written in it.
 *
 * <p>Thread-safe: has no state; the memory belongs to the caller.
 */
final class PageFormat {
    // Little-endian on every machine:
    //
    //   0        8         12             16
    //   | magic  | version | checksum     | what the page says, zeros up to its end |
    //                        of all from 16 on
    //
    // So it stays in every version, and so does what says how long a page is: an earlier program has to tell a page of
    // a
    // later one from a damaged one.
    static final int MAGIC = 0;
    static final int VERSION = 8;
    static final int CHECKSUM = 12;
    static final int CONTENT = 16;

    /** Of all that this package writes: whatever changes the meaning of a byte changes it. */
    static final int CURRENT_VERSION = 1;

    static final ValueLayout.OfLong LONG = JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    static final ValueLayout.OfInt INT = JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfChar CHAR = JAVA_CHAR_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private PageFormat() {}

    /** Completes a page whose content is written. */
    static void seal(MemorySegment page, long magic) {
        page.set(LONG, MAGIC, magic);
        page.set(INT, VERSION, CURRENT_VERSION);
        page.set(INT, CHECKSUM, checksum(page.asSlice(CONTENT)));
    }

    /** Checks the frame of a page; throws what is wrong with it. */
    static void check(MemorySegment page, long magic) throws DamagedFileException {
        if (page.get(LONG, MAGIC) != magic) {
            throw new DamagedFileException("page is none of ours: magic=" + Long.toHexString(page.get(LONG, MAGIC))
                    + " wanted=" + Long.toHexString(magic));
        }
        if (page.get(INT, VERSION) != CURRENT_VERSION) {
            throw new DamagedFileException(
                    "page has another version: version=" + page.get(INT, VERSION) + " wanted=" + CURRENT_VERSION);
        }
        int checksum = checksum(page.asSlice(CONTENT));
        if (page.get(INT, CHECKSUM) != checksum) {
            throw new DamagedFileException("page is damaged: checksum=" + Integer.toHexString(checksum) + " written="
                    + Integer.toHexString(page.get(INT, CHECKSUM)));
        }
    }

    /** Whether a page is whole, and of a later version than this program knows. */
    static boolean isNewer(MemorySegment page, long magic) {
        return page.get(LONG, MAGIC) == magic
                && page.get(INT, VERSION) > CURRENT_VERSION
                && page.get(INT, CHECKSUM) == checksum(page.asSlice(CONTENT));
    }

    /** Whether a page says nothing: it holds zeros only. */
    static boolean isBlank(MemorySegment page) {
        return page.get(LONG, MAGIC) == 0 && page.mismatch(page.asSlice(1)) == page.byteSize() - 1;
    }

    /** Writes the characters of a text, two bytes each: unlike UTF-8 it tells any two texts apart. */
    static void putText(MemorySegment page, long offset, String text) {
        for (int i = 0; i < text.length(); i++) {
            page.set(CHAR, offset + (long) i * Character.BYTES, text.charAt(i));
        }
    }

    static String text(MemorySegment page, long offset, int length) {
        char[] characters = new char[length];
        MemorySegment.copy(page, CHAR, offset, characters, 0, length);
        return new String(characters);
    }

    static byte[] bytes(MemorySegment page, long offset, int length) {
        return page.asSlice(offset, length).toArray(JAVA_BYTE);
    }

    /** CRC32C of native memory, as far as an int counts. */
    static int checksum(MemorySegment memory) {
        CRC32C checksum = new CRC32C();
        checksum.update(memory.asByteBuffer());
        return (int) checksum.getValue();
    }
}
