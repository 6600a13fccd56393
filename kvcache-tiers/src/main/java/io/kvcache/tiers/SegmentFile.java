package io.kvcache.tiers;

import io.kvcache.BlockKey;
import io.kvcache.BlockNote;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * An open file of blocks: reads and writes what its head says is where. All but {@link #close} runs in {@link
 * FileAccess#call}.
 *
 * <p>Thread-safe for different slots, and for readers of one slot; close it when nobody uses it.
 */
final class SegmentFile {
    private static final MemorySegment ZEROS =
            Arena.ofAuto().allocate(Scratch.PIECE_BYTES, SlotShape.PAGE_BYTES).asReadOnly();

    private final Path path;
    private final BlockFile file;
    private final SegmentHead head;

    private SegmentFile(Path path, BlockFile file, SegmentHead head) {
        this.path = path;
        this.file = file;
        this.head = head;
    }

    /**
     * Creates a file and writes all of it, so that a full disk shows now: zeros, and then the head, without which the
     * file is worth nothing.
     *
     * @param piece scratch memory
     * @throws IOException if that failed; a part of the file may be there, closed
     */
    static SegmentFile create(FileAccess files, Path path, SegmentHead head, MemorySegment piece) throws IOException {
        BlockFile file = files.open(path, FileAccess.Opening.CREATE);
        try {
            writeZeros(file, path, 0, head.fileBytes());
            head.write(piece);
            writeAll(file, path, piece.asSlice(0, head.headBytes()), 0);
            return new SegmentFile(path, file, head);
        } catch (Throwable e) {
            closeAfter(e, file);
            throw e;
        }
    }

    /**
     * Creates a file that grows with what is written, and that gets its head last, by {@link #writeHead}.
     *
     * @param head what the file is going to be, at most
     */
    static SegmentFile createEmpty(FileAccess files, Path path, SegmentHead head) throws IOException {
        return new SegmentFile(path, files.open(path, FileAccess.Opening.CREATE), head);
    }

    /** Writes a head that differs from the one that the file was created with in nothing but its number of slots. */
    void writeHead(SegmentHead last, MemorySegment piece) throws IOException {
        last.write(piece);
        writeAll(file, path, piece.asSlice(0, last.headBytes()), 0);
    }

    /**
     * Opens a file and reads its head.
     *
     * @param piece scratch memory
     * @throws DamagedFileException if the head is none
     * @throws IOException if it could not be read
     */
    static SegmentFile open(FileAccess files, Path path, FileAccess.Opening opening, MemorySegment piece)
            throws IOException {
        BlockFile file = files.open(path, opening);
        try {
            MemorySegment page = piece.asSlice(0, SlotShape.PAGE_BYTES);
            readAll(file, path, page, 0);
            MemorySegment pages = piece.asSlice(0, SegmentHead.headBytes(page));
            readAll(file, path, pages, 0);
            return new SegmentFile(path, file, SegmentHead.read(pages));
        } catch (Throwable e) {
            closeAfter(e, file);
            throw e;
        }
    }

    private static void closeAfter(Throwable cause, BlockFile file) {
        try {
            file.close();
        } catch (IOException e) {
            cause.addSuppressed(e);
        }
    }

    Path path() {
        return path;
    }

    SegmentHead head() {
        return head;
    }

    /**
     * Reads a block, and then the header, which vouches for it even if others are writing.
     *
     * @param generation of the block
     * @param target [payloadBytes] receives the block
     * @param piece scratch memory
     * @return the header; whether the key is the right one is for the caller to see
     * @throws DamagedFileException if the slot holds anything else
     */
    BlockHeader readBlock(int slot, long generation, MemorySegment target, MemorySegment piece) throws IOException {
        int checksum = readPayload(slot, target, piece);
        BlockHeader header = readHeader(slot, piece);
        if (header == null || header.generation() != generation) {
            throw new DamagedFileException("slot holds another block: file=" + path + " slot=" + slot);
        }
        if (header.payloadChecksum() != checksum) {
            throw new DamagedFileException("block is damaged: file=" + path + " slot=" + slot);
        }
        return header;
    }

    /**
     * Writes a block, and then its header, into a slot that has no header.
     *
     * @param generation of the block
     * @param block [payloadBytes] the block
     * @param piece scratch memory
     */
    void writeBlock(int slot, long generation, BlockKey key, BlockNote note, MemorySegment block, MemorySegment piece)
            throws IOException {
        int checksum = writePayload(slot, block, piece);
        MemorySegment pages = piece.asSlice(0, head.shape().headerBytes());
        new BlockHeader(key, note, head.incarnation(), head.id(), slot, generation, block.byteSize(), checksum)
                .write(pages);
        writeAll(file, path, pages, head.headerPosition(slot));
    }

    /** Returns CRC32C of what was read; the piece is for a target on the heap. */
    private int readPayload(int slot, MemorySegment target, MemorySegment piece) throws IOException {
        CRC32C checksum = new CRC32C();
        long position = head.payloadPosition(slot);
        for (long at = 0; at < target.byteSize(); at += Scratch.PIECE_BYTES) {
            long bytes = Math.min(Scratch.PIECE_BYTES, target.byteSize() - at);
            MemorySegment part = (target.isNative() ? target.asSlice(at, bytes) : piece.asSlice(0, bytes));
            readAll(file, path, part, position + at);
            checksum.update(part.asByteBuffer());
            if (!target.isNative()) {
                MemorySegment.copy(part, 0, target, at, bytes);
            }
        }
        return (int) checksum.getValue();
    }

    /** Returns CRC32C of what was written; the piece is for a source on the heap. */
    private int writePayload(int slot, MemorySegment source, MemorySegment piece) throws IOException {
        CRC32C checksum = new CRC32C();
        long position = head.payloadPosition(slot);
        for (long at = 0; at < source.byteSize(); at += Scratch.PIECE_BYTES) {
            long bytes = Math.min(Scratch.PIECE_BYTES, source.byteSize() - at);
            MemorySegment part = source.asSlice(at, bytes);
            if (!source.isNative()) {
                part = piece.asSlice(0, bytes).copyFrom(part);
            }
            checksum.update(part.asByteBuffer());
            writeAll(file, path, part, position + at);
        }
        return (int) checksum.getValue();
    }

    /**
     * Reads the header of a slot.
     *
     * @param piece scratch memory
     * @return the header; null if the slot is free
     * @throws DamagedFileException if there is something else, or the header is another slot's
     */
    @Nullable
    BlockHeader readHeader(int slot, MemorySegment piece) throws IOException {
        MemorySegment pages = piece.asSlice(0, head.shape().headerBytes());
        readAll(file, path, pages, head.headerPosition(slot));
        if (PageFormat.isBlank(pages)) {
            return null;
        }
        BlockHeader header = BlockHeader.read(pages);
        if (header.incarnation() != head.incarnation()
                || header.segment() != head.id()
                || header.slot() != slot
                || header.payloadBytes() != head.shape().payloadBytes()) {
            throw new DamagedFileException("header is another slot's: segment=" + header.segment() + " slot="
                    + header.slot() + " found in segment=" + head.id() + " slot=" + slot);
        }
        return header;
    }

    /** Overwrites the header of a slot: its block is gone. */
    void clearHeader(int slot) throws IOException {
        writeZeros(file, path, head.headerPosition(slot), head.shape().headerBytes());
    }

    /** Overwrites the block of a slot, after its header. */
    void clear(int slot) throws IOException {
        clearHeader(slot);
        writeZeros(file, path, head.payloadPosition(slot), head.shape().headerOffset());
    }

    void sync() throws IOException {
        file.sync();
    }

    void close() throws IOException {
        file.close();
    }

    private static void readAll(BlockFile file, Path path, MemorySegment target, long position) throws IOException {
        long bytes = target.byteSize();
        for (long done = 0; done < bytes; ) {
            int count = file.read(target.asSlice(done), position + done);
            if (count == 0) {
                throw new DamagedFileException(
                        "file ends early: file=" + path + " position=" + (position + done) + " wanted=" + bytes);
            }
            done += count;
        }
    }

    private static void writeAll(BlockFile file, Path path, MemorySegment source, long position) throws IOException {
        long bytes = source.byteSize();
        for (long done = 0; done < bytes; ) {
            int count = file.write(source.asSlice(done), position + done);
            if (count == 0) {
                throw new IOException("nothing was written: file=" + path + " position=" + (position + done));
            }
            done += count;
        }
    }

    private static void writeZeros(BlockFile file, Path path, long position, long bytes) throws IOException {
        for (long at = 0; at < bytes; at += Scratch.PIECE_BYTES) {
            MemorySegment zeros = ZEROS.asSlice(0, Math.min(Scratch.PIECE_BYTES, bytes - at));
            writeAll(file, path, zeros, position + at);
        }
    }

    @Override
    public String toString() {
        return path.toString();
    }
}
