package io.kvcache.remote;

import io.lettuce.core.api.StatefulRedisConnection;
import io.lettuce.core.protocol.AsyncCommand;
import io.lettuce.core.protocol.Command;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.agrona.concurrent.NanoClock;

/**
 * Commands that are sent to a server at once, and their replies.
 *
 * <p>Not thread-safe: belongs to the call that has begun it.
 */
final class Exchange {
    private static final long LEAST_TIME_NANOS = TimeUnit.MILLISECONDS.toNanos(10);

    private final Node node;
    private final Link link;
    private final StatefulRedisConnection<String, PartValue> connection;
    private final long attempt; // that comes next when this begins
    private final long began;
    private final NanoClock clock;
    private final List<AsyncCommand<String, PartValue, ?>> sent = new ArrayList<>();

    private Exchange(Node node, Link link, StatefulRedisConnection<String, PartValue> connection, NanoClock clock) {
        this.node = node;
        this.link = link;
        this.connection = connection;
        this.attempt = node.nextAttempt();
        this.clock = clock;
        this.began = clock.nanoTime();
    }

    /** Sends commands. Their outputs are written by another thread until {@link #await} has returned or memory is given back. */
    static Exchange begin(
            Node node,
            Link link,
            StatefulRedisConnection<String, PartValue> connection,
            NanoClock clock,
            List<? extends Command<String, PartValue, ?>> commands) {
        Exchange exchange = new Exchange(node, link, connection, clock);
        for (Command<String, PartValue, ?> command : commands) {
            exchange.sent.add(new AsyncCommand<>(command));
        }
        connection.dispatch(exchange.sent);
        return exchange;
    }

    /**
     * Waits for all replies, errors among them.
     *
     * @param deadline of the clock
     * @throws RefusedException if the server has answered by an error
     * @throws IOException if replies do not come; the connection is dropped, unless the thread was interrupted
     */
    void await(long deadline) throws IOException {
        try {
            RefusedException refusal = null;
            for (AsyncCommand<String, PartValue, ?> command : sent) {
                try {
                    Replies.await(command, "reply", clock, deadline);
                } catch (RefusedException e) {
                    refusal = refusal == null ? e : refusal;
                }
            }
            if (refusal != null) {
                refused(refusal);
                throw new RefusedException(refusal.reply(), ": node=" + node);
            }
            link.worked();
            node.answered();
        } catch (RefusedException e) {
            throw e;
        } catch (IOException e) {
            boolean hadTime = deadline - began >= LEAST_TIME_NANOS; // or it was spent on connecting
            if (hadTime && !Thread.currentThread().isInterrupted()) {
                drop(String.valueOf(e.getMessage()));
            }
            throw new IOException(e.getMessage() + ": node=" + node, e);
        } finally {
            sent.forEach(command -> command.cancel(false));
        }
    }

    private void refused(RefusedException refusal) {
        if (refusal.isMisunderstanding()) {
            drop(refusal.reply());
        } else {
            link.worked();
            node.answered();
        }
        if (refusal.move() == null && !refusal.isMoving()) {
            node.refused(refusal.reply());
        }
    }

    /** Says that what came is not to be trusted, and the connection neither. */
    void drop(String cause) {
        node.distrust(link, connection, attempt, cause);
    }
}
