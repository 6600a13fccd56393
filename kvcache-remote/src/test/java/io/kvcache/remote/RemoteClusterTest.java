package io.kvcache.remote;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.BlockKey;
import io.kvcache.localredis.LocalCluster;
import io.kvcache.localredis.LocalRedis;
import java.io.IOException;
import java.time.Duration;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.agrona.concurrent.SystemEpochClock;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** A store on a cluster of three masters, which move slots, die and come back. */
final class RemoteClusterTest {
    private static final long BLOCK_BYTES = 4096;
    private static final int PART_BYTES = 1024;
    private static final int PARTS = 4;
    private static final int BLOCKS = 200;
    private static final Duration PATIENCE = Duration.ofSeconds(20); // only what hangs takes as long

    private static final String[] FAST_SYNC = {"--repl-diskless-sync-delay", "0"};

    private static LocalCluster cluster;

    private final MovedClock clock = new MovedClock();
    private final List<BlockKey> keys =
            IntStream.range(0, BLOCKS).mapToObj(i -> Blocks.key("a", i)).toList();
    private final Warnings warnings = new Warnings();

    @BeforeAll
    static void start() {
        cluster = LocalCluster.start(3, FAST_SYNC);
    }

    @AfterAll
    static void end() {
        cluster.close();
    }

    @BeforeEach
    void empty() {
        nodes().forEach(node -> node.command("FLUSHALL"));
    }

    @AfterEach
    void logAgain() {
        warnings.close();
    }

    private static Stream<LocalRedis> nodes() {
        return IntStream.range(0, cluster.size()).mapToObj(cluster::node);
    }

    private RemoteOptions options(String address) {
        return RemoteOptions.of(address)
                .withDeadlines(PATIENCE, PATIENCE)
                .withPartBytes(PART_BYTES)
                .withClocks(clock, SystemEpochClock.INSTANCE);
    }

    private RemoteStore open() throws IOException {
        return RemoteStore.connect(options(cluster.uri()));
    }

    private static int slot(BlockKey key) {
        String tag = "{" + HexFormat.of().toHexDigits(key.run()) + "}";
        return Integer.parseInt(cluster.node(0).command("CLUSTER", "KEYSLOT", tag));
    }

    /** The number of the node that has a block. */
    private static int nodeOf(BlockKey key) {
        int slot = slot(key);
        return IntStream.range(0, cluster.size())
                .filter(node -> slot <= cluster.lastSlot(node))
                .findFirst()
                .orElseThrow();
    }

    private BlockKey keyOn(int node) {
        return keys.stream().filter(key -> nodeOf(key) == node).findFirst().orElseThrow();
    }

    private void storeAll(RemoteStore store) throws IOException {
        for (BlockKey key : keys) {
            assertTrue(Blocks.store(store, key, BLOCK_BYTES));
        }
    }

    private static boolean load(RemoteStore store, BlockKey key) throws IOException {
        return Blocks.load(store, key, BLOCK_BYTES);
    }

    private static int keysOn(LocalRedis node) {
        return Integer.parseInt(node.command("DBSIZE"));
    }

    // ---- where blocks are ----

    @Test
    void shouldSpreadBlocksOverAllNodes() throws IOException {
        try (RemoteStore store = open()) {
            storeAll(store);
            for (int node = 0; node < cluster.size(); node++) {
                int number = node;
                long blocks = keys.stream().filter(key -> nodeOf(key) == number).count();
                assertTrue(blocks > BLOCKS / 5, "blocks=" + blocks);
                assertEquals(PARTS * blocks, keysOn(cluster.node(node)));
            }
            for (BlockKey key : keys) {
                assertTrue(load(store, key));
            }
            assertEquals(BLOCKS, store.held(keys));
            store.remove(keys.get(150));
            assertEquals(150, store.held(keys));
            RemoteStats stats = store.stats();
            assertEquals(3, stats.nodes());
            assertEquals(3, stats.reachableNodes());
            assertEquals(0, stats.redirected() + stats.unreachable() + stats.failures() + stats.misses());
            assertEquals(List.of(), warnings.messages());
        }
    }

