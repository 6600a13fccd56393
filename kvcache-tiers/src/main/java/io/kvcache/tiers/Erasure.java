package io.kvcache.tiers;

import java.util.List;

/**
 * What an erase has to do.
 *
 * <p>Thread-safe: immutable, but for the segments, which stay until the erase ends.
 *
 * @param slots to be overwritten, and synced; the call owns them
 * @param unsynced segments with writes that may be lost with the power: what they overwrote, bytes of the namespace
 *     perhaps, would be back
 */
record Erasure(List<Slot> slots, List<Segment> unsynced) {}
