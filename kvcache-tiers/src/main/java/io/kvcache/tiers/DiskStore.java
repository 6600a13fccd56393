package io.kvcache.tiers;

import io.kvcache.BlockKey;
import io.kvcache.BlockNote;
import io.kvcache.BlockStore;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Executor;
import org.jspecify.annotations.Nullable;

/**
 * A store in files of a directory, which outlive the process. It holds blocks of any number of layouts, up to a
 * number of bytes, and drops the least recently used ones for others.
 *
 * <pre>{@code
 * DiskStore store = DiskStore.open(directory, DiskOptions.of(100L << 30));
 * }</pre>
 *
 * <p><b>What survives.</b> A block survives the death of the process, by whatever signal, once {@link #store} has
 * returned true; with {@link DiskOptions#sync} a loss of power, too. A block that was damaged, cut off or mixed up in
 * a file is a miss, and is counted.
 *
 * <p><b>Who may.</b> A directory belongs to one store, in one process; others may read it meanwhile
 * ({@link DiskOptions#readOnly}): they find what was there when they were opened, unless it has been replaced.
 *
 * <p><b>Erasing</b> overwrites blocks, and what was left of blocks removed or evicted before, and syncs. It does not
 * reach what a file system or a device keeps of data overwritten or of files deleted. It waits until everything in
 * the files was found.
 *
 * <p><b>Interrupts.</b> A call ends when its work is done, and leaves the interrupt as it was.
 *
 * <p><b>Flags.</b> With {@code --enable-native-access=io.kvcache.tiers} (or {@code ALL-UNNAMED} on the class path) on
 * a 64-bit Linux, files are read and written in the thread of the caller, by system calls; otherwise through channels
 * in a few daemon threads, which takes a little longer.
 *
 * <p>Thread-safe.
 */
public final class DiskStore implements BlockStore {
    // One class for each thing to know:
    //
    //   DiskStore      what a call does, step by step
    //   StoreFiles     the steps that have to do with files, without a lock
    //   SlotLedger     which slot is whose, under one lock, without I/O
    //     SlotBook     the states of slots; SlotTable holds them in flat arrays
    //     DiskSpace    the bytes of files
    //   SegmentFile    a file: SegmentHead, then slots of one SlotShape, each a block and its BlockHeader
    //   FileAccess     the file system; by SystemCalls, or by channels
    //   Recovery       what is there at the start
    //
    // Storing: take a slot whose header in the file holds zeros (or overwrite it), write the block, write the header,
    // publish. Whatever happens in between, there is no header for a block that is not there; and after a loss of
    // power, which may reorder writes, the checksum of the block tells.
    private static final long CLOSE_NANOS = 5_000_000_000L;

    private final Path directory;
    private final DiskOptions options;
    private final @Nullable DirectoryLock directoryLock; // null: read-only
    private final DiskCounters counters = new DiskCounters();
    private final SlotLedger ledger;
    private final StoreFiles files;

    private DiskStore(Path directory, DiskOptions options, FileAccess access, @Nullable DirectoryLock directoryLock) {
        this.directory = directory;
        this.options = options;
        this.directoryLock = directoryLock;
        this.ledger = new SlotLedger(options, directoryLock == null ? 0 : directoryLock.run(), counters);
        this.files = new StoreFiles(directory, options, access, ledger);
    }

    /**
     * Opens a store, which takes as long as it takes to find what is there, but not longer than the options allow.
     * Files that are damaged are dropped and counted; files that are not a store's are left alone.
     *
     * @param directory made if it is not there, unless the store only reads
     * @param options how to use it
     * @return a store, to be closed
     * @throws IOException if the directory cannot be read, or written, or is another store's, saying whose; or if a store
     *     that only reads has files there, but may not open any
     */
    public static DiskStore open(Path directory, DiskOptions options) throws IOException {
        return open(directory, options, FileAccess.ofSystem());
    }

    /** Opens a store on a file system that a test may let fail; closed by the store, or if this throws. */
    static DiskStore open(Path directory, DiskOptions options, FileAccess access) throws IOException {
        return open(directory, options, access, Recovery.threadForEach());
    }

    /** Does the same with threads for recovery that a test may let fail. */
    static DiskStore open(Path directory, DiskOptions options, FileAccess access, Executor threads) throws IOException {
        DiskStore store = create(directory, options, access);
        try {
            store.recover(threads);
            return store;
        } catch (Throwable e) {
            store.closeAfter(e);
            throw e;
        }
    }

    private static DiskStore create(Path directory, DiskOptions options, FileAccess access) throws IOException {
        Objects.requireNonNull(options, "options");
        @Nullable DirectoryLock lock = null;
        try {
            if (!options.readOnly()) {
                Files.createDirectories(directory);
                lock = DirectoryLock.acquire(directory);
            }
            return new DiskStore(directory, options, access, lock);
        } catch (Throwable e) {
            access.close();
            if (lock != null) {
                lock.close();
            }
            throw e;
        }
    }

    private void recover(Executor threads) throws IOException {
        List<FileAccess.Entry> segments = files.list();
        ledger.beginRecovery(segments, SegmentNames.firstUnused(segments));
        Recovery recovery = new Recovery(files, ledger, counters, segments, threads, this::leave);
        for (int i = 0; i < recovery.threads(); i++) {
            ledger.enter(); // so that files stay open
            boolean started = false;
            try {
                recovery.startThread();
                started = true;
            } finally {
                if (!started) {
                    leave();
                }
            }
        }
        ledger.awaitRecovery(options.recoveryNanos());
        if (options.readOnly()) {
            recovery.checkAccess();
        }
    }

    private void closeAfter(Throwable cause) {
        try {
            close();
        } catch (IOException e) {
            cause.addSuppressed(e);
        }
    }

