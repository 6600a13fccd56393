package io.kvcache.remote;

import java.util.Objects;

/**
 * Where the events of one machine's cache are told to others: a stream, and beside it the contents of the cache at one
 * number. Their keys are {@code events:{machine}} and {@code contents:{machine}} behind the prefix, and so in one slot
 * of a cluster.
 *
 * <p>Thread-safe: immutable.
 *
 * @param remote the servers, and what their keys begin with; a part's size and the deadline of a call are not used
 * @param machine whose cache it is: a name that no other has
 * @param length events that the stream keeps at least
 */
public record EventStream(RemoteOptions remote, String machine, int length) {
    private static final int LENGTH = 1 << 16;
    private static final int SMALLEST_LENGTH = 2;

    /**
     * Makes a description; {@link #of} reads better.
     *
     * @throws IllegalArgumentException if the name is not printable ASCII or has a brace, or the stream is too short
     */
    public EventStream {
        Objects.requireNonNull(remote, "remote");
        if (!machine.matches("[!-z|~]+")) {
            throw new IllegalArgumentException("must be printable ASCII without space and braces: machine=" + machine);
        }
        if (length < SMALLEST_LENGTH) {
            throw new IllegalArgumentException("must be at least " + SMALLEST_LENGTH + ": length=" + length);
        }
    }

    /**
     * Returns a stream of 65,536 events.
     *
     * @param remote the servers, and what their keys begin with
     * @param machine whose cache it is
     * @return a description
     * @throws IllegalArgumentException if the name is not printable ASCII or has a brace
     */
    public static EventStream of(RemoteOptions remote, String machine) {
        return new EventStream(remote, machine, LENGTH);
    }

    /**
     * Returns a copy of another length. After half as many events the contents are written anew: let it be no shorter
     * than the cache has blocks.
     *
     * @param events at least 2
     * @return a copy
     */
    public EventStream withLength(int events) {
        return new EventStream(remote, machine, events);
    }

    String eventsKey() {
        return key("events");
    }

    String contentsKey() {
        return key("contents");
    }

    /** Where contents are written before they take the place of those that are there. */
    String newContentsKey(long run) {
        return key("contents-" + run);
    }

    private String key(String kind) {
        return remote.keyPrefix() + kind + ":{" + machine + "}";
    }
}
