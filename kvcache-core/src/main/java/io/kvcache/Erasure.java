package io.kvcache;

/**
 * What {@link Namespace#erase()} has done.
 *
 * <p>Thread-safe: immutable.
 *
 * @param erasedBlocks blocks that are overwritten and free
 * @param deferredBlocks blocks that sequences still hold: nobody finds them any more, and they are overwritten when the last
 *     of these closes
 */
public record Erasure(int erasedBlocks, int deferredBlocks) {}
