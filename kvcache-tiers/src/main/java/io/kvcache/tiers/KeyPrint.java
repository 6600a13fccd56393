package io.kvcache.tiers;

import io.kvcache.BlockKey;
import java.nio.ByteBuffer;

/**
 * What memory keeps of a key: all of its digest and a hash of its tokens. Keys that differ in tokens only may look
 * alike; the header in the file tells them apart.
 *
 * <p>Thread-safe: immutable.
 */
record KeyPrint(long digest0, long digest1, long digest2, long digest3, long tokens, String namespace) {
    private static final long FACTOR = 0x9e3779b97f4a7c15L; // 2^64 / golden ratio

    /**
     * Takes the print of a key.
     *
     * @throws IllegalArgumentException if the key is a root
     */
    static KeyPrint of(BlockKey key) {
        int[] tokens = key.tokens();
        if (tokens.length == 0) {
            throw new IllegalArgumentException("a root is no block: " + key);
        }
        ByteBuffer digest = ByteBuffer.wrap(key.digest());
        return new KeyPrint(
                digest.getLong(), digest.getLong(), digest.getLong(), digest.getLong(), hash(tokens), key.namespace());
    }

    /** By which blocks are found; many may share one. */
    long fingerprint() {
        return digest0;
    }

    private static long hash(int[] tokens) {
        long hash = tokens.length;
        for (int token : tokens) {
            hash = (hash ^ token) * FACTOR;
            hash ^= hash >>> 32;
        }
        return hash;
    }
}
