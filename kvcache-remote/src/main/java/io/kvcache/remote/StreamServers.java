package io.kvcache.remote;

import io.lettuce.core.RedisClient;
import io.lettuce.core.RedisException;
import io.lettuce.core.RedisURI;
import io.lettuce.core.codec.StringCodec;
import io.lettuce.core.resource.ClientResources;
import io.lettuce.core.resource.DefaultClientResources;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * The servers of a stream: one, or those of a cluster, of which the one that has the slot is used.
 *
 * <p>Thread-safe, but meant for one thread.
 */
final class StreamServers implements AutoCloseable {
    private static final int MOST_HOPS = 5;
    private static final long SHUTDOWN_SECONDS = 2;

    private final EventStream stream;
    private final RedisClient client;

    /** The threads of all connections for streams in this process, which end with it. */
    private static final class Threads {
        static final ClientResources ALL = DefaultClientResources.builder()
                .ioThreadPoolSize(DefaultClientResources.MIN_IO_THREADS)
                .computationThreadPoolSize(DefaultClientResources.MIN_COMPUTATION_THREADS)
                .build();

        private Threads() {}
    }

    StreamServers(EventStream stream) {
        this.stream = stream;
        client = RedisClient.create(Threads.ALL);
    }

    /**
     * Connects to the server that has the stream, as the first one that answers knows it.
     *
     * @throws IOException if none answers, or it does not know
     */
    StreamLink connect() throws IOException {
        client.setOptions(Clients.options(stream.remote()));
        List<String> failures = new ArrayList<>();
        for (String host : stream.remote().address().hosts()) {
            try {
                return follow(host);
            } catch (IOException | RedisException e) {
                failures.add(Replies.text(e));
            }
        }
        throw new IOException("no server can be used: " + String.join("; ", failures));
    }

    private StreamLink follow(String first) throws IOException {
        String host = first;
        for (int hop = 0; hop < MOST_HOPS; hop++) {
            StreamLink link = new StreamLink(client.connect(StringCodec.UTF8, uri(host)));
            try {
                link.first(stream.eventsKey());
                return link;
            } catch (IOException e) {
                link.close();
                RefusedException.Move move = e instanceof RefusedException refusal ? refusal.move() : null;
                if (move == null) {
                    throw e;
                }
                host = move.host();
            }
        }
        throw new IOException("servers point at each other: hops=" + MOST_HOPS + " host=" + host);
    }

    private RedisURI uri(String host) {
        RedisURI uri = stream.remote().address().uri(host);
        uri.setTimeout(Duration.ofNanos(stream.remote().connectNanos())); // of the greeting
        return uri;
    }

    /** Ends all connections, and does not wait for that. */
    @Override
    public void close() {
        var _ = client.shutdownAsync(0, SHUTDOWN_SECONDS, TimeUnit.SECONDS);
    }
}