    @Override
    public int held(List<BlockKey> path) throws IOException {
        List<KeyPrint> prints = path.stream().map(KeyPrint::of).toList();
        ledger.enter();
        try {
            return ledger.held(prints, options.epochClock().time());
        } finally {
            leave();
        }
    }

    @Override
    public @Nullable BlockNote load(BlockKey key, MemorySegment target) throws IOException {
        KeyPrint print = KeyPrint.of(key);
        ledger.enter();
        try {
            Slot slot = ledger.pin(print);
            BlockNote note = slot == null ? null : loadPinned(slot, key, target);
            (note == null ? counters.misses : counters.hits).increment();
            counters.bytesRead.add(note == null ? 0 : target.byteSize());
            return note;
        } finally {
            leave();
        }
    }

    private @Nullable BlockNote loadPinned(Slot slot, BlockKey key, MemorySegment target) throws IOException {
        try {
            if (target.byteSize() != slot.segment().shape().payloadBytes()) {
                return null;
            }
            if (slot.isExpired(options.epochClock().time())) {
                counters.expired.add(ledger.drop(slot) ? 1 : 0);
                return null;
            }
            BlockHeader header = files.read(slot, target);
            if (!header.key().equals(key)) {
                return null; // another key with the same print
            }
            ledger.touch(slot);
            return header.note();
        } catch (DamagedFileException e) {
            counters.corrupt.add(ledger.dropDamaged(slot) ? 1 : 0);
            return null;
        } catch (IOException e) {
            ledger.dropDamaged(slot); // so that it can be stored again elsewhere
            throw e;
        } finally {
            if (ledger.unpin(slot)) {
                files.bury(slot);
            }
        }
    }

    @Override
    public boolean store(BlockKey key, BlockNote note, MemorySegment block) throws IOException {
        KeyPrint print = KeyPrint.of(key);
        int tokens = key.tokens().length;
        SlotShape shape = SlotShape.of(block.byteSize(), tokens);
        ledger.enter();
        try {
            boolean possible = !options.readOnly()
                    && shape.fits(tokens, key.namespace())
                    && !note.isExpired(options.epochClock().time());
            boolean stored = possible && store(shape, key, print, note, block);
            counters.declined.add(stored ? 0 : 1);
            return stored;
        } finally {
            leave();
        }
    }

    private boolean store(SlotShape shape, BlockKey key, KeyPrint print, BlockNote note, MemorySegment block)
            throws IOException {
        Storing storing = ledger.begin(print, BlockHeader.expiryMillis(note));
        if (storing == null) {
            return true;
        }
        try {
            Slot slot = files.take(shape, storing);
            if (slot == null) {
                return false;
            }
            files.write(slot, key, note, block);
            Slot loser = ledger.publish(slot, storing);
            if (loser != null) {
                files.bury(loser);
                if (loser.entry() == slot.entry() && ledger.isOvertaken(storing)) {
                    return false;
                }
            }
            counters.stored.increment();
            counters.bytesWritten.add(block.byteSize());
            return true;
        } finally {
            ledger.end(storing);
        }
    }

    @Override
    public void remove(BlockKey key) throws IOException {
        KeyPrint print = KeyPrint.of(key);
        ledger.enter();
        try {
            checkWritable();
            Slot slot = ledger.take(print);
            if (slot != null && !files.buryForGood(slot)) {
                throw new IOException(
                        "header could not be overwritten: file=" + slot.segment() + " slot=" + slot.number());
            }
        } finally {
            leave();
        }
    }

    @Override
    public void erase(String namespace) throws IOException {
        Objects.requireNonNull(namespace, "namespace");
        ledger.enter();
        try {
            checkWritable();
            List<String> failures = wipe(namespace);
            ledger.awaitSegments();
            files.deleteOrphans().forEach(path -> failures.add("file=" + path));
            ledger.keptFiles().forEach(path -> failures.add("file=" + path));
            files.syncDirectory();
            if (!failures.isEmpty()) {
                throw new IOException("namespace may still be there: namespace=" + namespace + " in " + failures);
            }
        } finally {
            leave();
        }
    }

    private List<String> wipe(String namespace) throws IOException {
        Erasure erasure = ledger.beginErase(namespace);
        try {
            return files.wipe(erasure);
        } finally {
            ledger.endErase(erasure);
        }
    }

    private void checkWritable() throws IOException {
        if (options.readOnly()) {
            throw new IOException("store is read-only: directory=" + directory);
        }
    }

    /** Ends a call; the last one of a closed store lets go of everything. */
    private void leave() {
        if (ledger.leave()) {
            letGo();
        }
    }

    private boolean letGo() {
        boolean closed = files.close();
        try {
            if (directoryLock != null) {
                directoryLock.close();
            }
        } catch (IOException e) {
            closed = false;
        }
        return closed;
    }

    /**
     * {@inheritDoc}
     *
     * <p>Waits up to five seconds for calls that are under way; if they take longer, the last one of them lets go of
     * the directory.
     */
    @Override
    public void close() throws IOException {
        if (!ledger.close()) {
            return;
        }
        ledger.awaitOtherCalls(CLOSE_NANOS);
        if (ledger.leave() && !letGo()) {
            throw new IOException("a file could not be closed: directory=" + directory);
        }
    }

    /**
     * Returns what the store has and has done.
     *
     * @return a snapshot
     */
    public DiskStats stats() {
        return ledger.stats();
    }

    /** Checks the bookkeeping, while no call is under way and nothing is being recovered. */
    void verify() {
        ledger.verify();
    }

    @Override
    public String toString() {
        return "DiskStore[" + directory + "]";
    }
}
