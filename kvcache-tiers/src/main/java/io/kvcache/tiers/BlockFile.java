package io.kvcache.tiers;

import java.io.IOException;
import java.lang.foreign.MemorySegment;

/**
 * An open file, of which bytes are read and written where the caller says.
 *
 * <p>Thread-safe, but for {@link #close}: it comes after every other call has returned.
 */
interface BlockFile {
    /**
     * Reads once.
     *
     * @param target native memory, not empty
     * @param position in bytes from the start of the file
     * @return bytes read, from the start of the target on: perhaps fewer than it holds, 0 only at the end of the file
     */
    int read(MemorySegment target, long position) throws IOException;

    /**
     * Writes once; the file grows where it must.
     *
     * @param source native memory, not empty
     * @param position in bytes from the start of the file
     * @return bytes written, from the start of the source on: at least 1, perhaps fewer than it holds
     */
    int write(MemorySegment source, long position) throws IOException;

    /** Returns when what has been written would survive a loss of power. */
    void sync() throws IOException;

    /** Lets go of the file, even if that throws. */
    void close() throws IOException;
}
