package io.kvcache.tiers;

import io.kvcache.BlockKey;
import io.kvcache.BlockNote;
import io.kvcache.BlockStore;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.locks.ReentrantLock;
import org.agrona.concurrent.EpochClock;
import org.jspecify.annotations.Nullable;

/**
 * The blocks of a file that a {@link SnapshotWriter} has written. Takes no others; what is erased or removed is
 * overwritten in the file, which has to be writable for that. A damaged block is a miss.
 *
 * <p>Thread-safe. No call but one that erases or removes waits for another one's I/O; the last call of a closed reader
 * lets go of the file.
 */
final class SnapshotReader implements BlockStore {
    /** Where a block is. */
    private record Place(int slot, long generation) {}

    private final FileAccess files;
    private final SegmentFile file;
    private final EpochClock epochClock;
    private final Scratch scratch = new Scratch();

    // A block that is overwritten while it is read is a miss: its header goes first, and is read last.
    private final ReentrantLock wiping = new ReentrantLock(); // held by calls that overwrite, before the other one
    private final ReentrantLock lock = new ReentrantLock(); // guards what follows; never held during I/O
    private final Map<BlockKey, Place> places = new HashMap<>();
    private final Set<Integer> toWipe = new HashSet<>(); // slots that hold bytes of who knows which namespace
    private int calls;
    private boolean closed;

    private SnapshotReader(FileAccess files, SegmentFile file, EpochClock epochClock) {
        this.files = files;
        this.file = file;
        this.epochClock = epochClock;
    }

    /**
     * Opens a snapshot and finds what is in it.
     *
     * @param path of the file
     * @param model that its blocks have to belong to
     * @param layoutDescription that its blocks have to have
     * @param epochClock the wall clock, by which blocks expire
     * @throws IOException if the file cannot be read, is damaged, or is of another version, model or layout: with
     *     what it has and what was wanted
     */
    static SnapshotReader open(Path path, String model, String layoutDescription, EpochClock epochClock)
            throws IOException {
        return open(path, model, layoutDescription, epochClock, FileAccess.ofSystem());
    }

    /** Opens a snapshot on a file system that a test may let fail; closed by the reader, or if this throws. */
    static SnapshotReader open(
            Path path, String model, String layoutDescription, EpochClock epochClock, FileAccess files)
            throws IOException {
        try {
            return new Opening(path, files, epochClock).open(model, layoutDescription);
        } catch (Throwable e) {
            files.close();
            throw e;
        }
    }

    /** A file that is being opened. */
    private record Opening(Path path, FileAccess files, EpochClock epochClock) {
        SnapshotReader open(String model, String layoutDescription) throws IOException {
            MemorySegment piece = new Scratch().take();
            SegmentFile file = files.call(() -> openFile(piece));
            boolean opened = false;
            try {
                check("model", file.head().model(), model);
                check("layout", file.head().layout(), layoutDescription);
                SnapshotReader reader = new SnapshotReader(files, file, epochClock);
                files.call(() -> {
                    reader.findAll(piece);
                    return true;
                });
                opened = true;
                return reader;
            } finally {
                if (!opened) {
                    file.close();
                }
            }
        }

        private SegmentFile openFile(MemorySegment piece) throws IOException {
            try {
                return SegmentFile.open(files, path, FileAccess.Opening.READ, piece);
            } catch (DamagedFileException | NewerVersionException e) {
                throw new IOException("no snapshot that can be read: file=" + path + ": " + e.getMessage(), e);
            }
        }

        private void check(String what, String found, String wanted) throws IOException {
            if (!found.equals(wanted)) {
                throw new IOException("snapshot has another " + what + ": file=" + path + " " + what + "=" + found
                        + " wanted=" + wanted);
            }
        }
    }

    private void findAll(MemorySegment piece) {
        for (int slot = 0; slot < file.head().slots(); slot++) {
            try {
                BlockHeader header = file.readHeader(slot, piece);
                if (header != null) {
                    find(slot, header);
                } else {
                    toWipe.add(slot); // an erase may have ended between header and block
                }
            } catch (IOException e) {
                toWipe.add(slot);
            }
        }
    }

    private void find(int slot, BlockHeader header) {
        Place place = new Place(slot, header.generation());
        Place other = places.put(header.key(), place);
        if (other != null) {
            boolean later = other.generation() > place.generation();
            toWipe.add(later ? slot : other.slot());
            places.put(header.key(), later ? other : place);
        }
    }

    /** Begins a call, to be ended by {@link #leave}. The file stays open until then. */
    private void enter() throws IOException {
        lock.lock();
        try {
            if (closed) {
                throw new IOException("snapshot is closed: file=" + file);
            }
            calls++;
        } finally {
            lock.unlock();
        }
    }

    private void leave() {
        if (endCall()) {
            StoreFiles.tryClose(file);
            files.close();
        }
    }

