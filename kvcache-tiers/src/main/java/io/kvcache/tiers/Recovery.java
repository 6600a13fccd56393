package io.kvcache.tiers;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Collection;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
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
    private final AtomicInteger left;
    private final Runnable whenThreadEnds;

    Recovery(
            StoreFiles files,
            SlotLedger ledger,
            DiskCounters counters,
            Collection<FileAccess.Entry> segments,
            Runnable whenThreadEnds) {
        this.files = files;
        this.ledger = ledger;
        this.counters = counters;
        this.waiting = new ConcurrentLinkedQueue<>(segments);
        this.left = new AtomicInteger(segments.size());
        this.whenThreadEnds = whenThreadEnds;
    }

    /** How many threads to start. */
    int threads() {
        return Math.min(waiting.size(), MOST_THREADS);
    }

    void startThread() {
        Thread.ofPlatform().daemon().name("kvcache-recovery").start(this::run);
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
        boolean served = false;
        boolean gone = false;
        try {
            serve(path);
            served = true;
        } catch (DamagedFileException e) {
            counters.corrupt.increment();
            gone = files.tryDelete(path);
        } catch (IOException e) {
            counters.corrupt.increment(); // cannot be read
        } finally {
            if (left.decrementAndGet() == 0) {
                files.deleteExcess();
            }
            ledger.endRecovery(path, served, gone);
        }
    }

    private void serve(Path path) throws IOException {
        SegmentFile file = files.open(path);
        boolean served = false;
        try {
            List<Slot> losers = ledger.recovered(new Segment(file), find(file));
            served = true;
            losers.forEach(files::bury);
        } finally {
            if (!served) {
                StoreFiles.tryClose(file);
            }
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
