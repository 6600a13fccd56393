package io.kvcache;

/**
 * What one namespace holds at one moment, and what has gone through it since it came into being.
 *
 * <p>Thread-safe: immutable.
 *
 * @param usedBlocks blocks that sequences, sessions or pins hold
 * @param sharedBlocks how many of these are published: other sequences can share them; the others are private
 * @param cachedBlocks blocks that nobody holds, kept for prompts that begin with the same tokens
 * @param pinnedBlocks blocks that are pinned, among the used ones
 * @param sessions sessions stored by key
 * @param traffic what has gone through it
 */
public record NamespaceStats(
        int usedBlocks, int sharedBlocks, int cachedBlocks, int pinnedBlocks, int sessions, Traffic traffic) {
    /**
     * Returns what it holds now and what went through it since an earlier snapshot.
     *
     * @param earlier a snapshot of the same namespace
     * @return this with the difference of the traffic
     */
    public NamespaceStats minus(NamespaceStats earlier) {
        return new NamespaceStats(
                usedBlocks, sharedBlocks, cachedBlocks, pinnedBlocks, sessions, traffic.minus(earlier.traffic));
    }
}
