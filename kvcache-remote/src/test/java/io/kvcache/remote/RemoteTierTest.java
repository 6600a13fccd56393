package io.kvcache.remote;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.CacheEvent;
import io.kvcache.KvCache;
import io.kvcache.Namespace;
import io.kvcache.TierStats;
import io.kvcache.localredis.LocalCluster;
import io.kvcache.localredis.LocalRedis;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import org.agrona.concurrent.CachedNanoClock;
import org.agrona.concurrent.SystemEpochClock;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/**
 * A cache over a server that is in trouble: requests are served as without a tier, the listener is told once, and the server is left
 * alone. The tier is called by the thread of the test, and time passes when the test says so.
 */
final class RemoteTierTest {
    private static final Duration PATIENCE = Duration.ofSeconds(20); // only what hangs takes as long
    private static final int REQUESTS = 2000;
    private static final int CACHED_BLOCKS = 20;
    private static final int PART_BYTES = 8 << 10;
    private static final int PARTS = 2; // of a block
    private static final int KNOWN = 5; // prompts that are on the server before there is trouble
    private static final int KNOWN_SEED = 100_000;

    /** Five failures in a row, and probes after 250, 750, 1250 and 1750 of the 2000 ms that the requests take. */
    private static final int CALLS = 5 + 4;

    private final CachedNanoClock clock = new CachedNanoClock();
    private final MovedClock remoteClock = new MovedClock();
    private final List<CacheEvent.TierChanged> changes = new ArrayList<>();
    private final Warnings warnings = new Warnings();
    private final LocalRedis server = LocalRedis.start();
    private int seed;

    @AfterEach
    void end() {
        server.close();
        warnings.close();
    }

    private KvCache cache(String address) {
        RemoteOptions options = RemoteOptions.of(address)
                .withDeadlines(PATIENCE, PATIENCE)
                .withPartBytes(PART_BYTES)
                .withClocks(remoteClock, SystemEpochClock.INSTANCE);
        return Engine.cache(CACHED_BLOCKS)
                .clock(clock)
                .listener(
                        event -> {
                            if (event instanceof CacheEvent.TierChanged changed) {
                                changes.add(changed);
                            }
                        },
                        Runnable::run)
                .tier(RemoteStore.tier("remote", options).withExecutor(Runnable::run))
                .build();
    }

    private String address(String login) {
        return "redis://" + login + "127.0.0.1:" + server.port();
    }

    private static TierStats stats(KvCache cache) {
        return cache.stats().tiers().getFirst();
    }

    /** Stores some prompts, and forgets them. */
    private void prepare(String address) throws InterruptedException {
        try (KvCache cache = cache(address)) {
            for (int i = 0; i < KNOWN; i++) {
                assertEquals(0, Engine.run(cache.namespace("a"), Engine.prompt(KNOWN_SEED + i, 1)));
            }
            assertEquals(KNOWN, stats(cache).storedBlocks());
        }
        assertEquals(List.of(), changes);
    }

    /** Serves prompts that nobody has seen, one a millisecond. */
    private void request(KvCache cache, int requests) throws InterruptedException {
        Namespace namespace = cache.namespace("a");
        for (int i = 0; i < requests; i++) {
            assertEquals(0, Engine.run(namespace, Engine.prompt(seed++, 1)));
            pass(1);
        }
    }

    private void pass(long millis) {
        clock.update(clock.nanoTime() + millis * 1_000_000);
        remoteClock.advanceMillis(millis);
    }

    private static int requestKnown(KvCache cache) throws InterruptedException {
        int cached = 0;
        for (int i = 0; i < KNOWN; i++) {
            cached += Engine.run(cache.namespace("a"), Engine.prompt(KNOWN_SEED + i, 1));
        }
        return cached / Engine.LAYOUT.tokensPerBlock();
    }

    /** Asserts that the listener was told once that loads end, if they do, and once that stores end, and of nothing else. */
    private void assertTold(boolean loads, boolean stores) {
        assertEquals((loads ? 0 : 1) + (stores ? 0 : 1), changes.size(), changes.toString());
        assertEquals(loads, changes.getLast().loads());
        assertEquals(stores, changes.getLast().stores());
        assertTrue(warnings.messages().size() <= 1, warnings.messages().toString());
    }

    /** Asserts that a tier is used again soon after the trouble is over, and that the listener is told so. */
    private void assertRecovers(KvCache cache) throws Exception {
        changes.clear();
        Poll.until("recovery", () -> {
            pass(500);
            Engine.run(cache.namespace("a"), Engine.prompt(seed++, 1));
            Engine.run(cache.namespace("a"), Engine.prompt(seed - CACHED_BLOCKS - 1, 1)); // not in memory any more
            return stats(cache).loads() && stats(cache).stores();
        });
        assertFalse(changes.isEmpty());
        assertTrue(changes.getLast().loads() && changes.getLast().stores());
        long stored = stats(cache).storedBlocks();
        request(cache, 10);
        assertEquals(stored + 10, stats(cache).storedBlocks());
        cache.verify();
    }

    @Test
    void shouldGoOnLoadingWhenTheServerIsOutOfMemory() throws Exception {
        prepare(server.uri());
        server.command("CONFIG", "SET", "maxmemory", "1");
        try (KvCache cache = cache(server.uri())) {
            request(cache, REQUESTS);
            assertTold(true, false);
            assertTrue(String.valueOf(changes.getFirst().lastFailure()).contains("OOM"));
            assertTrue(ServerCounts.errors(server, "OOM") <= PARTS * CALLS, "stored again and again");
            assertEquals(KNOWN, requestKnown(cache));
            server.command("CONFIG", "SET", "maxmemory", "0");
            assertRecovers(cache);
        }
    }

