package io.kvcache.tiers;

import io.kvcache.BlockKey;
import io.kvcache.BlockNote;
import io.kvcache.BlockStore;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * Writes blocks into one file, which is there as a whole or not at all: under another name until {@link #finish}.
 * Closing it before that, or after a failure, leaves nothing behind; a process that dies leaves a file. Finds nothing.
 *
 * <p>Thread-safe, but for {@link #finish} and {@link #close}: they come after every other call has returned.
 */
final class SnapshotWriter implements BlockStore {
    // The file is a segment whose slots are filled from the first one on, so that it is written from start to end:
    //
    //   | head, with model and layout | slot 0 | slot 1 | ... | slot n - 1 |
    //
    // The head is written last. A slot whose block could not be written has no header.
    private final FileAccess files;
    private final Path path;
    private final Path temporary;
    private final SegmentFile file;
    private final Scratch scratch;
    private final AtomicInteger slots = new AtomicInteger(); // given out, perhaps more than there are
    private boolean fileClosed;
    private boolean closed;

    private SnapshotWriter(FileAccess files, Path path, Path temporary, SegmentFile file, Scratch scratch) {
        this.files = files;
        this.path = path;
        this.temporary = temporary;
        this.file = file;
        this.scratch = scratch;
    }

    /**
     * Begins a snapshot.
     *
     * @param path of the file, replaced if it is there
     * @param model that the blocks belong to
     * @param layoutDescription of the blocks
     * @param blockBytes size of a block
     * @param tokensPerBlock most tokens of a block
     * @param blocks how many there are at most
     * @throws IllegalArgumentException if model and layout are too long for a head
     */
    static SnapshotWriter create(
            Path path, String model, String layoutDescription, long blockBytes, int tokensPerBlock, int blocks)
            throws IOException {
        SlotShape shape = SlotShape.of(blockBytes, tokensPerBlock);
        SegmentHead head = new SegmentHead(0, new SecureRandom().nextLong(), shape, blocks, model, layoutDescription);
        return create(path, head, FileAccess.ofSystem());
    }

    /** Begins a snapshot on a file system that a test may let fail; closed by the writer, or if this throws. */
    static SnapshotWriter create(Path path, SegmentHead head, FileAccess files) throws IOException {
        // The name is nobody else's: two may write the same snapshot at once, and the last one to finish wins.
        Path temporary = path.resolveSibling(String.format("%s.%016x.tmp", path.getFileName(), head.incarnation()));
        try {
            SegmentFile file = SegmentFile.createEmpty(files, temporary, head);
            return new SnapshotWriter(files, path, temporary, file, new Scratch());
        } catch (Throwable e) {
            files.close();
            throw e;
        }
    }

    @Override
    public int held(List<BlockKey> keys) {
        return 0;
    }

    @Override
    public @Nullable BlockNote load(BlockKey key, MemorySegment target) {
        return null;
    }

    /**
     * {@inheritDoc}
     *
     * @throws IllegalArgumentException if the block has another size than the snapshot's
     */
    @Override
    public boolean store(BlockKey key, BlockNote note, MemorySegment block) throws IOException {
        SegmentHead head = file.head();
        if (block.byteSize() != head.shape().payloadBytes()) {
            throw new IllegalArgumentException("block has another size: bytes=" + block.byteSize() + " blockBytes="
                    + head.shape().payloadBytes());
        }
        checkOpen();
        if (!head.shape().fits(key.tokens().length, key.namespace()) || slots.get() >= head.slots()) {
            return false;
        }
        int slot = slots.getAndIncrement();
        if (slot >= head.slots()) {
            return false;
        }
        files.call(() -> {
            write(slot, key, note, block);
            return true;
        });
        return true;
    }

    private void write(int slot, BlockKey key, BlockNote note, MemorySegment block) throws IOException {
        MemorySegment piece = scratch.take();
        try {
            file.writeBlock(slot, slot + 1L, key, note, block, piece);
        } finally {
            scratch.give(piece);
        }
    }

    /** Writes nothing: what is in a snapshot stays until it is finished. */
    @Override
    public void remove(BlockKey key) throws IOException {
        throw new IOException("snapshot is being written: file=" + path);
    }

    /** Writes nothing: what is in a snapshot stays until it is finished. */
    @Override
    public void erase(String namespace) throws IOException {
        throw new IOException("snapshot is being written: file=" + path);
    }

    /**
     * Gives the file its name, when all of it would survive a loss of power. Closes the writer, even if that throws.
     */
    void finish() throws IOException {
        checkOpen();
        try {
            files.call(() -> {
                writeHead();
                file.sync();
                return true;
            });
            fileClosed = true;
            file.close();
            files.rename(temporary, path);
            files.call(() -> {
                files.syncDirectory(path.toAbsolutePath().resolveSibling(".").normalize());
                return true;
            });
        } finally {
            close();
        }
    }

    private void writeHead() throws IOException {
        SegmentHead head = file.head();
        MemorySegment piece = scratch.take();
        try {
            file.writeHead(head.withSlots(Math.min(slots.get(), head.slots())), piece);
        } finally {
            scratch.give(piece);
        }
    }

    private void checkOpen() throws IOException {
        if (closed) {
            throw new IOException("snapshot is closed: file=" + path);
        }
    }

    /** Gives the snapshot up, unless it is finished, and deletes what was written. A second call does nothing. */
    @Override
    public void close() throws IOException {
        if (closed) {
            return;
        }
        closed = true;
        try {
            if (!fileClosed) {
                file.close();
            }
        } finally {
            try {
                files.delete(temporary);
            } finally {
                files.close();
            }
        }
    }
}
