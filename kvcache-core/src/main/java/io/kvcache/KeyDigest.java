package io.kvcache;

import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;

/**
 * A SHA-256 over a list of values. Lists that differ are encoded differently: every value begins with its type, and with its
 * length unless the type fixes it, so that nothing collides by running into its neighbour.
 *
 * <pre>
 *   text      'T' int length   length chars     UTF-16 units as they are: UTF-8 would make all lone surrogates one
 *   number    'N' long
 *   numbers   'I' int length   length ints
 *   bytes     'B' int length   length bytes     all of it big-endian
 * </pre>
 *
 * <p>Not thread-safe.
 */
final class KeyDigest {
    static final int BYTES = 32;

    private static final int HEADER_BYTES = 1 + Integer.BYTES;

    private final MessageDigest sha256 = sha256();

    private static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform must have SHA-256", e);
        }
    }

    KeyDigest text(String text) {
        ByteBuffer buffer = start('T', text.length(), Character.BYTES);
        for (int i = 0; i < text.length(); i++) {
            buffer.putChar(text.charAt(i));
        }
        return add(buffer);
    }

    KeyDigest number(long number) {
        return add(ByteBuffer.allocate(1 + Long.BYTES).put((byte) 'N').putLong(number));
    }

    KeyDigest numbers(int[] numbers, int from, int count) {
        ByteBuffer buffer = start('I', count, Integer.BYTES);
        for (int i = from; i < from + count; i++) {
            buffer.putInt(numbers[i]);
        }
        return add(buffer);
    }

    KeyDigest bytes(byte[] bytes) {
        return add(start('B', bytes.length, Byte.BYTES).put(bytes));
    }

    private static ByteBuffer start(char type, int length, int unitBytes) {
        int bytes = Math.addExact(HEADER_BYTES, Math.multiplyExact(length, unitBytes));
        return ByteBuffer.allocate(bytes).put((byte) type).putInt(length);
    }

    private KeyDigest add(ByteBuffer value) {
        sha256.update(value.flip());
        return this;
    }

    /** Ends the list. */
    byte[] finish() {
        return sha256.digest();
    }

    static long firstLong(byte[] digest) {
        return ByteBuffer.wrap(digest).getLong();
    }
}
