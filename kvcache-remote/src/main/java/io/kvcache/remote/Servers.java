package io.kvcache.remote;

import io.lettuce.core.ClientOptions;
import io.lettuce.core.RedisClient;
import io.lettuce.core.RedisURI;
import io.lettuce.core.cluster.SlotHash;
import io.lettuce.core.protocol.Command;
import io.lettuce.core.protocol.CommandArgs;
import io.lettuce.core.protocol.CommandType;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;
import org.agrona.concurrent.NanoClock;
import org.jspecify.annotations.Nullable;

/**
 * The servers of a store: one, or those of a cluster. Sends commands to whichever has the slot of their keys.
 *
 * <p>A server that cannot be reached is no error while others can: what it has are misses, at once. Which server has which slot is asked again
 * when one cannot be reached or says that a slot has moved.
 *
 * <p>Thread-safe.
 */
final class Servers {
    private static final long REFRESH_NANOS = TimeUnit.MILLISECONDS.toNanos(250);
    private static final long SHUTDOWN_SECONDS = 2;

    private final RemoteOptions options;
    private final NanoClock clock;
    private final RedisClient client;
    private final Map<String, Node> nodes = new HashMap<>(); // guarded by itself
    private final AtomicBoolean refreshing = new AtomicBoolean();
    private final ReentrantLock refresh = new ReentrantLock(); // held for I/O: nobody needs it to go on
    private int refreshes; // guarded by refresh
    private final AtomicLong refreshAt;
    private volatile SlotMap slots;
    private volatile boolean cluster;

    private Servers(RemoteOptions options, RedisClient client) {
        this.options = options;
        this.clock = options.nanoClock();
        this.client = client;
        this.refreshAt = new AtomicLong(clock.nanoTime());
        this.slots = SlotMap.of(node(options.address().hosts().getFirst()));
    }

    /**
     * Connects to the first server that answers, and learns of it whether there are others.
     *
     * @throws IOException if none answers in time
     */
    static Servers connect(RemoteOptions options) throws IOException {
        ClientOptions clientOptions = Clients.options(options);
        RedisClient client = RedisClient.create();
        client.setOptions(clientOptions);
        Servers servers = new Servers(options, client);
        try {
            servers.learn();
            servers.connectAll();
            return servers;
        } catch (Throwable e) {
            servers.close();
            throw e;
        }
    }

    private Node node(String host) {
        synchronized (nodes) {
            return nodes.computeIfAbsent(host, name -> {
                RedisURI uri = options.address().uri(name);
                uri.setTimeout(Duration.ofNanos(options.connectNanos())); // of the greeting
                return new Node(name, client, uri, options.connectionsPerNode(), clock);
            });
        }
    }

    private void learn() throws IOException {
        long end = clock.nanoTime() + options.connectNanos();
        List<String> failures = new ArrayList<>();
        int left = options.address().hosts().size();
        for (String host : options.address().hosts()) {
            long now = clock.nanoTime();
            try {
                install(ask(node(host), now + (end - now) / left)); // one that hangs leaves time for the others
                return;
            } catch (IOException e) {
                failures.add(String.valueOf(e.getMessage()));
            }
            left--;
        }
        throw new IOException("no server can be used: " + String.join("; ", failures));
    }

    /** Waits for connections to all servers, so that the first calls find them; those that cannot be reached are misses. */
    private void connectAll() throws IOException {
        long deadline = clock.nanoTime() + options.connectNanos();
        for (Node node : slots.nodes()) {
            try {
                Replies.await(node.connect(), "connection", clock, deadline);
            } catch (IOException e) {
                if (Thread.currentThread().isInterrupted()) {
                    throw e;
                }
            }
        }
    }

    /**
     * Asks a node which has which slot.
     *
     * @throws IOException if it cannot be used, or does not know
     */
    private SlotMap ask(Node node, long deadline) throws IOException {
        TextReply reply = new TextReply();
        try {
            node.begin(List.of(clusterNodes(reply)), deadline).await(deadline);
        } catch (RefusedException e) {
            boolean mayNotAsk = e.reply().startsWith("NOPERM");
            if (options.address().hosts().size() == 1 && (e.isNoCluster() || mayNotAsk)) {
                return SlotMap.of(node);
            }
            throw e;
        }
        SlotMap learned = SlotMap.parse(reply.get(), node.toString(), this::node);
        if (learned.nodes().isEmpty()) {
            throw new IOException("server knows of no slots: node=" + node);
        }
        cluster = true;
        return learned;
    }

    private static Command<String, PartValue, String> clusterNodes(TextReply reply) {
        return new Command<>(CommandType.CLUSTER, reply, new CommandArgs<>(PartCodec.INSTANCE).add("NODES"));
    }

    // ---- commands ----

