package io.kvcache.remote;

import io.kvcache.BlockKey;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;

/**
 * The names under which blocks lie on a server: {@code PREFIX{RUN}:NAMESPACE:DIGEST:PART}, in hexadecimal digits. The braces let a
 * cluster keep the blocks of a {@link BlockKey#run run} in one slot. The namespace is hashed, to be found by a pattern whatever
 * characters it has.
 *
 * <p>Thread-safe: immutable.
 */
final class BlockNames {
    private static final int NAMESPACE_BYTES = 16;

    private final String prefix;

    BlockNames(String prefix) {
        this.prefix = prefix;
    }

    /** Returns the name of a block, which that of a part {@link #part follows}. */
    String of(BlockKey key) {
        HexFormat hex = HexFormat.of();
        return prefix + "{" + hex.toHexDigits(key.run()) + "}:" + hash(key.namespace()) + ":"
                + hex.formatHex(key.digest()) + ":";
    }

    /** Returns the name of a part. */
    static String part(String block, int number) {
        return block + number;
    }

    /** Returns a pattern that all parts of all blocks of a namespace match, and nothing else that a store has written. */
    String pattern(String namespace) {
        StringBuilder pattern = new StringBuilder();
        for (int i = 0; i < prefix.length(); i++) {
            char character = prefix.charAt(i);
            if ("*?[]^-\\".indexOf(character) >= 0) {
                pattern.append('\\');
            }
            pattern.append(character);
        }
        return pattern + "{*}:" + hash(namespace) + ":*";
    }

    private static String hash(String namespace) {
        ByteBuffer characters = ByteBuffer.allocate(namespace.length() * Character.BYTES);
        characters.asCharBuffer().put(namespace);
        try {
            byte[] digest = MessageDigest.getInstance("SHA-256").digest(characters.array());
            return HexFormat.of().formatHex(Arrays.copyOf(digest, NAMESPACE_BYTES));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform must have SHA-256", e);
        }
    }
}
