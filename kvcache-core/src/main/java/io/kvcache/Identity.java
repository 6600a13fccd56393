package io.kvcache;

import java.util.Objects;

/**
 * Something besides the tokens that keys and values depend on, such as the adapter or an image in the prompt. It is part of
 * the key of a prefix, with its kind: an adapter called "x" and a salt "x" have nothing in common.
 *
 * <p>Thread-safe: immutable.
 *
 * @param kind what it is, for example "adapter" or "image"
 * @param value which one, for example a name or a hash of the contents
 */
public record Identity(String kind, String value) {
    /**
     * Makes an identity.
     *
     * @param kind what it is
     * @param value which one
     */
    public Identity {
        Objects.requireNonNull(kind, "kind");
        Objects.requireNonNull(value, "value");
    }
}