    /**
     * Sends commands to the server that has a slot.
     *
     * @param deadline of the clock, for a connection
     * @return null if it cannot be reached, or nobody has the slot, while other servers can be reached
     * @throws IOException if no server can be reached
     */
    @Nullable
    Exchange begin(int slot, List<? extends Command<String, PartValue, ?>> commands, long deadline) throws IOException {
        Node node = slots.node(slot);
        if (node != null) {
            return begin(node, commands, deadline);
        }
        refreshSoon();
        if (!reachesOthers(null)) {
            throw new IOException("no server has the slot: slot=" + slot);
        }
        return null;
    }

    /**
     * Sends commands to a server.
     *
     * @param deadline of the clock, for a connection
     * @return null if it cannot be reached while others can: then nothing is waited for
     * @throws IOException if no server can be reached
     */
    @Nullable
    Exchange begin(Node node, List<? extends Command<String, PartValue, ?>> commands, long deadline)
            throws IOException {
        if (!node.isOpen()) {
            refreshSoon();
            if (reachesOthers(node)) {
                CompletionStage<Void> _ = node.connect();
                return null;
            }
        }
        return node.begin(commands, deadline);
    }

    /** Whether a server other than this one can be reached. */
    boolean reachesOthers(@Nullable Node than) {
        return slots.nodes().stream().anyMatch(node -> !node.equals(than) && node.isOpen());
    }

    /** Who has a slot; null: nobody. */
    @Nullable
    Node node(int slot) {
        return slots.node(slot);
    }

    /** Those that have slots. */
    Collection<Node> nodes() {
        return slots.nodes();
    }

    /** Takes note of what an error says of the cluster; returns whether it is worth while to ask once more. */
    boolean learnFrom(RefusedException refusal) {
        refreshSoon();
        RefusedException.Move move = refusal.move();
        if (!cluster || move == null || move.slot() >= SlotHash.SLOT_COUNT) {
            return false;
        }
        synchronized (this) {
            slots = slots.with(move.slot(), node(move.host()));
        }
        return true;
    }

    // ---- which server has which slot ----

    /** Asks again in the background, but not more often than every quarter of a second. */
    void refreshSoon() {
        long now = clock.nanoTime();
        long at = refreshAt.get();
        if (!cluster || now - at < 0 || !refreshAt.compareAndSet(at, now + REFRESH_NANOS)) {
            return;
        }
        if (refreshing.compareAndSet(false, true)) {
            Thread.ofVirtual().name("kvcache-remote-slots").start(() -> {
                try {
                    refresh(clock.nanoTime() + options.connectNanos());
                } catch (IOException e) {
                    return; // whoever needs a slot asks again
                } finally {
                    refreshing.set(false);
                }
            });
        }
    }

    /**
     * Asks again, and waits.
     *
     * @throws IOException if nobody can tell
     */
    void refresh(long deadline) throws IOException {
        if (!cluster) {
            return;
        }
        refresh.lock();
        try {
            refreshLocked(deadline);
        } finally {
            refresh.unlock();
        }
    }

    private void refreshLocked(long end) throws IOException {
        List<Node> asked =
                new ArrayList<>(slots.nodes().stream().filter(Node::isOpen).toList());
        options.address().hosts().forEach(host -> asked.add(node(host)));
        Collections.rotate(asked, refreshes++); // one that is cut off from the others is not asked every time
        IOException failure = new IOException("no server can be reached: address=" + options.address());
        boolean answered = false;
        int left = asked.size();
        for (Node node : asked) {
            long now = clock.nanoTime();
            try {
                SlotMap learned = ask(node, now + (end - now) / left); // one that hangs leaves time for the others
                if (!isBehind(learned)) {
                    install(learned);
                    return;
                }
                answered = true;
            } catch (IOException e) {
                failure = e;
            }
            left--;
        }
        if (!answered) {
            throw failure;
        }
    }

    /** Whether a node does not know yet what is known here; not where nobody is left whom that was learned of. */
    private boolean isBehind(SlotMap learned) {
        SlotMap known = slots;
        return learned.epoch() < known.epoch() && known.nodes().stream().anyMatch(Node::isOpen);
    }

    private synchronized void install(SlotMap learned) {
        slots = learned;
        learned.nodes().forEach(Node::use);
        learned.nodes().forEach(node -> {
            CompletionStage<Void> _ = node.connect();
        });
        synchronized (nodes) {
            nodes.values().removeIf(node -> {
                boolean gone = !learned.nodes().contains(node);
                if (gone) {
                    CompletionStage<Void> _ = node.close("server has no slots any more");
                }
                return gone;
            });
        }
    }

    /** How many slots nobody has. */
    int uncovered() {
        return slots.uncovered();
    }

    /** Closes all connections, and does not wait; what waits for replies fails. */
    void close() {
        List<CompletableFuture<Void>> ending;
        synchronized (nodes) {
            ending = nodes.values().stream()
                    .map(node -> node.close("store is closed"))
                    .toList();
        }
        CompletionStage<Void> _ = CompletableFuture.allOf(ending.toArray(CompletableFuture<?>[]::new))
                .completeOnTimeout(null, options.connectNanos(), TimeUnit.NANOSECONDS)
                .thenComposeAsync(done -> client.shutdownAsync(0, SHUTDOWN_SECONDS, TimeUnit.SECONDS));
    }
}
