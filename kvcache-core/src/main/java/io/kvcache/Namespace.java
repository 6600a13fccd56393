package io.kvcache;

import java.util.Objects;

/**
 * A partition of a cache, named by a tenant, an adapter or a model version: prefixes are shared within it only.
 *
 * <p>Thread-safe.
 */
public final class Namespace {
    private final SequencePool sequences;
    private final Partition partition;

    Namespace(String name, NamespaceOptions options, SequencePool sequences) {
        this.sequences = sequences;
        this.partition = sequences.newPartition(name, options);
    }

    /**
     * Returns the name.
     *
     * @return the name, unique in the cache
     */
    public String name() {
        return partition.name;
    }

    /**
     * Returns the options.
     *
     * @return what it was made with
     */
    public NamespaceOptions options() {
        return partition.options;
    }

    /**
     * Opens a sequence for a prompt. It starts with the longest prefix of the prompt that is cached in this namespace:
     * {@link Sequence#cachedTokens()} need not be computed. The tokens themselves are compared, and at least one is left to
     * compute, for its logits. A prefix may end inside a block; the first reserve then copies the part that matches.
     *
     * @param prompt [tokens] at least one token id; not kept
     * @return a sequence, to be closed by the caller
     * @throws IllegalArgumentException if the prompt is empty
     * @throws IllegalStateException if the cache is closed
     */
    public Sequence open(int[] prompt) {
        return sequences.open(partition, checkPrompt(prompt), OpenOptions.DEFAULT);
    }

    /**
     * Opens a sequence for a prompt; see {@link #open(int[])}.
     *
     * @param prompt [tokens] at least one token id; not kept
     * @param options how it uses the cache
     * @return a sequence, to be closed by the caller
     * @throws IllegalArgumentException if the prompt is empty
     * @throws IllegalStateException if the cache is closed
     */
    public Sequence open(int[] prompt, OpenOptions options) {
        return sequences.open(partition, checkPrompt(prompt), options);
    }

    /**
     * Returns how many tokens of a prompt {@link #open(int[])} would find cached now; changes nothing.
     *
     * @param prompt [tokens] at least one token id
     * @return tokens, fewer than the prompt has
     * @throws IllegalArgumentException if the prompt is empty
     */
    public int probe(int[] prompt) {
        return probe(prompt, OpenOptions.DEFAULT);
    }

    /**
     * Returns how many tokens of a prompt {@link #open(int[], OpenOptions)} would find cached now; changes nothing.
     *
     * @param prompt [tokens] at least one token id
     * @param options of the sequence that would be opened
     * @return tokens, fewer than the prompt has
     * @throws IllegalArgumentException if the prompt is empty
     */
    public int probe(int[] prompt, OpenOptions options) {
        return sequences.probe(partition, checkPrompt(prompt), options);
    }

    /**
     * Forgets everything that is cached here, and overwrites keys, values and tokens of it. Sequences that are open go on with
     * what they hold, but publish nothing any more; what they hold of it is overwritten when they let go of it. Pins end.
     *
     * @return how many blocks were overwritten at once, and how many are deferred
     * @throws IllegalStateException if the cache is closed
     */
    public Erasure erase() {
        return sequences.retire(partition, true);
    }

    /**
     * Forgets everything that is cached here, after a change of weights or of an adapter. Sequences that are open go on with
     * what they hold, but publish nothing any more. Pins end.
     *
     * @throws IllegalStateException if the cache is closed
     */
    public void renew() {
        sequences.retire(partition, false);
    }

    /**
     * Returns what the namespace holds now and what it has done.
     *
     * @return a snapshot
     */
    public NamespaceStats stats() {
        return sequences.stats(partition);
    }

    private static int[] checkPrompt(int[] prompt) {
        Objects.requireNonNull(prompt, "prompt");
        if (prompt.length == 0) {
            throw new IllegalArgumentException("prompt has no token: length=0");
        }
        return prompt;
    }
}
