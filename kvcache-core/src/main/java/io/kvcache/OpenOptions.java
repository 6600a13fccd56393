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
 */
public record OpenOptions(
        boolean lookup,
        boolean publish,
        List<Identity> identities,
        int label,
        @Nullable Retention retention) {
    /** Look up and publish, no identities, label 0, the default retention of the namespace. */
    public static final OpenOptions DEFAULT = new OpenOptions(true, true, List.of(), 0, null);

    private static final int LABELS = 8;

    /**
     * Makes options; the {@code with} methods of {@link #DEFAULT} read better.
     *
     * @throws IllegalArgumentException if the label is out of range, or the retention pins
     */
    public OpenOptions {
        identities = List.copyOf(identities);
        if (label < 0 || label >= LABELS) {
            throw new IllegalArgumentException("must be from 0 to " + (LABELS - 1) + ": label=" + label);
        }
        if (retention != null) {
            retention.checkNotPinned();
        }
    }

    /**
     * Returns a copy that does not start with what is cached.
     *
     * @return a copy
     */
    public OpenOptions withoutLookup() {
        return new OpenOptions(false, publish, identities, label, retention);
    }

    /**
     * Returns a copy that keeps to itself what it computes.
     *
     * @return a copy
     */
    public OpenOptions withoutPublish() {
        return new OpenOptions(lookup, false, identities, label, retention);
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
        return new OpenOptions(lookup, publish, more, label, retention);
    }

    /**
     * Returns a copy with a label.
     *
     * @param newLabel 0 to 7
     * @return a copy
     */
    public OpenOptions withLabel(int newLabel) {
        return new OpenOptions(lookup, publish, identities, newLabel, retention);
    }

    /**
     * Returns a copy with a retention.
     *
     * @param newRetention not pinned
     * @return a copy
     */
    public OpenOptions withRetention(Retention newRetention) {
        return new OpenOptions(lookup, publish, identities, label, newRetention);
    }
}
