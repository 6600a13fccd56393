package io.kvcache.remote;

/**
 * Keeps a mirror of another machine's cache, out of what an {@link EventPublisher} writes there.
 *
 * <pre>{@code
 * CacheMirror mirror = new CacheMirror();
 * EventFollower follower = EventFollower.start(EventStream.of(remote, "machine-7"), mirror);
 * int cached = mirror.cachedTokens("chat", List.of(), prompt);
 * }</pre>
 *
 * <p>All work is done by a daemon thread of its own. While the server cannot be read, or nothing is known of the
 * machine, the mirror is out of date; the thread tries again every quarter of a second, and logs one warning. Events
 * that were missed are read again, or, where the stream does not reach back so far or the machine began anew, new
 * contents.
 *
 * <p>Thread-safe.
 */
public final class EventFollower implements AutoCloseable {
    private final Rounds rounds;

    private EventFollower(Rounds rounds) {
        this.rounds = rounds;
    }

    /**
     * Starts to follow.
     *
     * @param stream whose events
     * @param mirror is changed by this follower only
     * @return a follower, to be closed by the caller
     */
    public static EventFollower start(EventStream stream, CacheMirror mirror) {
        return new EventFollower(
                Rounds.start("kvcache-follower-" + stream.machine(), new StreamReader(stream, mirror)));
    }

    /** Stops; the mirror is out of date from then on. */
    @Override
    public void close() {
        rounds.close();
    }
}
