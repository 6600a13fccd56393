package io.kvcache;

import java.util.Objects;

/**
 * A partition of a cache, named by a tenant, an adapter or a model version: prefixes are shared within it only.
 *
 * <p>Thread-safe.
 */
public final class Namespace {
    private final String name;
    private final SequencePool sequences;

    Namespace(String name, SequencePool sequences) {
        this.name = name;
        this.sequences = sequences;
    }

    /**
     * Returns the name.
     *
     * @return the name, unique in the cache
     */
    public String name() {
        return name;
    }

    /**
     * Opens a sequence for a prompt. Its {@link Sequence#length()} says how many of the prompt's tokens need not be
     * computed; at least one is left, for its logits.
     *
     * @param prompt [tokens] at least one token id; not kept
     * @return a sequence, to be closed by the caller
     * @throws IllegalArgumentException if the prompt is empty
     * @throws IllegalStateException if the cache is closed
     */
    public Sequence open(int[] prompt) {
        Objects.requireNonNull(prompt, "prompt");
        if (prompt.length == 0) {
            throw new IllegalArgumentException("prompt has no token: length=0");
        }
        return sequences.open(name, prompt.length);
    }
}
