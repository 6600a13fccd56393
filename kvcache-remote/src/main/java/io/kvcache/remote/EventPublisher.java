package io.kvcache.remote;

import io.kvcache.CacheContents;
import io.kvcache.EventJournal;
import io.kvcache.KvCache;
import java.util.function.Supplier;
import org.agrona.concurrent.SystemEpochClock;

/**
 * Tells others what can be found in a cache: writes its events to a stream on a Valkey or Redis server, or cluster, and
 * its contents beside it, so that whoever comes finds both and needs nothing else; see {@link EventFollower}.
 *
 * <pre>{@code
 * EventJournal journal = new EventJournal(1 << 16);
 * KvCache cache = KvCache.builder(layout).maximumBytes(bytes).listener(journal, Runnable::run).build();
 * EventPublisher publisher = EventPublisher.start(EventStream.of(remote, "machine-7"), journal, cache::contents);
 * }</pre>
 *
 * <p>All work is done by a daemon thread of its own; the cache and its users never wait for a server. While there is
 * none, the thread tries again every quarter of a second, and logs one warning. What the journal has lost by then, new
 * contents tell. Tokens of prompts are on the server in plain text, for as long as the stream and the contents reach
 * back, also when their namespace is erased.
 *
 * <p>Thread-safe.
 */
public final class EventPublisher implements AutoCloseable {
    private final Rounds rounds;

    private EventPublisher(Rounds rounds) {
        this.rounds = rounds;
    }

    /**
     * Starts to publish. If another publisher uses the same stream, the one that began later goes on, and the other one
     * ends with a warning.
     *
     * @param stream where to; no other machine's
     * @param journal listens to the cache, from its beginning on
     * @param contents {@link KvCache#contents} of the cache; called by the publisher's thread, at first, after failures
     *     and from time to time
     * @return a publisher, to be closed before the cache
     */
    public static EventPublisher start(EventStream stream, EventJournal journal, Supplier<CacheContents> contents) {
        StreamWriter writer = new StreamWriter(stream, journal, contents, SystemEpochClock.INSTANCE);
        return new EventPublisher(Rounds.start("kvcache-publisher-" + stream.machine(), writer));
    }

    /** Stops. What was written stays for a minute, then followers forget the machine. */
    @Override
    public void close() {
        rounds.close();
    }
}
