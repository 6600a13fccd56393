package io.kvcache.remote;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.BlockKey;
import io.kvcache.BlockNote;
import io.kvcache.localredis.LocalCertificate;
import io.kvcache.localredis.LocalRedis;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.atomic.AtomicBoolean;
import org.agrona.concurrent.SystemEpochClock;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

/** What a store does while its server refuses, hangs or is gone, and afterwards. */
final class RemoteServerTroubleTest {
    private static final long BLOCK_BYTES = 12 << 10; // one value on a server
    private static final byte PATTERN = 0x5a;
    private static final Duration PATIENCE = Duration.ofSeconds(20); // only what hangs takes as long
    private static final Duration SHORT = Duration.ofMillis(100); // of calls that hang

    private final MovedClock clock = new MovedClock();
    private final BlockKey key = Blocks.key("a", 1);
    private final BlockKey other = Blocks.key("a", 2);
    private final Warnings warnings = new Warnings();
    private final LocalRedis server = LocalRedis.start();

    @AfterEach
    void end() {
        server.close();
        warnings.close();
    }

    private RemoteOptions options(String address) {
        return RemoteOptions.of(address).withDeadlines(PATIENCE, PATIENCE).withClocks(clock, SystemEpochClock.INSTANCE);
    }

    private RemoteStore open() throws IOException {
        return RemoteStore.connect(options(server.uri()));
    }

    private String address(String login) {
        return "redis://" + login + "@127.0.0.1:" + server.port();
    }

    /** The message of a failure, which names the server. */
    private String failure(Executable call) {
        String message = String.valueOf(assertThrows(IOException.class, call).getMessage());
        assertTrue(message.contains("127.0.0.1:" + server.port()), message);
        return message;
    }

    private static void assertContains(String part, String message) {
        assertTrue(message.contains(part), message);
    }

    // ---- a server that refuses ----

    @Test
    void shouldOnlyFailToStoreWhenTheServerIsOutOfMemory() throws IOException {
        try (RemoteStore store = open()) {
            Blocks.store(store, key, BLOCK_BYTES);
            server.command("CONFIG", "SET", "maxmemory-policy", "noeviction");
            server.command("CONFIG", "SET", "maxmemory", "1");
            assertContains("OOM", failure(() -> Blocks.store(store, other, BLOCK_BYTES)));
            assertContains("OOM", failure(() -> Blocks.store(store, key, BLOCK_BYTES)));
            assertTrue(Blocks.load(store, key, BLOCK_BYTES));
            assertEquals(1, store.held(List.of(key, other)));
            assertEquals(2, store.stats().failures());
            store.remove(key);
            assertFalse(Blocks.load(store, key, BLOCK_BYTES));
            store.erase("a");
            server.command("CONFIG", "SET", "maxmemory", "0");
            assertTrue(Blocks.store(store, other, BLOCK_BYTES));
        }
    }

    @Test
    void shouldFailToStoreBlocksOfSeveralPartsWhenTheServerIsOutOfMemory() throws IOException {
        try (RemoteStore store =
                RemoteStore.connect(options(server.uri()).withPartBytes(1024).withConnectionsPerNode(1))) {
            Blocks.store(store, key, BLOCK_BYTES);
            server.command("CONFIG", "SET", "maxmemory", "1");
            for (int i = 0; i < 20; i++) {
                assertContains("OOM", failure(() -> Blocks.store(store, other, BLOCK_BYTES)));
                assertTrue(Blocks.load(store, key, BLOCK_BYTES)); // comes behind refusals that nobody has waited for
                assertFalse(Blocks.load(store, other, BLOCK_BYTES));
            }
        }
    }

    @Test
    void shouldMissWhatTheServerHasEvicted() throws IOException {
        int blocks = 400;
        long used = server.command("INFO", "memory")
                .lines()
                .filter(line -> line.startsWith("used_memory:"))
                .mapToLong(line -> Long.parseLong(line.substring("used_memory:".length())))
                .sum();
        server.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru");
        server.command("CONFIG", "SET", "maxmemory", String.valueOf(used + 160 * BLOCK_BYTES));
        try (RemoteStore store = open();
                RawRedis raw = new RawRedis(server)) {
            for (int i = 0; i < blocks; i++) {
                assertTrue(Blocks.store(store, Blocks.key("a", i), BLOCK_BYTES));
            }
            server.command("CONFIG", "SET", "maxmemory", "0"); // looking takes memory, too
            int left = raw.keys().size();
            assertTrue(left > 0 && left < blocks, "left=" + left);
            int hits = 0;
            for (int i = 0; i < blocks; i++) {
                hits += Blocks.load(store, Blocks.key("a", i), BLOCK_BYTES) ? 1 : 0;
            }
            assertEquals(left, hits);
            assertEquals(0, store.stats().failures());
        }
    }