    /** Ends a call, and returns whether the caller has to let go of the file. */
    private boolean endCall() {
        lock.lock();
        try {
            calls--;
            return closed && calls == 0;
        } finally {
            lock.unlock();
        }
    }

    /** How many blocks there are. */
    int size() {
        lock.lock();
        try {
            return places.size();
        } finally {
            lock.unlock();
        }
    }

    @Override
    public int held(List<BlockKey> path) throws IOException {
        enter();
        lock.lock();
        try {
            int count = 0;
            while (count < path.size() && places.containsKey(path.get(count))) {
                count++;
            }
            return count;
        } finally {
            lock.unlock();
            leave();
        }
    }

    @Override
    public @Nullable BlockNote load(BlockKey key, MemorySegment target) throws IOException {
        enter();
        try {
            Place place = find(key);
            if (place == null || target.byteSize() != file.head().shape().payloadBytes()) {
                return null;
            }
            BlockHeader header = files.call(() -> read(place, target));
            boolean good = header.key().equals(key) && !header.note().isExpired(epochClock.time());
            return good ? header.note() : null;
        } catch (DamagedFileException e) {
            return null;
        } finally {
            leave();
        }
    }

    private @Nullable Place find(BlockKey key) {
        lock.lock();
        try {
            return places.get(key);
        } finally {
            lock.unlock();
        }
    }

    private BlockHeader read(Place place, MemorySegment target) throws IOException {
        MemorySegment piece = scratch.take();
        try {
            return file.readBlock(place.slot(), place.generation(), target, piece);
        } finally {
            scratch.give(piece);
        }
    }

    /** Takes nothing. */
    @Override
    public boolean store(BlockKey key, BlockNote note, MemorySegment block) throws IOException {
        enter();
        leave();
        return false;
    }

    @Override
    public void remove(BlockKey key) throws IOException {
        enter();
        wiping.lock();
        try {
            wipe(take(key));
        } finally {
            wiping.unlock();
            leave();
        }
    }

    private List<Integer> take(BlockKey key) {
        lock.lock();
        try {
            Place place = places.remove(key);
            if (place == null) {
                return List.of();
            }
            toWipe.add(place.slot());
            return List.of(place.slot());
        } finally {
            lock.unlock();
        }
    }

    @Override
    public void erase(String namespace) throws IOException {
        Objects.requireNonNull(namespace, "namespace");
        enter();
        wiping.lock();
        try {
            wipe(takeAll(namespace));
        } finally {
            wiping.unlock();
            leave();
        }
    }

    private List<Integer> takeAll(String namespace) {
        lock.lock();
        try {
            places.forEach((key, place) -> {
                if (key.namespace().equals(namespace)) {
                    toWipe.add(place.slot());
                }
            });
            places.keySet().removeIf(key -> key.namespace().equals(namespace));
            return List.copyOf(toWipe);
        } finally {
            lock.unlock();
        }
    }

    /** Overwrites slots that nobody can find any more; those that could not be are tried again by the next erase. */
    private void wipe(List<Integer> slots) throws IOException {
        if (slots.isEmpty()) {
            return;
        }
        MemorySegment piece = scratch.take();
        try {
            files.call(() -> {
                wipe(slots, piece);
                return true;
            });
            wiped(slots);
        } catch (IOException e) {
            throw new IOException(
                    "blocks may still be there: file=" + file + " slots=" + slots + ": " + e.getMessage(), e);
        } finally {
            scratch.give(piece);
        }
    }

    private void wipe(List<Integer> slots, MemorySegment piece) throws IOException {
        SegmentFile writable = SegmentFile.open(files, file.path(), FileAccess.Opening.WRITE, piece);
        try {
            checkSame(writable.head());
            for (int slot : slots) {
                writable.clear(slot);
            }
            writable.sync();
        } finally {
            writable.close();
        }
    }

    private void checkSame(SegmentHead found) throws IOException {
        if (!found.equals(file.head())) {
            throw new IOException("snapshot was replaced by another: file=" + file + " incarnation="
                    + Long.toHexString(found.incarnation()) + " wanted="
                    + Long.toHexString(file.head().incarnation()));
        }
    }

    private void wiped(List<Integer> slots) {
        lock.lock();
        try {
            slots.forEach(toWipe::remove);
        } finally {
            lock.unlock();
        }
    }

    @Override
    public void close() throws IOException {
        if (closeAndIsLast()) {
            try {
                file.close();
            } finally {
                files.close();
            }
        }
    }

    private boolean closeAndIsLast() {
        lock.lock();
        try {
            boolean first = !closed;
            closed = true;
            return first && calls == 0;
        } finally {
            lock.unlock();
        }
    }

    @Override
    public String toString() {
        return "SnapshotReader[" + file + "]";
    }
}
