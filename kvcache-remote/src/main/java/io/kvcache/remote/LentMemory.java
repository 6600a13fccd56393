package io.kvcache.remote;

import io.netty.buffer.ByteBuf;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;

/**
 * Memory of a caller, lent to the threads of connections for as long as its call goes on. A reply that comes later, or a command that is
 * written later, finds it given back and leaves it alone.
 *
 * <p>Thread-safe. The lock is held for a copy of one part at most.
 */
final class LentMemory {
    private final MemorySegment segment;
    private boolean givenBack; // guarded by this

    LentMemory(MemorySegment segment) {
        this.segment = segment;
    }

    /** Copies what is in a buffer to a place; does nothing once the memory is given back. */
    synchronized void write(long to, ByteBuffer source) {
        if (!givenBack) {
            MemorySegment.copy(MemorySegment.ofBuffer(source), 0, segment, to, source.remaining());
        }
    }

    /**
     * Appends some bytes to a buffer.
     *
     * @throws IllegalStateException once the memory is given back
     */
    synchronized void read(long from, int bytes, ByteBuf target) {
        if (givenBack) {
            throw new IllegalStateException("the call that lent this memory is over");
        }
        target.writeBytes(segment.asSlice(from, bytes).asByteBuffer());
    }

    /** Ends the loan; waits for a copy that is under way. */
    synchronized void giveBack() {
        givenBack = true;
    }
}