    @Test
    void shouldSayThatAPasswordIsWrongOrMissing() throws IOException {
        server.command("ACL", "SETUSER", "me", "on", ">secret", "~*", "+@all");
        server.command("CONFIG", "SET", "requirepass", "other");
        assertContains("WRONGPASS", failure(() -> RemoteStore.connect(options(address(":wrong-secret")))));
        assertContains("WRONGPASS", failure(() -> RemoteStore.connect(options(address("me:wrong-secret")))));
        assertContains("WRONGPASS", failure(() -> RemoteStore.connect(options(address("you:secret")))));
        assertContains("NOAUTH", failure(() -> RemoteStore.connect(options(server.uri()))));
        for (String login : new String[] {":other", "me:secret", "default:other"}) {
            try (RemoteStore store = RemoteStore.connect(options(address(login)))) {
                Blocks.store(store, key, BLOCK_BYTES);
                assertTrue(Blocks.load(store, key, BLOCK_BYTES));
            }
        }
    }

    @Test
    void shouldNotShowThePassword() {
        server.command("CONFIG", "SET", "requirepass", "other");
        Throwable failure =
                assertThrows(IOException.class, () -> RemoteStore.connect(options(address(":wrong-secret"))));
        for (Throwable at = failure; at != null; at = at.getCause()) {
            assertFalse(at.toString().contains("wrong-secret"), at.toString());
        }
        assertFalse(options(address(":wrong-secret")).toString().contains("wrong-secret"));
    }

    @Test
    void shouldNeedFewPermissions() throws IOException {
        server.command("SET", "foreign", "value");
        server.command("ACL", "SETUSER", "me", "on", ">secret", "resetkeys", "~kvcache:*", "-@all");
        server.command("ACL", "SETUSER", "me", "+get", "+set", "+exists", "+unlink", "+scan", "+cluster|nodes");
        try (RemoteStore store = RemoteStore.connect(options(address("me:secret")))) {
            assertTrue(Blocks.store(store, key, BLOCK_BYTES));
            assertTrue(Blocks.store(store, other, BLOCK_BYTES));
            assertTrue(Blocks.load(store, key, BLOCK_BYTES));
            assertEquals(2, store.held(List.of(key, other)));
            store.remove(key);
            assertFalse(Blocks.load(store, key, BLOCK_BYTES));
            store.erase("a");
            assertEquals("1", server.command("DBSIZE"));
        }
        try (RemoteStore store =
                RemoteStore.connect(options(address("me:secret")).withKeyPrefix("other:"))) {
            assertContains("NOPERM", failure(() -> Blocks.store(store, key, BLOCK_BYTES)));
            assertContains("NOPERM", failure(() -> Blocks.load(store, key, BLOCK_BYTES)));
        }
        server.command("ACL", "SETUSER", "me", "-cluster|nodes", "-set", "-scan", "-unlink", "-exists");
        try (RemoteStore store = RemoteStore.connect(options(address("me:secret")))) {
            assertFalse(Blocks.load(store, key, BLOCK_BYTES));
            assertContains("NOPERM", failure(() -> Blocks.store(store, key, BLOCK_BYTES)));
            assertContains("NOPERM", failure(() -> store.held(List.of(key))));
            assertContains("NOPERM", failure(() -> store.remove(key)));
            assertContains("NOPERM", failure(() -> store.erase("a")));
        }
    }

    @Test
    void shouldOnlyLoadFromAReplica() throws IOException {
        try (RemoteStore store = open()) {
            Blocks.store(store, key, BLOCK_BYTES);
            server.command("REPLICAOF", "127.0.0.1", "1"); // nobody is there: it keeps what it has
            assertContains("READONLY", failure(() -> Blocks.store(store, other, BLOCK_BYTES)));
            assertContains("READONLY", failure(() -> store.remove(key)));
            assertContains("READONLY", failure(() -> store.erase("a")));
            assertTrue(Blocks.load(store, key, BLOCK_BYTES));
            server.command("REPLICAOF", "NO", "ONE");
            assertTrue(Blocks.store(store, other, BLOCK_BYTES));
        }
    }

    @Test
    void shouldRefuseSeveralServersThatAreNoCluster() {
        try (LocalRedis second = LocalRedis.start()) {
            String both = "127.0.0.1:" + server.port() + ",127.0.0.1:" + second.port();
            String message = failure(() -> RemoteStore.connect(options("redis://" + both)));
            assertContains("cluster support disabled", message);
            assertContains("node=127.0.0.1:" + second.port(), message);
        }
    }

    // ---- a server that hangs ----

