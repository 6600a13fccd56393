package io.kvcache.tiers;

import io.kvcache.BlockKey;
import io.kvcache.BlockNote;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.agrona.concurrent.NanoClock;
import org.jspecify.annotations.Nullable;

/**
 * What a {@link DiskStore} does with its files, each step without a lock, for calls that were given slots and
 * segments by the {@link SlotLedger}: read, write, bury, wipe; create and delete.
 *
 * <p>Thread-safe.
 */
final class StoreFiles {
    private final Path directory;
    private final FileAccess files;
    private final SlotLedger ledger;
    private final boolean sync;
    private final boolean readOnly;
    private final NanoClock nanoClock;
    private final Scratch scratch = new Scratch();
    private final SecureRandom random = new SecureRandom();

    StoreFiles(Path directory, DiskOptions options, FileAccess files, SlotLedger ledger) {
        this.directory = directory;
        this.files = files;
        this.ledger = ledger;
        this.sync = options.sync();
        this.readOnly = options.readOnly();
        this.nanoClock = options.nanoClock();
    }

    /** Files that are segments by their names. */
    List<FileAccess.Entry> list() throws IOException {
        return files.list(directory).stream()
                .filter(entry -> SegmentNames.isOurs(entry.path()))
                .toList();
    }

    /** Opens a segment that was there before, in the thread of the caller. */
    SegmentFile open(Path path) throws IOException {
        MemorySegment piece = scratch.take();
        try {
            FileAccess.Opening opening = readOnly ? FileAccess.Opening.READ : FileAccess.Opening.WRITE;
            SegmentFile file = SegmentFile.open(files, path, opening, piece);
            if (!path.endsWith(SegmentNames.of(file.head().id()))) {
                tryClose(file);
                throw new DamagedFileException(
                        "segment is another's: id=" + file.head().id() + " file=" + path);
            }
            return file;
        } finally {
            scratch.give(piece);
        }
    }

    /** Reads the header of a slot, in the thread of the caller. */
    @Nullable
    BlockHeader readHeader(SegmentFile file, int slot) throws IOException {
        MemorySegment piece = scratch.take();
        try {
            return file.readHeader(slot, piece);
        } finally {
            scratch.give(piece);
        }
    }

    /** Reads the block of a slot that the caller reads. */
    BlockHeader read(Slot slot, MemorySegment target) throws IOException {
        return files.call(() -> readHere(slot, target));
    }

    private BlockHeader readHere(Slot slot, MemorySegment target) throws IOException {
        MemorySegment piece = scratch.take();
        try {
            return slot.segment().file.readBlock(slot.number(), slot.generation(), target, piece);
        } finally {
            scratch.give(piece);
        }
    }

    /** Writes a block into a slot that the caller owns; gives it back if that fails. */
    void write(Slot slot, BlockKey key, BlockNote note, MemorySegment block) throws IOException {
        GroupSync fileSync = slot.segment().sync;
        long failures = fileSync.failures();
        boolean written = false;
        try {
            try {
                files.call(() -> {
                    writeUnsynced(slot, key, note, block);
                    return true;
                });
            } finally {
                fileSync.written();
            }
            if (sync) {
                sync(slot.segment(), failures);
            }
            written = true;
        } finally {
            if (!written) {
                boolean cleared = tryClearHeader(slot); // it may be there
                ledger.releaseFailed(slot, cleared, nanoClock.nanoTime());
            }
        }
    }

    private void writeUnsynced(Slot slot, BlockKey key, BlockNote note, MemorySegment block) throws IOException {
        SegmentFile file = slot.segment().file;
        MemorySegment piece = scratch.take();
        try {
            if (!slot.clean()) {
                file.clearHeader(slot.number());
            }
            file.writeBlock(slot.number(), slot.generation(), key, note, block, piece);
        } finally {
            scratch.give(piece);
        }
    }

    private void sync(Segment segment, long failuresBefore) throws IOException {
        segment.sync.await(
                failuresBefore,
                () -> files.call(() -> {
                    segment.file.sync();
                    return true;
                }));
    }

    /** Gets a slot to own, or null if there is none to be had. */
    @Nullable
    Slot take(SlotShape shape, Storing storing) throws IOException {
        deleteOrphans();
        while (true) {
            switch (ledger.next(shape, storing, nanoClock.nanoTime())) {
                case Step.Use(Slot slot) -> {
                    return slot;
                }
                case Step.Grow(long id, int slots) -> grow(shape, id, slots);
                case Step.Delete(Segment segment) -> delete(segment);
                case Step.Decline() -> {
                    return null;
                }
                case Step.Fail() ->
                    throw new IOException(
                            "no segment could be created a moment ago: directory=" + directory + " " + ledger.stats());
            }
        }
    }

    /** Creates a segment. If that fails, slots that are there have to do. */
    private void grow(SlotShape shape, long id, int slots) throws IOException {
        Path path = directory.resolve(SegmentNames.of(id));
        @Nullable SegmentFile file = null;
        try {
            SegmentHead head = SegmentHead.ofStore(id, random.nextLong(), shape, slots);
            file = files.call(() -> create(path, head));
            ledger.attach(new Segment(file, false));
        } catch (Throwable e) {
            if (file != null) {
                tryClose(file);
            }
            @Nullable Path left = tryDelete(path) ? null : path;
            boolean others = ledger.growthFailed(shape, slots, left, nanoClock.nanoTime());
            if (!others || !(e instanceof IOException)) {
                throw e;
            }
        }
    }

