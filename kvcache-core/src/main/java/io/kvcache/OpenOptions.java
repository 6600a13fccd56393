package io.kvcache;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * How one sequence uses the cache.
 *
 * <p>Thread-safe: immutable.
 *
 * @param lookup whether the sequence starts with what is cached
 * @param publish whether others may share what it computes
 * @param identities what keys and values depend on besides the tokens, in order; prefixes are shared where all of it is
 *     equal
 * @param label 0 to 7: the caller's class of requests, for policies that learn
 * @param retention of the blocks that it publishes, not pinned; null: the default of the namespace
 * @param room slots behind the prompt that an open with a deadline waits for and reserves, besides those of the prompt
 */
public record OpenOptions(
        boolean lookup,
        boolean publish,
        List<Identity> identities,
        int label,
        @Nullable Retention retention,
        int room) {
    /** Look up and publish, no identities, label 0, the default retention of the namespace, no room behind the prompt. */
    public static final OpenOptions DEFAULT = new OpenOptions(true, true, List.of(), 0, null, 0);

    private static final int LABELS = 8;

    /**
     * Makes options; the {@code with} methods of {@link #DEFAULT} read better.
     *
     * @throws IllegalArgumentException if the label is out of range, the retention pins, or the room is negative
     */
    public OpenOptions {
        identities = List.copyOf(identities);
        if (label < 0 || label >= LABELS) {
            throw new IllegalArgumentException("must be from 0 to " + (LABELS - 1) + ": label=" + label);
        }
        if (retention != null) {
            retention.checkNotPinned();
        }
        if (room < 0) {
            throw new IllegalArgumentException("must not be negative: room=" + room);
        }
    }

    /**
     * Returns a copy that does not start with what is cached.
     *
     * @return a copy
     */
    public OpenOptions withoutLookup() {
        return new OpenOptions(false, publish, identities, label, retention, room);
    }

    /**
     * Returns a copy that keeps to itself what it computes.
     *
     * @return a copy
     */
    public OpenOptions withoutPublish() {
        return new OpenOptions(lookup, false, identities, label, retention, room);
    }

    /**
     * Returns a copy with one identity more.
     *
     * @param kind what it is, for example "adapter" or "image"
     * @param value which one, for example a name or a hash of the contents
     * @return a copy
     */
    public OpenOptions withIdentity(String kind, String value) {
        List<Identity> more = new ArrayList<>(identities);
        more.add(new Identity(kind, value));
        return new OpenOptions(lookup, publish, more, label, retention, room);
    }

    /**
     * Returns a copy with a label.
     *
     * @param newLabel 0 to 7
     * @return a copy
     */
    public OpenOptions withLabel(int newLabel) {
        return new OpenOptions(lookup, publish, identities, newLabel, retention, room);
    }

    /**
     * Returns a copy with a retention.
     *
     * @param newRetention not pinned
     * @return a copy
     */
    public OpenOptions withRetention(Retention newRetention) {
        return new OpenOptions(lookup, publish, identities, label, newRetention, room);
    }

    /**
     * Returns a copy with room behind the prompt, for instance for the tokens to generate: what opens with a deadline can then
     * go on to the end without being refused memory.
     *
     * @param slots not negative
     * @return a copy
     */
    public OpenOptions withRoom(int slots) {
        return new OpenOptions(lookup, publish, identities, label, retention, slots);
    }
}