    @Test
    void shouldEndCallsInTimeAndLeaveMemoryAloneWhenTheServerHangs() throws IOException {
        MemorySegment target = Blocks.memory(BLOCK_BYTES);
        try (RemoteStore store = open()) {
            Blocks.store(store, key, BLOCK_BYTES);
            Blocks.store(store, other, BLOCK_BYTES);
        }
        try (RemoteStore store = RemoteStore.connect(options(server.uri()).withDeadlines(SHORT, PATIENCE))) {
            assertTrue(holds(store, key));
            server.pause();
            for (int i = 0; i < 5; i++) {
                failure(() -> store.load(key, target));
                failure(() -> store.held(List.of(key)));
                failure(() -> Blocks.store(store, Blocks.key("a", 3), BLOCK_BYTES));
                failure(() -> store.remove(key));
                clock.advanceMillis(1000); // the pause before a connection is made again
            }
            try (Arena gone = Arena.ofShared()) {
                failure(() -> store.load(key, gone.allocate(BLOCK_BYTES)));
                clock.advanceMillis(1000);
                MemorySegment block = gone.allocate(BLOCK_BYTES);
                failure(() -> store.store(Blocks.key("a", 3), BlockNote.DEFAULT, block));
            }
            target.fill(PATTERN);
            server.resume();
            assertTrue(worksAgain(store, other));
            assertPattern(target);
            assertTrue(worksAgain(store, key), "was removed although the call has failed");
        }
    }

    private static boolean holds(RemoteStore store, BlockKey key) throws IOException {
        return Blocks.load(store, key, BLOCK_BYTES);
    }

    /** Whether a block is found, once time has passed and a call does not end by an exception. */
    private boolean worksAgain(RemoteStore store, BlockKey wanted) {
        AtomicBoolean found = new AtomicBoolean();
        assertWorksAgain(() -> found.set(holds(store, wanted)));
        return found.get();
    }

    private void assertWorksAgain(Executable call) {
        try {
            Poll.until("a call that works", () -> {
                clock.advanceMillis(1000);
                try {
                    call.execute();
                    return true;
                } catch (IOException e) {
                    return false;
                } catch (Throwable e) {
                    throw new AssertionError(e);
                }
            });
        } catch (Exception e) {
            throw new AssertionError(e);
        }
    }

    private static void assertPattern(MemorySegment target) {
        assertEquals(-1, target.mismatch(Blocks.memory(target.byteSize()).fill(PATTERN)), "late bytes");
    }

    @Test
    void shouldEndOnlyTheCallThatIsInterrupted() throws Exception {
        MemorySegment target = Blocks.memory(BLOCK_BYTES);
        try (RemoteStore store = RemoteStore.connect(options(server.uri()).withConnectionsPerNode(1))) {
            Blocks.store(store, key, BLOCK_BYTES);
            Blocks.store(store, other, BLOCK_BYTES);
            long received = commandsReceived();
            server.pause();
            Caller<BlockNote> interrupted = Caller.start(() -> store.load(key, target));
            Caller<BlockNote> patient = Caller.start(() -> Blocks.loadNote(store, other, BLOCK_BYTES));
            Caller<Boolean> storing = Caller.start(() -> Blocks.store(store, Blocks.key("a", 3), BLOCK_BYTES));
            Poll.until("all calls wait", () -> interrupted.waits() && patient.waits() && storing.waits());
            interrupted.thread.interrupt();
            assertContains("interrupted", String.valueOf(interrupted.failure().getMessage()));
            assertTrue(interrupted.keptInterrupt.get(), "the thread is to know");
            target.fill(PATTERN);
            assertFalse(patient.result.isDone());
            server.resume();
            assertEquals(BlockNote.DEFAULT, patient.result.join());
            assertTrue(storing.result.join());
            assertTrue(holds(store, key)); // on the same connection, behind the reply that nobody wants
            assertPattern(target);
            assertTrue(commandsReceived() >= received + 4, "the call that was interrupted was never sent");
            assertEquals(1, store.stats().connections());
        }
    }

    private long commandsReceived() {
        return ServerCounts.of(server).commands();
    }

    /** A call by a thread of its own. */
    private static final class Caller<T> {
        final CompletableFuture<T> result = new CompletableFuture<>();
        final AtomicBoolean keptInterrupt = new AtomicBoolean();
        final Thread thread;

        private Caller(Callable<T> call) {
            thread = Thread.ofPlatform().daemon().start(() -> {
                try {
                    result.complete(call.call());
                } catch (Throwable e) {
                    keptInterrupt.set(Thread.currentThread().isInterrupted());
                    result.completeExceptionally(e);
                }
            });
        }

        static <T> Caller<T> start(Callable<T> call) {
            return new Caller<>(call);
        }

        boolean waits() {
            return thread.getState() == Thread.State.TIMED_WAITING;
        }

        IOException failure() {
            Throwable thrown =
                    assertThrows(CompletionException.class, result::join).getCause();
            return assertInstanceOf(IOException.class, thrown);
        }
    }

