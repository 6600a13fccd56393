package io.kvcache;

import java.util.List;

/**
 * What {@link Namespace#erase()} has done.
 *
 * <p>Thread-safe: immutable.
 *
 * @param erasedBlocks blocks that are overwritten and free
 * @param deferredBlocks blocks that sequences still hold: nobody finds them any more, and they are overwritten when the last
 *     of these closes
 * @param unreached tiers that may still have blocks of the namespace, each with the reason. The cache loads none of them, and tries
 *     again before it loads anything of the namespace; another process may find them
 */
public record Erasure(int erasedBlocks, int deferredBlocks, List<String> unreached) {
    /**
     * Makes a result.
     *
     * @param unreached is copied
     */
    public Erasure {
        unreached = List.copyOf(unreached);
    }

    /**
     * Makes the result of an erasure that has reached every tier.
     *
     * @param erasedBlocks blocks that are overwritten and free
     * @param deferredBlocks blocks that sequences still hold
     */
    public Erasure(int erasedBlocks, int deferredBlocks) {
        this(erasedBlocks, deferredBlocks, List.of());
    }
}