    private SegmentFile create(Path path, SegmentHead head) throws IOException {
        MemorySegment piece = scratch.take();
        try {
            SegmentFile file = SegmentFile.create(files, path, head, piece);
            if (sync) {
                syncNew(file);
            }
            return file;
        } finally {
            scratch.give(piece);
        }
    }

    private void syncNew(SegmentFile file) throws IOException {
        boolean synced = false;
        try {
            file.sync();
            files.syncDirectory(directory);
            synced = true;
        } finally {
            if (!synced) {
                tryClose(file);
            }
        }
    }

    private void delete(Segment segment) {
        tryClose(segment.file);
        ledger.deleted(segment, tryDelete(segment.file.path()), nanoClock.nanoTime());
    }

    /** Deletes segments while there is more than there may be: the bound may have been another when they were made. */
    void deleteExcess() {
        Segment segment = readOnly ? null : ledger.excess(nanoClock.nanoTime());
        while (segment != null) {
            delete(segment);
            segment = ledger.excess(nanoClock.nanoTime());
        }
    }

    /** Tries again to delete what could not be deleted, and returns what still could not. */
    List<Path> deleteOrphans() {
        List<Path> left = new ArrayList<>(ledger.orphans());
        for (Path path : List.copyOf(left)) {
            if (tryDelete(path)) {
                ledger.orphanDeleted(path);
                left.remove(path);
            }
        }
        return left;
    }

    /** Deletes a file, unless nothing may be written, and returns whether it is gone. */
    boolean tryDelete(Path path) {
        try {
            if (!readOnly) {
                files.delete(path);
            }
            return !readOnly;
        } catch (IOException e) {
            return false;
        }
    }

    static boolean tryClose(SegmentFile file) {
        try {
            file.close();
            return true;
        } catch (IOException e) {
            return false;
        }
    }

    /** Overwrites the header of a slot that the caller owns, and gives it back; returns whether that could be done. */
    boolean bury(Slot slot) {
        boolean buried = false;
        try {
            buried = !readOnly && tryClearHeader(slot);
        } finally {
            giveBack(slot, buried, false);
        }
        return buried;
    }

    /** Does the same so that it lasts as long as what was stored would have. */
    boolean buryForGood(Slot slot) {
        long failures = slot.segment().sync.failures();
        boolean buried = false;
        try {
            buried = tryClearHeader(slot) && (!sync || trySync(slot.segment(), failures));
        } finally {
            giveBack(slot, buried, false);
        }
        return buried;
    }

    private boolean tryClearHeader(Slot slot) {
        try {
            return files.call(() -> {
                slot.segment().file.clearHeader(slot.number());
                return true;
            });
        } catch (IOException e) {
            return false;
        } finally {
            slot.segment().sync.written();
        }
    }

    private void giveBack(Slot slot, boolean done, boolean wiped) {
        if (done) {
            ledger.release(slot, wiped);
        } else {
            ledger.releaseFailed(slot, false, nanoClock.nanoTime());
        }
    }

    /** Overwrites slots, syncs them and what was not synced before, and gives them back; returns where that failed. */
    List<String> wipe(Erasure erasure) {
        Map<Segment, Long> syncFailures = new LinkedHashMap<>();
        erasure.unsynced().forEach(segment -> syncFailures.put(segment, segment.sync.failures()));
        erasure.slots().forEach(slot -> syncFailures.computeIfAbsent(slot.segment(), each -> each.sync.failures()));
        Set<Slot> wiped = new HashSet<>();
        List<String> left = new ArrayList<>();
        try {
            for (Slot slot : erasure.slots()) {
                if (tryWipe(slot)) {
                    wiped.add(slot);
                }
            }
            syncFailures.forEach((segment, failures) -> {
                if (!trySync(segment, failures)) {
                    left.add("file=" + segment);
                    wiped.removeIf(slot -> slot.segment() == segment);
                }
            });
        } finally {
            erasure.slots().forEach(slot -> giveBack(slot, wiped.contains(slot), true));
        }
        for (Slot slot : erasure.slots()) {
            if (!wiped.contains(slot)) {
                left.add("file=" + slot.segment() + " slot=" + slot.number());
            }
        }
        return left;
    }

    private boolean tryWipe(Slot slot) {
        try {
            return files.call(() -> {
                slot.segment().file.clear(slot.number());
                return true;
            });
        } catch (IOException e) {
            return false;
        } finally {
            slot.segment().sync.written();
        }
    }

    private boolean trySync(Segment segment, long failuresBefore) {
        try {
            sync(segment, failuresBefore);
            return true;
        } catch (IOException e) {
            return false;
        }
    }

    /** Returns when files that were deleted would not come back after a loss of power. */
    void syncDirectory() throws IOException {
        files.call(() -> {
            files.syncDirectory(directory);
            return true;
        });
    }

    /** Closes all files, when nobody uses them any more; returns whether nothing went wrong. */
    boolean close() {
        boolean closed = true;
        for (Segment segment : ledger.segments()) {
            closed &= tryClose(segment.file);
        }
        files.close();
        return closed;
    }
}
