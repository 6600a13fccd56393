package io.kvcache.tiers;

/**
 * The slots of one shape, in three rings of a {@link SlotTable}.
 *
 * <p>Not thread-safe: guarded by the lock of the {@link SlotLedger}.
 */
final class SlotRings {
    final SlotShape shape;
    final int used; // ring of blocks that can be found, the least recently used first
    final int free; // ring of slots to be taken
    final int failed; // ring of slots whose last write failed: the place may be bad, so others come first for a while
    int segments;
    long lastFailure;

    SlotRings(SlotShape shape, SlotTable table) {
        this.shape = shape;
        this.used = table.newRing();
        this.free = table.newRing();
        this.failed = table.newRing();
    }
}
