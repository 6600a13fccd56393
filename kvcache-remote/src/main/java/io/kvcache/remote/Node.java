package io.kvcache.remote;

import io.lettuce.core.RedisClient;
import io.lettuce.core.RedisURI;
import io.lettuce.core.api.StatefulRedisConnection;
import io.lettuce.core.protocol.Command;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.agrona.concurrent.NanoClock;

/**
 * One server, and the connections to it, which calls take in turn.
 *
 * <p>Thread-safe.
 */
final class Node {
    private static final System.Logger LOG = System.getLogger(Node.class.getPackageName());

    private static final long WARNING_NANOS = TimeUnit.MINUTES.toNanos(10);

    private final String host; // HOST:PORT
    private final NanoClock clock;
    private final List<Link> links;
    private final AtomicInteger turn = new AtomicInteger();
    private final AtomicLong attempts = new AtomicLong(); // to connect

    private volatile boolean failing; // written under this
    private boolean inUse; // guarded by this, like what follows
    private boolean warned;
    private long mayWarnAt;
    private final Map<String, Long> refusals = new HashMap<>(); // kind of error -> when it may be warned of again

    Node(String host, RedisClient client, RedisURI uri, int connections, NanoClock clock) {
        this.host = host;
        this.clock = clock;
        List<Link> made = new ArrayList<>();
        for (int i = 0; i < connections; i++) {
            made.add(new Link(client, uri, attempts, clock));
        }
        this.links = List.copyOf(made);
        this.mayWarnAt = clock.nanoTime();
    }

    /** Whether commands can be sent at once. */
    boolean isOpen() {
        return links.stream().anyMatch(Link::isOpen);
    }

    int openConnections() {
        return (int) links.stream().filter(Link::isOpen).count();
    }

    /**
     * Sends commands.
     *
     * @param deadline of the clock; until then it is waited for a connection, if there is none and now is the time to make one
     * @throws IOException if there is no connection
     */
    Exchange begin(List<? extends Command<String, PartValue, ?>> commands, long deadline) throws IOException {
        Link link = link();
        try {
            return Exchange.begin(this, link, link.connection(deadline), clock, commands);
        } catch (IOException e) {
            if (!Thread.currentThread().isInterrupted()) {
                failed(String.valueOf(e.getMessage()));
            }
            throw new IOException(e.getMessage() + ": node=" + this, e);
        }
    }

    /** Begins to make all connections that are not open, and does not wait; the result tells when the first attempts have ended. */
    CompletableFuture<Void> connect() {
        return CompletableFuture.allOf(links.stream()
                        .map(link -> link.connectInBackground().toCompletableFuture())
                        .toArray(CompletableFuture<?>[]::new))
                .handleAsync((done, failure) -> { // not under the lock of a link: it looks at all of them
                    if (failure != null && !isOpen()) {
                        failed(Replies.text(failure));
                    }
                    return null;
                });
    }

    /** The link whose turn it is; one that is not open is passed over while others are, and begins to connect. */
    private Link link() {
        int first = turn.getAndIncrement();
        Link waiting = links.get(Math.floorMod(first, links.size()));
        for (int i = 0; i < links.size(); i++) {
            Link link = links.get(Math.floorMod(first + i, links.size()));
            if (link.isOpen()) {
                return link;
            }
            if (link.maybeConnects()) {
                if (isOpen()) {
                    CompletionStage<?> _ = link.connectInBackground();
                } else {
                    waiting = link;
                }
            }
        }
        return waiting;
    }

    /** Says that replies are good. */
    void answered() {
        if (failing) {
            recovered();
        }
    }

    private synchronized void recovered() {
        failing = false;
        if (warned) {
            warned = false;
            LOG.log(System.Logger.Level.INFO, "remote server answers again: node={0}", host);
        }
    }

    /** Says that it has slots: from now on, that it fails is worth a warning. */
    synchronized void use() {
        inUse = true;
    }

    /** The number of the next attempt to connect. */
    long nextAttempt() {
        return attempts.get() + 1;
    }

    /**
     * Drops a connection because what came by it is late or garbled: what comes later may belong to another question. Drops the
     * others too, which cannot be better, unless they are newer than the call. Does nothing if that one was dropped already.
     *
     * @param attempt the {@link #nextAttempt} when the call began
     */
    void distrust(Link link, StatefulRedisConnection<String, PartValue> connection, long attempt, String cause) {
        if (link.has(connection)) {
            failed(cause);
            links.forEach(each -> each.distrust(attempt, cause));
        }
    }

    /** Says that the server cannot be used; warns of that, but not again and again. */
    private synchronized void failed(String cause) {
        long now = clock.nanoTime();
        if (inUse && !failing && now - mayWarnAt >= 0) {
            warned = true;
            mayWarnAt = now + WARNING_NANOS;
            LOG.log(
                    System.Logger.Level.WARNING,
                    "remote server does not answer, its blocks are misses until it does: node={0} cause={1}",
                    host,
                    cause);
        }
        failing = inUse;
    }

    /** Says that the server has answered by an error; warns of that, but not of the same again and again. */
    synchronized void refused(String reply) {
        long now = clock.nanoTime();
        String kind = reply.split(" ", 2)[0];
        Long mayWarnAgain = refusals.get(kind);
        if (inUse && (mayWarnAgain == null || now - mayWarnAgain >= 0)) {
            refusals.put(kind, now + WARNING_NANOS);
            LOG.log(System.Logger.Level.WARNING, "remote server refuses: node={0} reply={1}", host, reply);
        }
    }

    /** Closes all connections, and does not wait; the result tells when they are, and none is being made. */
    CompletableFuture<Void> close(String cause) {
        return CompletableFuture.allOf(
                links.stream().map(link -> link.close(cause)).toArray(CompletableFuture<?>[]::new));
    }

    @Override
    public String toString() {
        return host;
    }
}
