package io.kvcache.remote;

import io.lettuce.core.RedisClient;
import io.lettuce.core.RedisURI;
import io.lettuce.core.api.StatefulRedisConnection;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.agrona.concurrent.NanoClock;
import org.jspecify.annotations.Nullable;

/**
 * One connection to a server, made again when it is needed after it was lost. Calls wait for an attempt that is under way;
 * after connections that came to nothing there are pauses.
 *
 * <p>Thread-safe. The lock is not held for I/O. What depends on a connection that is made must run in another thread: the lock is held
 * when it is told.
 */
final class Link {
    private static final long FIRST_PAUSE_NANOS = TimeUnit.MILLISECONDS.toNanos(50);
    private static final long LONGEST_PAUSE_NANOS = TimeUnit.MILLISECONDS.toNanos(200);

    private final RedisClient client;
    private final RedisURI uri;
    private final AtomicLong numbers;
    private final NanoClock clock;

    // Guarded by this.
    private @Nullable StatefulRedisConnection<String, PartValue> connection;
    private long attempt; // the last one to connect: a number of the node's, which grows
    private long made; // which attempt the connection is of
    private long trusted; // attempts before this one are given up, whatever becomes of them
    private final Map<Long, CompletableFuture<StatefulRedisConnection<String, PartValue>>> pending =
            new HashMap<>(); // attempts that have not ended
    private boolean closed;
    private long pauseNanos; // after the next failure; 0 once a reply was good
    private long retryAt; // when the next attempt may begin
    private String failure = "not connected yet";

    /**
     * Makes it without a connection.
     *
     * @param numbers numbers attempts to connect in the order in which they begin
     * @param clock nanoseconds from any origin
     */
    Link(RedisClient client, RedisURI uri, AtomicLong numbers, NanoClock clock) {
        this.numbers = numbers;
        this.client = client;
        this.uri = uri;
        this.clock = clock;
        this.retryAt = clock.nanoTime();
    }

    /** Whether commands can be sent at once. */
    synchronized boolean isOpen() {
        return connection != null && connection.isOpen();
    }

    /** Whether a call would begin to connect. */
    synchronized boolean maybeConnects() {
        return !isOpen() && !closed && clock.nanoTime() - retryAt >= 0;
    }

    /**
     * Returns the connection, if there is one, or waits for a new one.
     *
     * @param deadline of the clock
     * @throws IOException if there is none and none is to be made now, or none was made in time
     */
    StatefulRedisConnection<String, PartValue> connection(long deadline) throws IOException {
        CompletableFuture<StatefulRedisConnection<String, PartValue>> connected;
        synchronized (this) {
            if (connection != null && connection.isOpen()) {
                return connection;
            }
            connected = connect();
        }
        return Replies.await(connected, "connection", clock, deadline);
    }

    /** Begins to connect, if now is the time, and does not wait; returns what is being made, or was. */
    synchronized CompletionStage<?> connectInBackground() {
        try {
            return isOpen() ? CompletableFuture.completedStage(this) : connect();
        } catch (IOException e) { // not now
            return CompletableFuture.failedStage(e);
        }
    }

    private synchronized CompletableFuture<StatefulRedisConnection<String, PartValue>> connect() throws IOException {
        if (connection != null) { // the server has closed it
            lost("connection was closed");
        }
        long now = clock.nanoTime();
        if (closed || now - retryAt < 0) {
            CompletableFuture<StatefulRedisConnection<String, PartValue>> under = pending.get(attempt);
            if (closed || under == null) {
                throw new IOException(failure);
            }
            return under;
        }
        attempt = numbers.incrementAndGet();
        long number = attempt;
        retryAt = now + LONGEST_PAUSE_NANOS; // one that hangs does not keep others from succeeding
        CompletableFuture<StatefulRedisConnection<String, PartValue>> result = new CompletableFuture<>();
        pending.put(number, result);
        try {
            CompletionStage<?> _ = client.connectAsync(PartCodec.INSTANCE, uri)
                    .whenComplete((connected, error) -> ended(number, connected, error, result));
        } catch (RuntimeException e) { // the client is shut down
            ended(number, null, e, result);
        }
        return result;
    }

    private synchronized void ended(
            long number,
            @Nullable StatefulRedisConnection<String, PartValue> connected,
            @Nullable Throwable error,
            CompletableFuture<StatefulRedisConnection<String, PartValue>> result) {
        pending.remove(number);
        if (connected == null) {
            if (number == attempt && connection == null) {
                failed(Replies.text(error));
            }
            result.completeExceptionally(new IOException(Replies.text(error), error));
        } else if (closed || number < trusted) {
            pending.put(number, result);
            CompletionStage<?> _ = connected.closeAsync().whenComplete((done, failed) -> gaveUp(number, result));
        } else if (connection != null && connection.isOpen()) { // another attempt was faster
            CompletionStage<?> _ = connected.closeAsync();
            result.complete(connection);
        } else {
            connection = connected;
            made = number;
            result.complete(connected);
        }
    }

    private synchronized void gaveUp(
            long number, CompletableFuture<StatefulRedisConnection<String, PartValue>> result) {
        pending.remove(number);
        result.completeExceptionally(new IOException(failure));
    }

    /** Says that a reply by this connection was good. */
    synchronized void worked() {
        pauseNanos = 0;
    }

    /** Whether this is the connection still, and not one that was dropped. */
    synchronized boolean has(StatefulRedisConnection<String, PartValue> other) {
        return other.equals(connection);
    }

    /** Closes the connection, and gives up attempts, if they began before one with this number. */
    void distrust(long before, String cause) {
        StatefulRedisConnection<String, PartValue> suspect;
        synchronized (this) {
            trusted = Math.max(trusted, before);
            if (connection == null || made >= before) {
                return;
            }
            suspect = connection;
            lost(cause);
        }
        if (suspect.isOpen()) {
            CompletionStage<?> _ = suspect.closeAsync();
        }
    }

    private synchronized void lost(String cause) {
        connection = null;
        failed(cause);
    }

    private synchronized void failed(String cause) {
        failure = cause;
        retryAt = clock.nanoTime() + pauseNanos;
        pauseNanos = Math.clamp(2 * pauseNanos, FIRST_PAUSE_NANOS, LONGEST_PAUSE_NANOS);
    }

    /** Closes it for good, and does not wait; the result tells when it is closed, and nothing is being made any more. */
    synchronized CompletableFuture<Void> close(String cause) {
        closed = true;
        failure = cause;
        List<CompletableFuture<?>> ending = new ArrayList<>(pending.values());
        StatefulRedisConnection<String, PartValue> last = connection;
        if (last != null && last.isOpen()) {
            ending.add(last.closeAsync());
        }
        connection = null;
        return CompletableFuture.allOf(ending.toArray(CompletableFuture<?>[]::new))
                .handle((done, failed) -> null);
    }
}