    @Test
    void shouldKeepARunOnOneNode() throws IOException {
        List<BlockKey> path = Blocks.path(Blocks.root("model", "a"), 400);
        try (RemoteStore store = open()) {
            for (BlockKey key : path) {
                Blocks.store(store, key, 8);
            }
            assertEquals(400, store.held(path));
            Map<String, Integer> nodeOfRun = new HashMap<>();
            for (int node = 0; node < cluster.size(); node++) {
                List<String> names =
                        cluster.node(node).command("KEYS", "*").lines().toList();
                assertTrue(names.size() > 20, "names=" + names.size());
                for (String name : names) {
                    assertTrue(name.matches("kvcache:\\{[0-9a-f]{8}}:[0-9a-f]{32}:[0-9a-f]{64}:0"), name);
                    Integer before = nodeOfRun.put(name.substring(0, name.indexOf('}')), node);
                    assertTrue(before == null || before == node, name);
                }
            }
            assertTrue(nodeOfRun.size() > 10 && nodeOfRun.size() < 50, "runs=" + nodeOfRun.size());
        }
    }

    @Test
    void shouldFindTheOthersByOneNode() throws IOException {
        for (int seed = 0; seed < cluster.size(); seed++) {
            nodes().forEach(node -> node.command("FLUSHALL"));
            try (RemoteStore store =
                    RemoteStore.connect(options(cluster.node(seed).uri()))) {
                storeAll(store);
                assertEquals(3, store.stats().nodes());
                assertEquals(0, store.stats().redirected());
                assertEquals(
                        PARTS * BLOCKS,
                        nodes().mapToInt(RemoteClusterTest::keysOn).sum());
            }
        }
    }

    @Test
    void shouldPassOverSeedsThatAreDeadOrHangOrNoneOfACluster() throws IOException {
        String dead = "127.0.0.1:" + LocalRedis.freePort();
        String last = ",127.0.0.1:" + cluster.node(1).port();
        try (LocalRedis single = LocalRedis.start()) {
            String hanging = "127.0.0.1:" + single.port();
            for (String seeds : List.of(dead + last, hanging + last, dead + "," + hanging + "," + dead + last)) {
                assertFindsAll("redis://" + seeds, PATIENCE);
            }
            single.pause();
            assertFindsAll("redis://" + hanging + last, Duration.ofSeconds(4));
            single.resume();
        }
    }

    private void assertFindsAll(String address, Duration toConnect) throws IOException {
        try (RemoteStore store = RemoteStore.connect(options(address).withDeadlines(PATIENCE, toConnect))) {
            storeAll(store);
            assertEquals(3, store.stats().nodes(), address);
        }
    }

    // ---- slots that move ----

    private static void mark(int slot, int from, int to) {
        cluster.node(to).command("CLUSTER", "SETSLOT", String.valueOf(slot), "IMPORTING", id(from));
        cluster.node(from).command("CLUSTER", "SETSLOT", String.valueOf(slot), "MIGRATING", id(to));
    }

    private static String id(int node) {
        return cluster.node(node).command("CLUSTER", "MYID");
    }

    private static void migrate(String name, int from, int to) {
        String port = String.valueOf(cluster.node(to).port());
        assertEquals("OK", cluster.node(from).command("MIGRATE", "127.0.0.1", port, name, "0", "10000"));
    }

    private static List<String> names(int slot, int node) {
        return cluster.node(node)
                .command("CLUSTER", "GETKEYSINSLOT", String.valueOf(slot), "1000")
                .lines()
                .toList();
    }

    private static void move(int slot, int from, int to) {
        mark(slot, from, to);
        finishMove(slot, from, to);
    }

    private static void finishMove(int slot, int from, int to) {
        names(slot, from).forEach(name -> migrate(name, from, to));
        for (int node : new int[] {to, from, 3 - to - from}) {
            cluster.node(node).command("CLUSTER", "SETSLOT", String.valueOf(slot), "NODE", id(to));
        }
    }

