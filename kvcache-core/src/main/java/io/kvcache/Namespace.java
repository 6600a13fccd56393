package io.kvcache;

import java.time.Duration;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

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
     * compute, for its logits. A prefix may end inside a block; the first reserve then copies the part that matches. Where the cache
     * has tiers, they are asked meanwhile for what comes next: see {@link Sequence#adopt()} and {@link Sequence#await}.
     *
     * @param prompt [tokens] at least one token id; not kept
     * @return a sequence, to be closed by the caller
     * @throws IllegalArgumentException if the prompt is empty
     * @throws IllegalStateException if the cache is closed, or all slots for sequences are taken
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
     * @throws IllegalStateException if the cache is closed, or all slots for sequences are taken
     */
    public Sequence open(int[] prompt, OpenOptions options) {
        return sequences.open(partition, checkPrompt(prompt), options);
    }

    /**
     * Opens a sequence for a prompt, with room for all of it, and waits for that if need be: for a slot, where the number of
     * sequences is bounded; for what another sequence is computing of the same prompt, which is then shared, block by
     * block as far as the two go together; and for memory for the rest, which is reserved. Who waits holds nothing and is served
     * in order of arrival. When a sequence that others wait for closes, or is refused memory, the one that has waited
     * longest goes on from where it stopped.
     *
     * <p>At the deadline the caller gets what there is: a sequence that starts with what is cached by then, if there is a slot and
     * room. What a tier is loading of the prompt is waited for likewise. With {@link Duration#ZERO} it never waits, and asks no tier. By a clock that is not the system's, waits end when
     * {@link KvCache#maintain} is called after the deadline.
     *
     * @param prompt [tokens] at least one token id; not kept, and not to be changed meanwhile
     * @param options how it uses the cache, and how much room it needs behind the prompt
     * @param patience how long to wait at most
     * @return a sequence with the rest of the prompt and the room behind it reserved, to be closed by the caller; null: there was
     *     no slot or no room in time
     * @throws InterruptedException if the thread is interrupted while it waits
     * @throws IllegalArgumentException if the prompt is empty, or could never fit with its room
     * @throws IllegalStateException if the cache is closed, also meanwhile
     * @throws BlockMemoryException if the operating system refuses memory that the cache's limit allows
     */
    public @Nullable Sequence open(int[] prompt, OpenOptions options, Duration patience) throws InterruptedException {
        return sequences.openInTime(partition, checkPrompt(prompt), options, SequencePool.nanos(patience));
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
     * Returns whether {@code open(prompt, options, Duration.ZERO)} would open now: there is a slot, and room for the rest of the prompt
     * and {@code options.room()} slots behind it, beside the cached prefix that it would start with, and nobody who waits is
     * overtaken. Changes nothing. For loops that must not wait, and choose among many prompts.
     *
     * @param prompt [tokens] at least one token id; not kept
     * @param options of the sequence that would be opened
     * @return whether it would; false also where it could never fit
     * @throws IllegalArgumentException if the prompt is empty
     * @throws IllegalStateException if the cache is closed
     */
    public boolean hasRoom(int[] prompt, OpenOptions options) {
        return sequences.hasRoom(partition, checkPrompt(prompt), options);
    }

    /**
     * Returns how many blocks sequences of this namespace could hold at most, were nobody else's open: the limit of the cache less the
     * floors of other namespaces, or its own ceiling if that is lower.
     *
     * @return blocks
     */
    public int mostBlocks() {
        return sequences.mostBlocks(partition);
    }

    // ---- sessions ----

    /**
     * Stores a sequence by key, in place of what was there: its tokens and references to its blocks, the last, partly filled one
     * included. Nothing is copied, and the sequence itself goes on as before. Any number of keys can be checkpoints of
     * one conversation.
     *
     * <p>A session ends by {@link #remove}, {@link #erase}, {@link #renew}, at the end of its time to live, or when memory is
     * needed: sessions are given up, those of the lowest priority and used longest ago first, before a reserve is refused.
     * What is published of it stays cached for prompts.
     *
     * @param key any string
     * @param sequence a sequence of this namespace, with no slots reserved
     * @param retention how long it stays, and with what priority, which does not end before the session; not pinned
     * @return whether it was stored: not if the namespace was erased or renewed since the sequence was opened
     * @throws IllegalArgumentException if the sequence belongs to another namespace, or the retention pins
     * @throws IllegalStateException if slots are reserved, or the cache is closed
     */
    public boolean put(String key, Sequence sequence, Retention retention) {
        Objects.requireNonNull(key, "key");
        retention.checkNotPinned();
        if (!sequence.isOf(sequences)) {
            throw new IllegalArgumentException("sequence belongs to another cache: key=" + key + " " + sequence);
        }
        return sequences.put(partition, key, sequence.checkNotReserved("store"), retention);
    }

    /**
     * Opens a sequence that continues a stored one, which stays stored.
     *
     * @param key any string
     * @return a sequence that shares every block, to be closed by the caller; null: there is no session with this key, or to use it
     *     would take memory that is guaranteed to other namespaces
     * @throws IllegalStateException if all slots for sequences are taken, or the cache is closed
     */
    public @Nullable Sequence get(String key) {
        return sequences.get(partition, Objects.requireNonNull(key, "key"));
    }

    /**
     * Forgets a session.
     *
     * @param key any string
     * @return whether there was one
     * @throws IllegalStateException if the cache is closed
     */
    public boolean remove(String key) {
        return sequences.remove(partition, Objects.requireNonNull(key, "key"));
    }

    /**
     * Returns the keys of the sessions stored here.
     *
     * @return a copy; what would be given up first comes first
     */
    public List<String> keys() {
        return sequences.keys(partition);
    }

    // ---- warm up ----

    /**
     * Computes a list of prompts and retains them, for instance the system prompts of an engine that starts. What is cached
     * already is not computed again.
     *
     * @param prompts [prompts][tokens], each at least one token id
     * @param prefill computes what is missing
     * @param retention of the prompts' blocks; it may pin
     * @return what became of each prompt
     * @throws IllegalArgumentException if a prompt is empty
     */
    public WarmupReport warm(List<int[]> prompts, Prefill prefill, Retention retention) {
        return warm(prompts, prefill, WarmupOptions.DEFAULT.withRetention(retention));
    }

    /**
     * Computes a list of prompts and retains them. One that fails does not stop the others. Returns when all are done; when it is
     * cancelled, or the calling thread is interrupted, as soon as the prompts being computed are done: an interrupt
     * reaches them too, and stays set.
     *
     * @param prompts [prompts][tokens], each at least one token id
     * @param prefill computes what is missing
     * @param options how many at a time, who is told, and more
     * @return what became of each prompt
     * @throws IllegalArgumentException if a prompt is empty
     */
    public WarmupReport warm(List<int[]> prompts, Prefill prefill, WarmupOptions options) {
        prompts.forEach(Namespace::checkPrompt);
        return new Warmup(this, prompts, prefill, options, sequences.layout.tokensPerBlock()).run();
    }

    // ---- forget ----

    /**
     * Forgets everything that is cached or stored here, and overwrites keys, values and tokens of it. Sequences that are open go on with
     * what they hold, but publish nothing any more; what they hold of it is overwritten when they let go of it. Pins end. Tiers
     * forget it too: each is waited for up to its deadline.
     *
     * @return how many blocks were overwritten at once, how many are deferred, and what could not be reached
     * @throws IllegalStateException if the cache is closed
     */
    public Erasure erase() {
        return sequences.retire(partition, true);
    }

    /**
     * Forgets everything that is cached or stored here, after a change of weights or of an adapter. Sequences that are open go on with
     * what they hold, but publish nothing any more. Pins end. Tiers forget it as they do by {@link #erase()}.
     *
     * @return how many blocks were freed at once, how many are deferred, and what could not be reached
     * @throws IllegalStateException if the cache is closed
     */
    public Erasure renew() {
        return sequences.retire(partition, false);
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