    @Test
    void shouldGoOnLoadingFromAReplica() throws Exception {
        prepare(server.uri());
        server.command("REPLICAOF", "127.0.0.1", "1");
        try (KvCache cache = cache(server.uri())) {
            request(cache, REQUESTS);
            assertTold(true, false);
            assertTrue(String.valueOf(changes.getFirst().lastFailure()).contains("READONLY"));
            assertTrue(ServerCounts.errors(server, "READONLY") <= PARTS * CALLS, "stored again and again");
            assertEquals(KNOWN, requestKnown(cache));
            server.command("REPLICAOF", "NO", "ONE");
            assertRecovers(cache);
        }
    }

    @Test
    void shouldComputeWhenThePasswordIsWrong() throws Exception {
        prepare(server.uri());
        server.command("ACL", "SETUSER", "me", "on", ">secret", "~*", "+@all");
        try (KvCache cache = cache(address("me:wrong@"))) {
            long connections = ServerCounts.of(server).connections();
            request(cache, REQUESTS);
            assertTold(false, false);
            assertTrue(String.valueOf(changes.getFirst().lastFailure()).contains("WRONGPASS"));
            assertTrue(ServerCounts.of(server).connections() - connections <= 2 * CALLS, "came again and again");
            assertTrue(ServerCounts.errors(server, "WRONGPASS") <= 2 * CALLS + 1, "came again and again");
            server.command("ACL", "SETUSER", "me", ">wrong");
            assertRecovers(cache);
        }
    }

    @Test
    void shouldComputeWhenTheServerIsGone() throws Exception {
        try (KvCache cache = cache(server.uri())) {
            request(cache, 10);
            server.kill();
            request(cache, REQUESTS);
            assertTold(false, false);
            server.restart();
            assertRecovers(cache);
        }
    }

    @Test
    void shouldComputeWhenThereNeverWasAServer() throws Exception {
        server.kill();
        try (KvCache cache = cache(server.uri())) {
            request(cache, REQUESTS);
            assertTold(false, false);
            assertTrue(String.valueOf(changes.getFirst().lastFailure()).contains("127.0.0.1:" + server.port()));
            server.restart();
            assertRecovers(cache);
        }
    }

    @Test
    void shouldRarelyConnectToWhoHangsUp() throws Exception {
        AtomicInteger connections = new AtomicInteger();
        try (ServerSocket socket = new ServerSocket(0, 50, InetAddress.getLoopbackAddress())) {
            Thread.ofVirtual().start(() -> {
                try {
                    while (true) {
                        socket.accept().close();
                        connections.incrementAndGet();
                    }
                } catch (IOException e) {
                    return; // closed
                }
            });
            try (KvCache cache = cache("redis://127.0.0.1:" + socket.getLocalPort())) {
                request(cache, REQUESTS);
                assertTold(false, false);
                assertTrue(connections.get() <= 2 * CALLS, "connections=" + connections);
            }
        }
    }

    @Test
    void shouldComputeWhenTheClusterIsDown() throws Exception {
        try (LocalCluster cluster = LocalCluster.start(1, "--cluster-require-full-coverage", "yes")) {
            LocalRedis node = cluster.node(0);
            prepare(cluster.uri());
            try (KvCache cache = cache(cluster.uri())) {
                assertEquals(KNOWN, requestKnown(cache));
                node.command("CLUSTER", "DELSLOTS", "0");
                Poll.until(
                        "end of the cluster",
                        () -> node.command("CLUSTER", "INFO").contains("cluster_state:fail"));
                ServerCounts before = ServerCounts.of(node);
                request(cache, REQUESTS);
                assertTold(false, false);
                assertTrue(String.valueOf(changes.getFirst().lastFailure()).contains("CLUSTERDOWN"));
                assertTrue(ServerCounts.errors(node, "CLUSTERDOWN") <= (1 + PARTS) * CALLS, "asked again and again");
                assertTrue(ServerCounts.of(node).connections() - before.connections() < CALLS, "came again and again");
                node.command("CLUSTER", "ADDSLOTS", "0");
                Poll.until("cluster", () -> node.command("CLUSTER", "INFO").contains("cluster_state:ok"));
                assertRecovers(cache);
            }
        }
    }

    @Test
    void shouldMissWhatTheServerHasEvicted() throws Exception {
        int prompts = 400; // of 16 KiB
        server.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru");
        server.command("CONFIG", "SET", "maxmemory", "4mb");
        try (KvCache cache = cache(server.uri())) {
            request(cache, prompts);
            assertEquals(prompts, stats(cache).storedBlocks());
        }
        server.command("CONFIG", "SET", "maxmemory", "0");
        long left = wholeBlocks();
        assertTrue(left > 0 && left < prompts, "left=" + left);
        try (KvCache cache = cache(server.uri())) {
            int hits = 0;
            for (int i = 0; i < prompts; i++) {
                hits += Engine.run(cache.namespace("a"), Engine.prompt(i, 1)) > 0 ? 1 : 0;
            }
            assertEquals(left, hits);
            assertEquals(List.of(), changes);
            cache.verify();
        }
    }

    /** How many blocks have all their parts on the server. */
    private long wholeBlocks() {
        return server
                .command("KEYS", "*")
                .lines()
                .collect(Collectors.groupingBy(name -> name.substring(0, name.lastIndexOf(':')), Collectors.counting()))
                .values()
                .stream()
                .filter(parts -> parts == PARTS)
                .count();
    }
}