    @Test
    void shouldFollowASlotThatHasMoved() throws IOException {
        BlockKey key = keyOn(0);
        try (RemoteStore loading = open();
                RemoteStore storing = open();
                RemoteStore removing = open();
                RemoteStore asking = open()) {
            Blocks.store(loading, key, BLOCK_BYTES);
            move(slot(key), 0, 1);
            try {
                assertTrue(load(loading, key));
                assertTrue(load(loading, key));
                assertEquals(1, loading.stats().redirected());
                assertEquals(0, asking.held(List.of(key))); // a hint, which is wrong once
                assertEquals(1, asking.held(List.of(key)));
                assertTrue(Blocks.store(storing, key, BLOCK_BYTES));
                assertEquals(1, storing.stats().redirected());
                assertTrue(load(storing, key));
                removing.remove(key);
                assertEquals(1, removing.stats().redirected());
                assertFalse(load(loading, key));
                assertEquals(0, nodes().mapToInt(RemoteClusterTest::keysOn).sum());
                for (RemoteStore store : List.of(loading, storing, removing, asking)) {
                    assertEquals(0, store.stats().failures());
                    assertEquals(3, store.stats().nodes());
                }
                assertEquals(List.of(), warnings.messages());
            } finally {
                move(slot(key), 1, 0);
            }
            Blocks.store(loading, key, BLOCK_BYTES);
            assertTrue(load(loading, key));
            assertTrue(load(storing, key));
        }
    }

    @Test
    void shouldMissABlockThatIsMoving() throws IOException {
        BlockKey key = keyOn(0);
        int slot = slot(key);
        try (RemoteStore store = open()) {
            Blocks.store(store, key, BLOCK_BYTES);
            mark(slot, 0, 1);
            try {
                assertTrue(load(store, key));
                migrate(names(slot, 0).getFirst(), 0, 1);
                assertFalse(load(store, key));
                assertFalse(Blocks.store(store, key, BLOCK_BYTES));
                names(slot, 0).forEach(name -> migrate(name, 0, 1));
                assertFalse(load(store, key));
                assertEquals(0, store.held(List.of(key)));
                assertFalse(Blocks.store(store, key, BLOCK_BYTES));
                assertEquals(0, store.stats().failures());
                assertEquals(0, store.stats().redirected());
                assertEquals(2, store.stats().declined());
                String message =
                        assertThrows(IOException.class, () -> store.remove(key)).getMessage();
                assertTrue(String.valueOf(message).contains("key=" + key), message);
            } finally {
                finishMove(slot, 0, 1);
                move(slot, 1, 0);
            }
            assertTrue(Blocks.store(store, key, BLOCK_BYTES));
            assertTrue(load(store, key));
        }
    }

    // ---- nodes that die ----

    /** Kills a node, and waits until a store knows: calls that are under way, or come before that, may fail. */
    private void kill(int node, RemoteStore store) throws Exception {
        cluster.node(node).kill();
        Poll.until("store to know", () -> {
            clock.advanceMillis(100);
            try {
                return !load(store, keyOn(node)) && store.stats().reachableNodes() == cluster.size() - 1;
            } catch (IOException e) {
                return false;
            }
        });
    }

    private void restart(int node) {
        cluster.node(node).restart();
        cluster.awaitOk();
    }

    @Test
    void shouldMissOnlyTheBlocksOfANodeThatIsGone() throws Exception {
        int dead = 2;
        try (RemoteStore store = open()) {
            storeAll(store);
            try {
                kill(dead, store);
                long failures = store.stats().failures();
                for (int round = 0; round < 3; round++) {
                    for (BlockKey key : keys) {
                        assertEquals(nodeOf(key) != dead, load(store, key));
                        assertEquals(nodeOf(key) != dead, Blocks.store(store, key, BLOCK_BYTES));
                        assertEquals(nodeOf(key) == dead ? 0 : 1, store.held(List.of(key)));
                        clock.advanceMillis(10);
                    }
                }
                int first = IntStream.range(0, BLOCKS)
                        .filter(i -> nodeOf(keys.get(i)) == dead)
                        .findFirst()
                        .orElseThrow();
                assertEquals(first, store.held(keys));
                assertTrue(store.stats().unreachable() > 0);
                assertEquals(failures, store.stats().failures());
                assertThrows(IOException.class, () -> store.remove(keyOn(dead)));
                assertEquals(1, warnings.messages().size(), warnings.messages().toString());
                assertTrue(warnings.messages()
                        .getFirst()
                        .contains("node=127.0.0.1:" + cluster.node(dead).port()));
            } finally {
                restart(dead);
            }
            assertWorks(store);
        }
    }