    @Test
    void shouldEndCallsThatWaitWhenTheStoreIsClosed() throws Exception {
        RemoteStore store = open();
        Blocks.store(store, key, BLOCK_BYTES);
        server.pause();
        Caller<Boolean> loading = Caller.start(() -> holds(store, key));
        Caller<Integer> asking = Caller.start(() -> store.held(List.of(key)));
        Poll.until("calls wait", () -> loading.waits() && asking.waits());
        store.close();
        loading.failure();
        asking.failure();
        server.resume();
    }

    // ---- a server that is gone ----

    @Test
    void shouldGoOnWithAServerThatWasStartedAgain() throws IOException {
        try (RemoteStore store = open()) {
            for (int i = 0; i < 3; i++) {
                Blocks.store(store, key, BLOCK_BYTES);
                server.kill();
                failure(() -> holds(store, key));
                failure(() -> Blocks.store(store, key, BLOCK_BYTES));
                failure(() -> store.held(List.of(key)));
                failure(() -> store.remove(key));
                failure(() -> store.erase("a"));
                assertEquals(0, store.stats().reachableNodes());
                server.restart();
                assertFalse(worksAgain(store, key), "it has lost everything");
                assertTrue(Blocks.store(store, key, BLOCK_BYTES));
                assertTrue(holds(store, key));
            }
        }
    }

    @Test
    void shouldNameTheServerThatIsNotThere() {
        server.kill();
        assertContains("no server can be used: ", failure(() -> RemoteStore.connect(options(server.uri()))));
        assertContains(
                "no server can be used: ",
                failure(() -> RemoteStore.connect(options("redis://nobody.invalid:1,127.0.0.1:" + server.port()))));
    }

    @Test
    void shouldNotWaitForEverForAServerThatHangsFromTheStart() {
        server.pause();
        failure(() -> RemoteStore.connect(options(server.uri()).withDeadlines(SHORT, SHORT)));
        server.resume();
    }

    // ---- TLS ----

    @Test
    void shouldSpeakTls(@TempDir Path directory) throws Exception {
        LocalCertificate own = LocalCertificate.create(directory, "server");
        LocalCertificate stranger = LocalCertificate.create(directory, "stranger");
        int port = LocalRedis.freePort();
        String address = "rediss://127.0.0.1:" + port;
        try (LocalRedis tls = LocalRedis.start(own.arguments(port, false))) {
            try (RemoteStore store = RemoteStore.connect(options(address).withCertificates(own.certificate()))) {
                Blocks.store(store, key, BLOCK_BYTES);
                assertTrue(holds(store, key));
                assertEquals("1", tls.command("DBSIZE"));
            }
            RemoteOptions trustsAnother = options(address).withCertificates(stranger.certificate());
            for (RemoteOptions options : List.of(options(address), trustsAnother)) {
                String message = String.valueOf(assertThrows(IOException.class, () -> RemoteStore.connect(options))
                        .getMessage());
                assertContains("127.0.0.1:" + port, message);
                assertContains("certificat", message);
            }
            assertThrows(
                    IOException.class,
                    () -> RemoteStore.connect(
                            options("redis://127.0.0.1:" + port).withDeadlines(PATIENCE, Duration.ofSeconds(1))));
        }
    }

    @Test
    void shouldShowACertificate(@TempDir Path directory) throws Exception {
        LocalCertificate own = LocalCertificate.create(directory, "server");
        LocalCertificate stranger = LocalCertificate.create(directory, "stranger");
        int port = LocalRedis.freePort();
        RemoteOptions options = options("rediss://127.0.0.1:" + port).withCertificates(own.certificate());
        try (LocalRedis tls = LocalRedis.start(own.arguments(port, true))) {
            try (RemoteStore store = RemoteStore.connect(options.withClientCertificate(own.certificate(), own.key()))) {
                Blocks.store(store, key, BLOCK_BYTES);
                assertTrue(holds(store, key));
            }
            assertEquals("1", tls.command("DBSIZE"));
            assertThrows(IOException.class, () -> RemoteStore.connect(options));
            assertThrows(
                    IOException.class,
                    () -> RemoteStore.connect(options.withClientCertificate(stranger.certificate(), stranger.key())));
        }
    }

    @Test
    void shouldNameAFileThatCannotBeRead(@TempDir Path directory) {
        Path missing = directory.resolve("missing");
        RemoteOptions options = options("rediss://127.0.0.1:1");
        assertEquals(
                "file cannot be read: file=" + missing,
                assertThrows(IOException.class, () -> RemoteStore.connect(options.withCertificates(missing)))
                        .getMessage());
        assertEquals(
                "file cannot be read: file=" + missing,
                assertThrows(
                                IOException.class,
                                () -> RemoteStore.connect(options.withClientCertificate(missing, missing)))
                        .getMessage());
        assertNull(options.clientKey());
    }
}
