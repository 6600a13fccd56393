package io.kvcache;

import java.util.List;

/**
 * What can be found in a cache at one moment of its numbered events: these blocks, and every event with a greater
 * number, tell all that can be found later. See {@link KvCache#contents}.
 *
 * <p>Thread-safe: immutable.
 *
 * @param number of the last event that is counted in; 0: there was none
 * @param blocks [blocks] by number, which is the order in which they were stored, so that a parent comes before its
 *     children
 */
public record CacheContents(long number, List<CachedBlock> blocks) {
    /**
     * Makes contents.
     *
     * @param number of the last event that is counted in
     * @param blocks copied
     */
    public CacheContents {
        blocks = List.copyOf(blocks);
    }
}