    /** Asserts that all blocks can be stored and loaded, once pauses are over. */
    private void assertWorks(RemoteStore store) throws Exception {
        Poll.until("all nodes", () -> {
            clock.advanceMillis(500);
            for (BlockKey key : keys) {
                if (!Blocks.store(store, key, BLOCK_BYTES)) {
                    return false;
                }
            }
            return true;
        });
        for (BlockKey key : keys) {
            assertTrue(load(store, key));
        }
        assertEquals(3, store.stats().reachableNodes());
    }

    @Test
    void shouldFindWhatOthersHaveWhileANodeHangs() throws Exception {
        int hanging = 1;
        Duration deadline = Duration.ofSeconds(1); // for others too much, and for the one that hangs too little
        try (RemoteStore store = RemoteStore.connect(options(cluster.uri()).withDeadlines(deadline, PATIENCE))) {
            assertWorks(store);
            BlockKey lost = keyOn(hanging);
            cluster.node(hanging).pause();
            try {
                int first = IntStream.range(0, BLOCKS)
                        .filter(i -> nodeOf(keys.get(i)) == hanging)
                        .findFirst()
                        .orElseThrow();
                assertEquals(first, store.held(keys));
                long failures = store.stats().failures();
                for (int again = 0; again < 20; again++) { // while it is tried to connect
                    assertEquals(first, store.held(keys));
                }
                assertEquals(failures, store.stats().failures());
                assertEquals(2, store.stats().reachableNodes(), "the others have kept their connections");
                for (BlockKey key : keys) {
                    assertTrue(nodeOf(key) == hanging || load(store, key));
                }
                assertFalse(load(store, lost)); // of which nothing is awaited any more
            } finally {
                cluster.node(hanging).resume();
            }
            cluster.awaitOk();
            assertWorks(store);
        }
    }

    @Test
    void shouldConnectWhileANodeIsGone() throws Exception {
        int dead = 1;
        try {
            cluster.node(dead).kill();
            for (String address : List.of(cluster.uri(), cluster.node(2).uri())) {
                try (RemoteStore store = RemoteStore.connect(options(address))) {
                    for (BlockKey key : keys) {
                        assertEquals(nodeOf(key) != dead, Blocks.store(store, key, BLOCK_BYTES));
                    }
                    assertEquals(3, store.stats().nodes());
                    assertEquals(2, store.stats().reachableNodes());
                    assertEquals(0, store.stats().failures());
                }
            }
        } finally {
            restart(dead);
        }
    }

    @Test
    void shouldFailWhenTheClusterIsDown() throws Exception {
        BlockKey key = keyOn(0);
        try (RemoteStore store = open()) {
            storeAll(store);
            nodes().forEach(node -> node.command("CONFIG", "SET", "cluster-require-full-coverage", "yes"));
            try {
                cluster.node(2).kill();
                Poll.until(
                        "end of the cluster",
                        () -> cluster.node(0).command("CLUSTER", "INFO").contains("cluster_state:fail")
                                && cluster.node(1).command("CLUSTER", "INFO").contains("cluster_state:fail"));
                assertClusterDown(() -> load(store, key));
                assertClusterDown(() -> Blocks.store(store, key, BLOCK_BYTES));
                assertClusterDown(() -> store.held(List.of(key)));
            } finally {
                restart(2);
                nodes().forEach(node -> node.command("CONFIG", "SET", "cluster-require-full-coverage", "no"));
            }
            assertWorks(store);
        }
    }

    private static void assertClusterDown(Executable call) {
        String message = String.valueOf(assertThrows(IOException.class, call).getMessage());
        assertTrue(message.contains("CLUSTERDOWN"), message);
        assertTrue(message.contains("node=127.0.0.1:" + cluster.node(0).port()), message);
    }

    // ---- erase ----

