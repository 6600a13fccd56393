package io.kvcache.demo;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/**
 * Tells models apart whose keys and values outlive a process: by every byte of the file.
 *
 * <p>Thread-safe: stateless.
 */
final class ModelFingerprint {
    private static final int BUFFER_BYTES = 1 << 20;

    private ModelFingerprint() {}

    /**
     * Reads the whole file.
     *
     * @return the SHA-256 of its bytes
     * @throws GgufException if it cannot be read
     */
    static String of(Path model) {
        MessageDigest digest = sha256();
        ByteBuffer buffer = ByteBuffer.allocate(BUFFER_BYTES);
        try (FileChannel channel = FileChannel.open(model, StandardOpenOption.READ)) {
            while (channel.read(buffer.clear()) >= 0) {
                digest.update(buffer.flip());
            }
        } catch (IOException e) {
            throw GgufException.of(model.toString(), "file cannot be read", "cause", e);
        }
        return "sha256:" + HexFormat.of().formatHex(digest.digest());
    }

    private static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-256", e);
        }
    }
}
