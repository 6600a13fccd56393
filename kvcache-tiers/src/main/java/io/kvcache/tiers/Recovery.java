package io.kvcache.tiers;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.Path;
import java.util.Collection;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Finds what is in the files of a store when it is opened, in threads of its own, file by file.
 *
 * <p>Thread-safe.
 */
final class Recovery {
    private static final int MOST_THREADS = 4; // they wait for the disk, mostly

    private final StoreFiles files;
    private final SlotLedger ledger;
    private final DiskCounters counters;
    private final Queue<FileAccess.Entry> waiting;
    private final int count;
    private final AtomicInteger left;
    private final Queue<AccessDeniedException> denied = new ConcurrentLinkedQueue<>();
    private final Executor executor;
    private final Runnable whenThreadEnds;

    Recovery(
            StoreFiles files,
            SlotLedger ledger,
            DiskCounters counters,
            Collection<FileAccess.Entry> segments,
            Executor executor,
            Runnable whenThreadEnds) {
        this.files = files;
        this.ledger = ledger;
        this.counters = counters;
        this.waiting = new ConcurrentLinkedQueue<>(segments);
        this.count = segments.size();
        this.left = new AtomicInteger(count);
        this.executor = executor;
        this.whenThreadEnds = whenThreadEnds;
    }

    /** Starts a thread for each task. */
    static Executor threadForEach() {
        return task -> Thread.ofPlatform().daemon().name("kvcache-recovery").start(task);
    }

    /** How many threads to start. */
    int threads() {
        return Math.min(count, MOST_THREADS);
    }

    /** Starts a thread, or throws. */
    void startThread() {
        executor.execute(this::run);
    }

    /** Throws if there are files, but none that this process may open. */
    void checkAccess() throws AccessDeniedException {
        AccessDeniedException first = denied.peek();
        if (first != null && denied.size() == count) {
            throw first;
        }
    }

    private void run() {
        try {
            for (FileAccess.Entry entry = waiting.poll(); entry != null && !ledger.isClosed(); entry = waiting.poll()) {
                recover(entry.path());
            }
        } finally {
            whenThreadEnds.run();
        }
    }

    private void recover(Path path) {
        DiskSpace.Fate fate = DiskSpace.Fate.ORPHAN;
        try {
            SegmentFile file = files.open(path);
            Findings findings = findOrClose(file);
            fate = DiskSpace.Fate.SERVED; // from here on its blocks may be found, whatever happens
            ledger.recovered(new Segment(file, true), findings).forEach(this::tryBury);
        } catch (NewerVersionException e) {
            counters.corrupt.increment();
            fate = DiskSpace.Fate.KEPT;
        } catch (DamagedFileException e) {
            counters.corrupt.increment();
            fate = files.tryDelete(path) ? DiskSpace.Fate.GONE : DiskSpace.Fate.ORPHAN;
        } catch (AccessDeniedException e) {
            counters.corrupt.increment();
            denied.add(e);
        } catch (Throwable e) { // whatever it is, the other files have to be found
            counters.corrupt.increment();
        } finally {
            end(path, fate);
        }
    }

    private void end(Path path, DiskSpace.Fate fate) {
        try {
            ledger.settle(path, fate);
            if (left.decrementAndGet() == 0) {
                files.deleteExcess();
            }
        } catch (Throwable e) {
            counters.growthFailures.increment(); // the next segment finds no room, or makes some
        } finally {
            ledger.endRecovery(path);
        }
    }

    private Findings findOrClose(SegmentFile file) {
        try {
            return find(file);
        } catch (Throwable e) {
            StoreFiles.tryClose(file);
            throw e;
        }
    }

    private void tryBury(Slot loser) {
        try {
            files.bury(loser);
        } catch (Throwable e) {
            counters.corrupt.increment(); // the slot was given back all the same
        }
    }

    private Findings find(SegmentFile file) {
        int slots = file.head().slots();
        Findings findings = new Findings(slots);
        for (int slot = 0; slot < slots && !ledger.isClosed(); slot++) {
            try {
                BlockHeader header = files.readHeader(file, slot);
                if (header == null) {
                    findings.putBlank(slot);
                } else {
                    findings.put(slot, header);
                }
            } catch (IOException e) {
                counters.corrupt.increment(); // the slot is used again all the same
            }
        }
        return findings;
    }
}