    @Test
    void shouldEraseOnAllNodes() throws IOException {
        try (RemoteStore store = open()) {
            storeAll(store);
            for (int i = 0; i < BLOCKS; i++) {
                Blocks.store(store, Blocks.key("b", i), PART_BYTES);
            }
            store.erase("a");
            assertEquals(BLOCKS, nodes().mapToInt(RemoteClusterTest::keysOn).sum());
            for (int i = 0; i < BLOCKS; i++) {
                assertTrue(Blocks.load(store, Blocks.key("b", i), PART_BYTES));
                assertFalse(load(store, keys.get(i)));
            }
        }
    }

    @Test
    void shouldNameTheNodeThatMayNotBeErased() throws Exception {
        int dead = 1;
        try (RemoteStore store = open()) {
            storeAll(store);
            try {
                kill(dead, store);
                String message = String.valueOf(
                        assertThrows(IOException.class, () -> store.erase("a")).getMessage());
                assertTrue(message.startsWith("namespace may still be there: namespace=a in ["), message);
                assertTrue(message.contains("127.0.0.1:" + cluster.node(dead).port()), message);
                assertFalse(message.contains("127.0.0.1:" + cluster.node(0).port()), message);
                assertEquals(0, keysOn(cluster.node(0)) + keysOn(cluster.node(2)), "the others have erased nothing");
            } finally {
                restart(dead);
            }
            assertWorks(store);
            store.erase("a");
            assertEquals(0, nodes().mapToInt(RemoteClusterTest::keysOn).sum());
        }
    }

    @Test
    void shouldNotCallANamespaceErasedWhileNobodyHasASlot() throws Exception {
        String slot = String.valueOf(cluster.firstSlot(0));
        try (RemoteStore store = open()) {
            storeAll(store);
            nodes().forEach(node -> node.command("CLUSTER", "DELSLOTS", slot));
            try {
                String message = String.valueOf(
                        assertThrows(IOException.class, () -> store.erase("a")).getMessage());
                assertTrue(message.contains("slots that no server has: 1"), message);
            } finally {
                cluster.node(0).command("CLUSTER", "ADDSLOTS", slot);
                cluster.awaitOk();
            }
            store.erase("a");
            assertEquals(0, nodes().mapToInt(RemoteClusterTest::keysOn).sum());
        }
    }

    // ---- replicas ----

    @Test
    void shouldFindTheReplicaThatTakesOver() throws Exception {
        try (LocalCluster own = LocalCluster.start(3, FAST_SYNC);
                LocalRedis replica = LocalRedis.start("--cluster-enabled", "yes", "--cluster-node-timeout", "1000");
                RemoteStore store = RemoteStore.connect(options(own.uri()))) {
            replicate(own.node(0), replica);
            storeAll(store);
            int blocks = keysOn(own.node(0));
            Poll.until("replication", () -> keysOn(replica) == blocks);
            own.node(0).kill();
            replica.command("CLUSTER", "FAILOVER", "TAKEOVER");
            Poll.until("all blocks", () -> {
                clock.advanceMillis(500);
                try {
                    for (BlockKey key : keys) {
                        if (!load(store, key)) {
                            return false;
                        }
                    }
                    return true;
                } catch (IOException e) {
                    return false;
                }
            });
            storeAll(store);
            assertEquals(3, store.stats().nodes());
            assertEquals(3, store.stats().reachableNodes());
            store.erase("a");
            assertEquals(0, keysOn(replica) + keysOn(own.node(1)) + keysOn(own.node(2)));
        }
    }

    private static void replicate(LocalRedis master, LocalRedis replica) throws Exception {
        String id = master.command("CLUSTER", "MYID");
        replica.command("CLUSTER", "MEET", "127.0.0.1", String.valueOf(master.port()));
        Poll.until(
                "all nodes at the replica",
                () -> replica.command("CLUSTER", "INFO").contains("cluster_slots_ok:16384"));
        Poll.until("role", () -> {
            try {
                return replica.command("CLUSTER", "REPLICATE", id).equals("OK");
            } catch (IllegalStateException e) { // does not know the master yet
                return false;
            }
        });
        Poll.until("replica", () -> replica.command("INFO", "replication").contains("master_link_status:up"));
        Poll.until(
                "the others to know", () -> master.command("CLUSTER", "NODES").contains(" slave " + id));
    }
}
