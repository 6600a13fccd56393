package io.kvcache.remote;

import io.lettuce.core.Limit;
import io.lettuce.core.Range;
import io.lettuce.core.StreamMessage;
import io.lettuce.core.XAddArgs;
import io.lettuce.core.XReadArgs;
import io.lettuce.core.api.StatefulRedisConnection;
import io.lettuce.core.api.async.RedisAsyncCommands;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import org.agrona.concurrent.SystemNanoClock;
import org.jspecify.annotations.Nullable;

/**
 * A connection to the server that has a stream. It is never made again by itself: after a failure it is closed, and
 * whoever uses another one begins by finding out what is left.
 *
 * <p>Thread-safe, but meant for one thread.
 */
final class StreamLink implements AutoCloseable {
    /** How long a reply may take. */
    private static final Duration PATIENCE = Duration.ofSeconds(2);

    /** How long keys stay that nobody {@link #keep keeps}: those of a machine that has ended are forgotten. */
    private static final Duration KEPT = Duration.ofMinutes(1);

    private static final String ID_IS_TAKEN = "equal or smaller than the target stream top item";

    private final StatefulRedisConnection<String, String> connection;
    private final RedisAsyncCommands<String, String> commands;

    StreamLink(StatefulRedisConnection<String, String> connection) {
        this.connection = connection;
        this.commands = connection.async();
    }

    /**
     * Waits for a reply.
     *
     * @throws RefusedException if it is an error
     * @throws IOException if there is none in time, or the thread is interrupted, which it then still is
     */
    private static <T> T await(Future<T> reply) throws IOException {
        return Replies.await(reply, "reply", SystemNanoClock.INSTANCE, System.nanoTime() + PATIENCE.toNanos());
    }

    // ---- write ----

    /** An entry to be added; the order in which the IDs are given is that of the stream. */
    record Entry(EntryId id, Map<String, String> fields) {}

    /**
     * Adds entries, all of them in one go. Those whose place in the stream is taken are left out: they were added
     * before.
     *
     * @param length entries that are kept at least
     * @return how many were left out
     * @throws IOException if one could not be added, nobody knows which
     */
    int add(String key, List<Entry> entries, long length) throws IOException {
        List<Future<String>> replies = new ArrayList<>();
        for (Entry entry : entries) {
            XAddArgs arguments =
                    new XAddArgs().id(entry.id.toString()).maxlen(length).approximateTrimming();
            replies.add(commands.xadd(key, arguments, entry.fields));
        }
        int taken = 0;
        for (Future<String> reply : replies) {
            taken += isAdded(reply) ? 0 : 1;
        }
        return taken;
    }

    private static boolean isAdded(Future<String> reply) throws IOException {
        try {
            await(reply);
            return true;
        } catch (RefusedException e) {
            if (e.reply().contains(ID_IS_TAKEN)) {
                return false;
            }
            throw e;
        }
    }

    /** Lets keys stay for another while; returns whether all of them are there. */
    boolean keep(String... keys) throws IOException {
        List<Future<Boolean>> replies = new ArrayList<>();
        for (String key : keys) {
            replies.add(commands.expire(key, KEPT));
        }
        boolean all = true;
        for (Future<Boolean> reply : replies) {
            all &= await(reply);
        }
        return all;
    }

    void remove(String key) throws IOException {
        await(commands.unlink(key));
    }

    /** Puts what is at a key in the place of what is at another one. */
    void rename(String from, String to) throws IOException {
        await(commands.rename(from, to));
    }

    // ---- read ----

    /** The first entry of a stream, or null. */
    @Nullable
    StreamMessage<String, String> first(String key) throws IOException {
        return only(await(commands.xrange(key, Range.unbounded(), Limit.from(1))));
    }

    /** The last entry of a stream, or null. */
    @Nullable
    StreamMessage<String, String> last(String key) throws IOException {
        return only(await(commands.xrevrange(key, Range.unbounded(), Limit.from(1))));
    }

    private static @Nullable StreamMessage<String, String> only(List<StreamMessage<String, String>> entries) {
        return entries.isEmpty() ? null : entries.getFirst();
    }

    /** The first entries of a stream behind one, without waiting. */
    List<StreamMessage<String, String>> after(String key, EntryId id, int limit) throws IOException {
        Range<String> behind = Range.from(Range.Boundary.excluding(id.toString()), Range.Boundary.unbounded());
        return await(commands.xrange(key, behind, Limit.from(limit)));
    }

    /** The first entries of a stream behind one, waiting for one for some time, less than for other replies. */
    @SuppressWarnings("unchecked") // an array of offsets
    List<StreamMessage<String, String>> after(String key, EntryId id, int limit, Duration patience) throws IOException {
        XReadArgs arguments = new XReadArgs().count(limit).block(patience);
        return await(commands.xread(arguments, XReadArgs.StreamOffset.from(key, id.toString())));
    }

    /** Ends the connection, and does not wait for that. */
    @Override
    public void close() {
        var _ = connection.closeAsync();
    }
}
