package io.kvcache.demo;

import io.kvcache.KvLayout;
import io.kvcache.Sequence;

/**
 * Memory that a sequence holds.
 *
 * <p>Immutable, hence thread-safe.
 *
 * @param bytesPerToken keys and values of one token, all layers
 * @param blocksUsed blocks held
 * @param bytesUsed memory of these blocks
 * @param wasteRatio the share of it that holds no committed token, 0 to 1
 */
public record KvUsage(long bytesPerToken, int blocksUsed, long bytesUsed, double wasteRatio) {
    /** Of a sample that never ran. */
    static final KvUsage NONE = new KvUsage(0, 0, 0, 0);

    static KvUsage of(Sequence sequence) {
        KvLayout layout = sequence.layout();
        long bytes = sequence.blocks() * layout.blockBytes();
        double filled = (double) layout.bytesPerToken() * sequence.length();
        return new KvUsage(layout.bytesPerToken(), sequence.blocks(), bytes, bytes == 0 ? 0 : 1 - filled / bytes);
    }
}
