package io.kvcache.tiers;

/**
 * A file of a store together with what the {@link SlotLedger} knows of it.
 *
 * <p>Fields that change are guarded by the lock of the ledger.
 */
final class Segment {
    final SegmentFile file;
    final GroupSync sync;
    final int[] entries; // [slots] in the table
    int users; // slots that calls have for themselves, and readers
    long lastUsed; // stamp of the latest use of a block
    boolean detached; // is being deleted; its entries mean other slots

    /** Makes a segment; one that was there before may hold writes of who knows when. */
    Segment(SegmentFile file, boolean wasThere) {
        this.file = file;
        this.sync = new GroupSync(wasThere);
        this.entries = new int[file.head().slots()];
    }

    SlotShape shape() {
        return file.head().shape();
    }

    @Override
    public String toString() {
        return file.toString();
    }
}
