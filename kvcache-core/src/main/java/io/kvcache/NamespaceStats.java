package io.kvcache;

/**
 * What one namespace holds at one moment, and what it has done since it came into being.
 *
 * <p>Thread-safe: immutable.
 *
 * @param usedBlocks blocks that sequences or pins hold
 * @param cachedBlocks blocks that nobody holds, kept for prompts that begin with the same tokens
 * @param pinnedBlocks blocks that are pinned, among the used ones
 * @param opened sequences opened, forks apart
 * @param promptTokens tokens of their prompts
 * @param hitTokens how many of these were cached
 * @param evictedBlocks cached blocks given up for room
 * @param expiredBlocks blocks whose time had come
 * @param erasedBlocks blocks taken out by {@link Namespace#erase()} or {@link Namespace#renew()}
 */
public record NamespaceStats(
        int usedBlocks,
        int cachedBlocks,
        int pinnedBlocks,
        long opened,
        long promptTokens,
        long hitTokens,
        long evictedBlocks,
        long expiredBlocks,
        long erasedBlocks) {}
