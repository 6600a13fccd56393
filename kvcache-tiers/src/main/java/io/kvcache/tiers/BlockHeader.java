package io.kvcache.tiers;

import static io.kvcache.tiers.PageFormat.INT;
import static io.kvcache.tiers.PageFormat.LONG;

import io.kvcache.BlockKey;
import io.kvcache.BlockNote;
import io.kvcache.Retention;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.TimeUnit;

/**
 * What stands behind a block in a file: which block it is, and where it was written. A header in another place than
 * it was written to, or with another generation than the slot has, is worth nothing.
 *
 * <p>Thread-safe: immutable.
 *
 * @param key of the block
 * @param note that was stored with it
 * @param incarnation chance, of the segment; no other segment has it, even if it has the id
 * @param segment id of the segment
 * @param slot in the segment
 * @param generation a number that grows from store to store
 * @param payloadBytes size of the block
 * @param payloadChecksum CRC32C of the block
 */
record BlockHeader(
        BlockKey key,
        BlockNote note,
        long incarnation,
        long segment,
        int slot,
        long generation,
        long payloadBytes,
        int payloadChecksum) {
    //   0   frame: magic, version, checksum of the header pages
    //   16  incarnation            8
    //   24  segment id             8
    //   32  generation             8
    //   40  slot                   4    payload checksum  4
    //   48  payload bytes          8
    //   56  flags                  4    priority          4
    //   64  priority nanos         8
    //   72  time to live nanos     8
    //   80  stored at millis       8
    //   88  count of tokens        4    characters of the namespace  4
    //   96  digest                32
    //   128 tokens             4 each
    //   ..  namespace          2 each
    //   ..  zeros to the end of the header pages
    private static final long MAGIC = 0x6b6c62_6568_63766bL; // "kvcheblk"
    private static final int INCARNATION = 16;
    private static final int SEGMENT = 24;
    private static final int GENERATION = 32;
    private static final int SLOT = 40;
    private static final int PAYLOAD_CHECKSUM = 44;
    private static final int PAYLOAD_BYTES = 48;
    private static final int FLAGS = 56;
    private static final int PRIORITY = 60;
    private static final int PRIORITY_NANOS = 64;
    private static final int TTL_NANOS = 72;
    private static final int STORED_AT_MILLIS = 80;
    private static final int TOKEN_COUNT = 88;
    private static final int NAMESPACE_LENGTH = 92;
    private static final int DIGEST = 96;

    /** Where tokens begin. */
    static final int TOKENS = DIGEST + BlockKey.DIGEST_BYTES;

    /** The expiry of a block that is never over. */
    private static final long NEVER = Long.MAX_VALUE;

    private static final int FINITE = 1;
    private static final int TTL_SINCE_FIRST_USE = 2;

    /** Writes the header; the key fits. */
    void write(MemorySegment pages) {
        int[] tokens = key.tokens();
        Retention retention = note.retention();
        pages.fill((byte) 0);
        pages.set(LONG, INCARNATION, incarnation);
        pages.set(LONG, SEGMENT, segment);
        pages.set(LONG, GENERATION, generation);
        pages.set(INT, SLOT, slot);
        pages.set(INT, PAYLOAD_CHECKSUM, payloadChecksum);
        pages.set(LONG, PAYLOAD_BYTES, payloadBytes);
        pages.set(INT, FLAGS, (note.finite() ? FINITE : 0) | (retention.ttlSinceFirstUse() ? TTL_SINCE_FIRST_USE : 0));
        pages.set(INT, PRIORITY, retention.priority());
        pages.set(LONG, PRIORITY_NANOS, retention.priorityNanos());
        pages.set(LONG, TTL_NANOS, retention.ttlNanos());
        pages.set(LONG, STORED_AT_MILLIS, note.storedAtMillis());
        pages.set(INT, TOKEN_COUNT, tokens.length);
        pages.set(INT, NAMESPACE_LENGTH, key.namespace().length());
        MemorySegment.copy(key.digest(), 0, pages, ValueLayout.JAVA_BYTE, DIGEST, BlockKey.DIGEST_BYTES);
        MemorySegment.copy(tokens, 0, pages, INT, TOKENS, tokens.length);
        PageFormat.putText(pages, TOKENS + (long) tokens.length * Integer.BYTES, key.namespace());
        PageFormat.seal(pages, MAGIC);
    }

    /** Reads a header, which is whole if this returns. */
    static BlockHeader read(MemorySegment pages) throws DamagedFileException {
        PageFormat.check(pages, MAGIC);
        int tokenCount = pages.get(INT, TOKEN_COUNT);
        int namespaceLength = pages.get(INT, NAMESPACE_LENGTH);
        long end = TOKENS + (long) tokenCount * Integer.BYTES + (long) namespaceLength * Character.BYTES;
        if (tokenCount <= 0 || namespaceLength < 0 || end > pages.byteSize()) {
            throw new DamagedFileException("header says more than it holds: tokens=" + tokenCount + " namespaceLength="
                    + namespaceLength + " headerBytes=" + pages.byteSize());
        }
        try {
            return new BlockHeader(
                    key(pages, tokenCount, namespaceLength),
                    note(pages),
                    pages.get(LONG, INCARNATION),
                    pages.get(LONG, SEGMENT),
                    pages.get(INT, SLOT),
                    pages.get(LONG, GENERATION),
                    pages.get(LONG, PAYLOAD_BYTES),
                    pages.get(INT, PAYLOAD_CHECKSUM));
        } catch (IllegalArgumentException e) {
            throw new DamagedFileException("header says what cannot be: " + e.getMessage());
        }
    }

    private static BlockKey key(MemorySegment pages, int tokenCount, int namespaceLength) {
        int[] tokens = new int[tokenCount];
        MemorySegment.copy(pages, INT, TOKENS, tokens, 0, tokenCount);
        String namespace = PageFormat.text(pages, TOKENS + (long) tokenCount * Integer.BYTES, namespaceLength);
        return BlockKey.of(namespace, PageFormat.bytes(pages, DIGEST, BlockKey.DIGEST_BYTES), tokens);
    }

    private static BlockNote note(MemorySegment pages) {
        int flags = pages.get(INT, FLAGS);
        Retention retention = new Retention(
                pages.get(INT, PRIORITY),
                pages.get(LONG, PRIORITY_NANOS),
                pages.get(LONG, TTL_NANOS),
                (flags & TTL_SINCE_FIRST_USE) != 0,
                0,
                false);
        return new BlockNote((flags & FINITE) != 0, retention, pages.get(LONG, STORED_AT_MILLIS));
    }

    /** The first millisecond since 1970 in which {@link BlockNote#isExpired} holds, or none that will ever come. */
    static long expiryMillis(BlockNote note) {
        long ttlNanos = note.retention().ttlNanos();
        if (ttlNanos == 0) {
            return NEVER;
        }
        long millis = TimeUnit.NANOSECONDS.toMillis(ttlNanos - 1) + 1; // rounded up
        return note.storedAtMillis() > NEVER - millis ? NEVER : note.storedAtMillis() + millis;
    }
}
