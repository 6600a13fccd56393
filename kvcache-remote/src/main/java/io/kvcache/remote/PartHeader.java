package io.kvcache.remote;

import io.kvcache.BlockKey;
import io.kvcache.BlockNote;
import io.kvcache.Retention;
import java.lang.foreign.MemorySegment;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.zip.CRC32C;

/**
 * What stands before a part of a block on a server: which part of which block it is, which call stored it, and checksums of itself
 * and of the part. A value that was cut, garbled, mixed up with another or written by another program does not pass.
 *
 * <p>Thread-safe: immutable.
 *
 * @param key of the block
 * @param note that was stored with it
 * @param stamp chance; the same in all parts that one call has stored
 * @param part which part
 * @param blockBytes size of the block
 * @param checksum CRC32C of the part
 */
record PartHeader(BlockKey key, BlockNote note, long stamp, Part part, long blockBytes, int checksum) {
    // Little-endian:
    //
    //   0   magic                  8
    //   8   version                4    checksum of all from 16 on       4
    //   16  stamp                  8
    //   24  block bytes            8
    //   32  number of the part     4    count of parts                   4
    //   40  checksum of the part   4    flags                            4
    //   48  priority               4    count of tokens                  4
    //   56  priority nanos         8
    //   64  time to live nanos     8
    //   72  stored at millis       8
    //   80  digest                32
    //   112 tokens             4 each
    //   ..  namespace          2 each, to the end
    private static final long MAGIC = 0x74726170_6568_766bL; // "kvhepart"
    private static final int VERSION = 1;
    private static final int CHECKSUM = 12;
    private static final int CHECKED = 16;

    /** Size of a header without tokens and namespace. */
    static final int LEAST_BYTES = 80 + BlockKey.DIGEST_BYTES;

    private static final int FINITE = 1;
    private static final int TTL_SINCE_FIRST_USE = 2;

    /** Returns whether a value begins like a part; does not move its position. */
    static boolean begins(ByteBuffer value) {
        return value.remaining() >= Long.BYTES && value.getLong(value.position()) == Long.reverseBytes(MAGIC);
    }

    /** Returns the checksum of a stretch of memory. */
    static int checksum(MemorySegment memory) {
        return checksum(memory.asByteBuffer());
    }

    private static int checksum(ByteBuffer bytes) {
        CRC32C checksum = new CRC32C();
        checksum.update(bytes);
        return (int) checksum.getValue();
    }

    /** Returns the size of the headers of a block's parts. */
    static int bytes(BlockKey key) {
        int tokenBytes = Math.multiplyExact(key.tokens().length, Integer.BYTES);
        int namespaceBytes = Math.multiplyExact(key.namespace().length(), Character.BYTES);
        return Math.addExact(LEAST_BYTES, Math.addExact(tokenBytes, namespaceBytes));
    }

    /** Returns it as bytes. */
    byte[] toBytes() {
        int[] tokens = key.tokens();
        Retention retention = note.retention();
        ByteBuffer bytes = ByteBuffer.allocate(bytes(key)).order(ByteOrder.LITTLE_ENDIAN);
        bytes.putLong(MAGIC).putInt(VERSION).putInt(0);
        bytes.putLong(stamp).putLong(blockBytes).putInt(part.number()).putInt(part.count());
        bytes.putInt(checksum).putInt(flags());
        bytes.putInt(retention.priority()).putInt(tokens.length);
        bytes.putLong(retention.priorityNanos()).putLong(retention.ttlNanos()).putLong(note.storedAtMillis());
        bytes.put(key.digest());
        for (int token : tokens) {
            bytes.putInt(token);
        }
        for (int i = 0; i < key.namespace().length(); i++) {
            bytes.putChar(key.namespace().charAt(i));
        }
        bytes.flip();
        return bytes.putInt(CHECKSUM, checksum(bytes.slice(CHECKED, bytes.limit() - CHECKED)))
                .array();
    }

    private int flags() {
        return (note.finite() ? FINITE : 0) | (note.retention().ttlSinceFirstUse() ? TTL_SINCE_FIRST_USE : 0);
    }

    /**
     * Reads a header, which is whole and as it was written if this returns.
     *
     * @param header [at least {@link #LEAST_BYTES}]
     * @param part that was asked for
     * @throws DamagedPartException if it is not
     */
    static PartHeader of(byte[] header, Part part) throws DamagedPartException {
        ByteBuffer bytes = ByteBuffer.wrap(header).order(ByteOrder.LITTLE_ENDIAN);
        long magic = bytes.getLong();
        int version = bytes.getInt();
        if (magic != MAGIC || version != VERSION) {
            throw new DamagedPartException(
                    "value is no part of a block, or of another version: magic=" + Long.toHexString(magic) + " version="
                            + version,
                    false);
        }
        int stored = bytes.getInt();
        int computed = checksum(bytes.slice());
        if (stored != computed) {
            throw new DamagedPartException("header is damaged: checksum=" + computed + " wanted=" + stored, false);
        }
        try {
            return read(bytes, part);
        } catch (IllegalArgumentException | BufferUnderflowException | NegativeArraySizeException e) {
            throw new DamagedPartException("header says what cannot be: " + e.getMessage(), false);
        }
    }

    private static PartHeader read(ByteBuffer bytes, Part wanted) throws DamagedPartException {
        long stamp = bytes.getLong();
        long blockBytes = bytes.getLong();
        int number = bytes.getInt();
        int count = bytes.getInt();
        if (number != wanted.number() || count != wanted.count()) {
            throw new DamagedPartException(
                    "value is another part: number=" + number + " count=" + count + " wanted=" + wanted,
                    count == wanted.count());
        }
        int checksum = bytes.getInt();
        int flags = bytes.getInt();
        int priority = bytes.getInt();
        int tokenCount = bytes.getInt();
        Retention retention =
                new Retention(priority, bytes.getLong(), bytes.getLong(), (flags & TTL_SINCE_FIRST_USE) != 0, 0, false);
        BlockNote note = new BlockNote((flags & FINITE) != 0, retention, bytes.getLong());
        byte[] digest = new byte[BlockKey.DIGEST_BYTES];
        bytes.get(digest);
        if (tokenCount > bytes.remaining() / Integer.BYTES) {
            throw new BufferUnderflowException();
        }
        int[] tokens = new int[tokenCount];
        for (int i = 0; i < tokenCount; i++) {
            tokens[i] = bytes.getInt();
        }
        StringBuilder namespace = new StringBuilder(bytes.remaining() / Character.BYTES);
        while (bytes.hasRemaining()) {
            namespace.append(bytes.getChar());
        }
        return new PartHeader(
                BlockKey.of(namespace.toString(), digest, tokens), note, stamp, wanted, blockBytes, checksum);
    }
}
