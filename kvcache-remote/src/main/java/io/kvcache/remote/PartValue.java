package io.kvcache.remote;

import io.netty.buffer.ByteBuf;
import java.nio.ByteBuffer;

/**
 * The value of a key on its way to a server: a {@link PartHeader} and a part of a block, which is read from the caller's memory when
 * the command is written to the connection.
 *
 * <p>Thread-safe.
 */
final class PartValue {
    private final byte[] header;
    private final LentMemory block;
    private final long from;
    private final int bytes;

    PartValue(byte[] header, LentMemory block, long from, int bytes) {
        this.header = header;
        this.block = block;
        this.from = from;
        this.bytes = bytes;
    }

    int size() {
        return header.length + bytes;
    }

    void writeTo(ByteBuf target) {
        target.writeBytes(header);
        block.read(from, bytes, target);
    }

    /** What may be shown of it. */
    ByteBuffer header() {
        return ByteBuffer.wrap(header).asReadOnlyBuffer();
    }
}
