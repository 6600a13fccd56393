package io.kvcache.remote;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.BlockKey;
import io.kvcache.BlockNote;
import io.kvcache.Identity;
import io.kvcache.KvLayout;
import io.kvcache.Retention;
import io.kvcache.localredis.LocalRedis;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.agrona.concurrent.CachedEpochClock;
import org.agrona.concurrent.SystemNanoClock;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

final class RemoteStoreTest {
    private static final long BLOCK_BYTES = 4096;
    private static final int PART_BYTES = 1024;
    private static final Duration PATIENCE = Duration.ofSeconds(20); // only what hangs takes as long

    private static LocalRedis server;
    private static RawRedis raw;
    private static Warnings warnings;

    private final CachedEpochClock epochClock = new CachedEpochClock();

    @BeforeAll
    static void start() {
        server = LocalRedis.start();
        raw = new RawRedis(server);
        warnings = new Warnings();
    }

    @AfterAll
    static void end() {
        raw.close();
        server.close();
        warnings.close();
    }

    @BeforeEach
    void empty() {
        server.command("FLUSHALL");
    }

    private RemoteOptions options() {
        return RemoteOptions.of(server.uri())
                .withDeadlines(PATIENCE, PATIENCE)
                .withPartBytes(PART_BYTES)
                .withClocks(SystemNanoClock.INSTANCE, epochClock);
    }

    private RemoteStore open() throws IOException {
        return RemoteStore.connect(options());
    }

    private static int keysOnServer() {
        return Integer.parseInt(server.command("DBSIZE"));
    }

    // ---- what was stored is found ----

    @ParameterizedTest
    @ValueSource(longs = {1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES, 70 * PART_BYTES + 5, 300_001})
    void shouldHoldBlocksOfAnySizeInAnyMemory(long bytes) throws IOException {
        BlockKey key = Blocks.key("a", 1);
        MemorySegment heap = MemorySegment.ofArray(new byte[(int) bytes]).copyFrom(Blocks.block(key, bytes));
        try (RemoteStore store = open();
                RemoteStore other = open()) {
            assertFalse(Blocks.load(store, key, bytes));
            assertTrue(store.store(key, BlockNote.DEFAULT, heap.asReadOnly()));
            assertEquals(Math.ceilDiv(bytes, PART_BYTES), keysOnServer());
            heap.fill((byte) 0);
            assertEquals(BlockNote.DEFAULT, store.load(key, heap));
            assertEquals(-1, heap.mismatch(Blocks.block(key, bytes)));
            assertTrue(Blocks.load(other, key, bytes), "not shared");
            RemoteStats stats = store.stats();
            assertEquals(1, stats.hits());
            assertEquals(1, stats.misses());
            assertEquals(1, stats.stored());
            assertEquals(bytes, stats.bytesRead());
            assertEquals(bytes, stats.bytesWritten());
            assertEquals(0, stats.corrupt() + stats.declined() + stats.failures() + stats.redirected());
            assertEquals(1, stats.nodes());
            assertEquals(1, stats.reachableNodes());
        }
    }

    @Test
    void shouldSplitLargeBlocksUnlessToldOtherwise() throws IOException {
        BlockKey key = Blocks.key("a", 1);
        int bytes = (3 << 20) + 1;
        try (RemoteStore store =
                RemoteStore.connect(RemoteOptions.of(server.uri()).withDeadlines(PATIENCE, PATIENCE))) {
            Blocks.store(store, key, bytes);
            List<Integer> sizes =
                    raw.keys().stream().map(name -> raw.get(name).length).toList();
            assertTrue(sizes.size() >= 4, "sizes=" + sizes);
            assertTrue(sizes.stream().allMatch(size -> size < (1 << 20) + 1000), "sizes=" + sizes);
            assertTrue(Blocks.load(store, key, bytes));
        }
        try (RemoteStore store = open()) {
            assertFalse(Blocks.load(store, key, bytes), "was split otherwise");
        }
    }

    @Test
    void shouldNotMistakeABlockForOneOfAnotherSize() throws IOException {
        BlockKey key = Blocks.key("a", 1);
        try (RemoteStore store = open()) {
            Blocks.store(store, key, BLOCK_BYTES);
            for (long bytes : new long[] {BLOCK_BYTES - 1, BLOCK_BYTES + 1, BLOCK_BYTES - PART_BYTES, 1, 500}) {
                assertFalse(Blocks.load(store, key, bytes), "bytes=" + bytes);
            }
            assertTrue(Blocks.load(store, key, BLOCK_BYTES));
        }
    }

    static Stream<BlockNote> notes() {
        Retention retention = Retention.DEFAULT.withPriority(7, Duration.ofNanos(123_456_789_012_345L));
        return Stream.of(
                BlockNote.DEFAULT,
                new BlockNote(true, Retention.DEFAULT, 1),
                new BlockNote(false, Retention.DEFAULT.withPriority(100), Long.MAX_VALUE),
                new BlockNote(true, retention, 3),
                new BlockNote(false, retention.withTtl(Duration.ofDays(300)), 4),
                new BlockNote(true, Retention.DEFAULT.withTtlSinceFirstUse(Duration.ofDays(2)), 5),
                new BlockNote(false, Retention.DEFAULT.withPriority(0).withTtl(Duration.ofNanos(Long.MAX_VALUE)), 6));
    }

    @ParameterizedTest
    @MethodSource("notes")
    void shouldGiveNotesBack(BlockNote note) throws IOException {
        BlockKey key = Blocks.key("a", 1);
        try (RemoteStore store = open()) {
            assertTrue(store.store(key, note, Blocks.block(key, BLOCK_BYTES)));
            assertEquals(note, Blocks.loadNote(store, key, BLOCK_BYTES));
        }
    }

    @Test
    void shouldReplaceWhatIsThere() throws IOException {
        BlockKey key = Blocks.key("a", 1);
        BlockNote second = new BlockNote(true, Retention.DEFAULT.withPriority(3), 9);
        MemorySegment other = Blocks.block(Blocks.key("a", 2), BLOCK_BYTES);
        MemorySegment target = Blocks.memory(BLOCK_BYTES);
        try (RemoteStore store = open()) {
            Blocks.store(store, key, BLOCK_BYTES);
            assertTrue(store.store(key, second, other));
            assertEquals(second, store.load(key, target));
            assertEquals(-1, target.mismatch(other));
            assertTrue(Blocks.store(store, key, PART_BYTES), "of another size");
            assertTrue(Blocks.load(store, key, PART_BYTES));
            assertFalse(Blocks.load(store, key, BLOCK_BYTES));
        }
    }

    @Test
    void shouldSayHowManyBlocksOfAPathItHolds() throws IOException {
        List<BlockKey> path = Blocks.path(Blocks.root("model", "a"), 40);
        try (RemoteStore store = open()) {
            assertEquals(0, store.held(List.of()));
            assertEquals(0, store.held(path));
            for (int i = 0; i < 40; i++) {
                if (i != 33) {
                    Blocks.store(store, path.get(i), BLOCK_BYTES);
                }
            }
            assertEquals(33, store.held(path));
            assertEquals(0, store.held(path.subList(33, 40)));
            assertEquals(6, store.held(path.subList(34, 40)));
            Blocks.store(store, path.get(33), BLOCK_BYTES);
            assertEquals(40, store.held(path));
            store.remove(path.getFirst());
            assertEquals(0, store.held(path));
        }
    }

    @Test
    void shouldAskForALongPathInOneRoundTrip() throws IOException {
        List<BlockKey> path = Blocks.path(Blocks.root("model", "a"), 1000);
        try (HoldingProxy proxy = new HoldingProxy(server);
                RemoteStore store =
                        RemoteStore.connect(RemoteOptions.of(proxy.uri()).withDeadlines(PATIENCE, PATIENCE))) {
            for (BlockKey key : path) {
                Blocks.store(store, key, 8);
            }
            store.remove(path.get(999));
            proxy.holdUntil("EXISTS", 1000);
            assertEquals(999, store.held(path));
        }
    }

    // ---- how long ----

    @Test
    void shouldLetTheServerForgetWhatIsExpired() throws IOException {
        BlockKey key = Blocks.key("a", 1);
        Duration day = Duration.ofDays(1);
        epochClock.update(day.multipliedBy(50).toMillis());
        try (RemoteStore store = open()) {
            for (Retention retention : List.of(
                    Retention.DEFAULT.withTtl(day.multipliedBy(10)),
                    Retention.DEFAULT.withTtlSinceFirstUse(day.multipliedBy(10)))) {
                BlockNote note =
                        new BlockNote(false, retention, day.multipliedBy(46).toMillis());
                assertTrue(store.store(key, note, Blocks.block(key, BLOCK_BYTES)));
                assertLifeIsBetween(day.multipliedBy(6).minusHours(1), day.multipliedBy(6));
                BlockNote early =
                        new BlockNote(false, retention, day.multipliedBy(51).toMillis()); // by another machine's clock
                assertTrue(store.store(key, early, Blocks.block(key, BLOCK_BYTES)));
                assertLifeIsBetween(day.multipliedBy(10).minusHours(1), day.multipliedBy(10));
            }
            Blocks.store(store, key, BLOCK_BYTES);
            assertEquals(4, raw.keys().size());
            raw.keys().forEach(name -> assertEquals("-1", server.command("PTTL", name)));
        }
    }

    private static void assertLifeIsBetween(Duration least, Duration most) {
        assertEquals(4, raw.keys().size());
        for (String name : raw.keys()) {
            long millis = Long.parseLong(server.command("PTTL", name));
            assertTrue(millis > least.toMillis() && millis <= most.toMillis(), "millis=" + millis);
        }
    }

    @Test
    void shouldMissWhatTheServerHasForgotten() throws Exception {
        BlockKey key = Blocks.key("a", 1);
        BlockNote note = new BlockNote(false, Retention.DEFAULT.withTtl(Duration.ofNanos(1)), 0);
        try (RemoteStore store = open()) {
            assertTrue(store.store(key, note, Blocks.block(key, BLOCK_BYTES))); // for a millisecond
            Poll.until("expiry", () -> keysOnServer() == 0);
            assertFalse(Blocks.load(store, key, BLOCK_BYTES));
            assertEquals(0, store.held(List.of(key)));
        }
    }

    @Test
    void shouldDeclineWhatIsExpired() throws IOException {
        BlockKey key = Blocks.key("a", 1);
        BlockNote note = new BlockNote(false, Retention.DEFAULT.withTtl(Duration.ofMillis(100)), 1000);
        epochClock.update(1100);
        try (RemoteStore store = open()) {
            assertFalse(store.store(key, note, Blocks.block(key, BLOCK_BYTES)));
            assertEquals(0, keysOnServer());
            assertEquals(1, store.stats().declined());
            assertEquals(0, store.stats().bytesWritten());
        }
    }

    // ---- namespaces, prefixes ----

    static List<String> strangeNamespaces() {
        return List.of(
                "",
                "a",
                "b",
                "aa",
                "ä",
                "\ud83d\ude00",
                "\ud83d",
                "\ude00",
                "?",
                "*",
                "[a-z]",
                "a*",
                "\\",
                "\\*",
                "{a}",
                "}",
                "{",
                "a:b",
                ":",
                " ",
                "\0",
                "a\r\nFLUSHALL\r\n",
                "n".repeat(100_000));
    }

    @Test
    void shouldKeepNamespacesApart() throws IOException {
        List<String> left = new ArrayList<>(strangeNamespaces());
        try (RemoteStore store = open()) {
            for (String namespace : left) {
                assertFalse(Blocks.load(store, Blocks.key(namespace, 1), BLOCK_BYTES), namespace);
                assertTrue(Blocks.store(store, Blocks.key(namespace, 1), BLOCK_BYTES));
            }
            assertEquals(4 * left.size(), keysOnServer());
            while (!left.isEmpty()) {
                String erased = left.removeFirst();
                store.erase(erased);
                assertFalse(Blocks.load(store, Blocks.key(erased, 1), BLOCK_BYTES), erased);
                assertEquals(4 * left.size(), keysOnServer());
            }
        }
    }

    @ParameterizedTest
    @MethodSource("strangeNamespaces")
    void shouldFindStrangeNamespaces(String namespace) throws IOException {
        BlockKey key = Blocks.key(namespace, 1);
        try (RemoteStore store = open()) {
            Blocks.store(store, key, BLOCK_BYTES);
            assertTrue(Blocks.load(store, key, BLOCK_BYTES));
            assertEquals(1, store.held(List.of(key)));
            store.remove(key);
            assertEquals(0, keysOnServer());
        }
    }

    @Test
    void shouldKeepEqualTokensOfOthersApart() throws IOException {
        KvLayout layout = KvLayout.builder().layers(2).kvHeads(1).headSize(64).build();
        List<BlockKey> roots = List.of(
                Blocks.root("model", "a"),
                Blocks.root("model", "b"),
                Blocks.root("other", "a"),
                BlockKey.root("model", layout, "a", List.of()),
                BlockKey.root("model", layout, "a", List.of(new Identity("adapter", "x"))));
        try (RemoteStore store = open()) {
            for (BlockKey root : roots) {
                BlockKey key = Blocks.path(root, 1).getFirst();
                assertFalse(Blocks.load(store, key, BLOCK_BYTES), "root=" + root);
                Blocks.store(store, key, BLOCK_BYTES);
            }
            store.erase("a");
            for (BlockKey root : roots) {
                BlockKey key = Blocks.path(root, 1).getFirst();
                assertEquals(root.namespace().equals("b"), Blocks.load(store, key, BLOCK_BYTES));
            }
        }
    }

    @Test
    void shouldTellKeysApartThatHaveOneName() throws IOException {
        BlockKey key = Blocks.key("a", 1);
        BlockKey other = BlockKey.of("a", key.digest(), new int[] {1});
        try (RemoteStore store = open()) {
            Blocks.store(store, key, BLOCK_BYTES);
            assertFalse(Blocks.load(store, other, BLOCK_BYTES));
            assertTrue(Blocks.load(store, key, BLOCK_BYTES));
        }
    }

    @Test
    void shouldEraseThousandsOfBlocksAndNothingElse() throws IOException {
        List<String> foreign = List.of("a", "kvcache:", "kvcache:{0}:a:b:0", "other{x}:a", "kvcache:events");
        foreign.forEach(name -> server.command("SET", name, "foreign"));
        try (RemoteStore store = open()) {
            for (int i = 0; i < 3500; i++) {
                Blocks.store(store, Blocks.key("a", i), 8);
                if (i % 5 == 0) {
                    Blocks.store(store, Blocks.key("b", i), 8);
                }
            }
            assertEquals(4200 + foreign.size(), keysOnServer());
            store.erase("a");
            assertEquals(700 + foreign.size(), keysOnServer());
            for (int i = 0; i < 3500; i++) {
                assertEquals(i % 5 == 0, Blocks.load(store, Blocks.key("b", i), 8));
            }
            store.erase("b");
            assertEquals(foreign.stream().sorted().toList(), raw.keys());
            store.erase("b");
        }
    }

    @Test
    void shouldKeepCachesOfDifferentPrefixesApart() throws IOException {
        List<String> prefixes = List.of(
                "kvcache:", "", "kv", "kvcache:2:", "*", "?", "[a-z]", "[^x]*", "\\", "a\\", "^", "-", "~", "!");
        BlockKey key = Blocks.key("a", 1);
        for (String prefix : prefixes) {
            try (RemoteStore store = RemoteStore.connect(options().withKeyPrefix(prefix))) {
                assertFalse(Blocks.load(store, key, BLOCK_BYTES), "prefix=" + prefix);
                Blocks.store(store, key, BLOCK_BYTES);
            }
        }
        assertEquals(4 * prefixes.size(), keysOnServer());
        for (int i = 0; i < prefixes.size(); i++) {
            String prefix = prefixes.get(i);
            assertEquals(
                    prefix.isEmpty() ? 4 * (prefixes.size() - 1) : 4, keysThatBeginWith(prefix), "prefix=" + prefix);
            try (RemoteStore store = RemoteStore.connect(options().withKeyPrefix(prefix))) {
                assertTrue(Blocks.load(store, key, BLOCK_BYTES), "prefix=" + prefix);
                store.erase("a");
                assertFalse(Blocks.load(store, key, BLOCK_BYTES), "prefix=" + prefix);
            }
            assertEquals(4 * (prefixes.size() - 1 - i), keysOnServer(), "prefix=" + prefix);
        }
    }

    private static long keysThatBeginWith(String prefix) {
        String brace = prefix.isEmpty() ? "" : "{";
        return raw.keys().stream()
                .filter(name -> name.startsWith(prefix + brace))
                .count();
    }

    // ---- remove ----

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 63, 64, 65, 128, 200})
    void shouldLeaveNoPartOfWhatItRemoves(int parts) throws IOException {
        try (RemoteStore store = RemoteStore.connect(options().withPartBytes(16))) {
            Blocks.store(store, Blocks.key("a", 1), 16L * parts);
            Blocks.store(store, Blocks.key("a", 2), 16L * parts);
            store.remove(Blocks.key("a", 1));
            assertEquals(parts, keysOnServer());
            assertFalse(Blocks.load(store, Blocks.key("a", 1), 16L * parts));
            assertTrue(Blocks.load(store, Blocks.key("a", 2), 16L * parts));
            store.remove(Blocks.key("a", 1));
            assertEquals(parts, keysOnServer());
        }
    }

    // ---- damage ----

    /** A store, a block of four parts, and the names of these. */
    private List<String> storeOne(RemoteStore store, BlockKey key) throws IOException {
        Blocks.store(store, key, BLOCK_BYTES);
        List<String> names = raw.keys();
        assertEquals(4, names.size());
        return names;
    }

    @Test
    void shouldMissWhateverByteIsDamaged() throws IOException {
        BlockKey key = Blocks.key("ab", 1);
        try (RemoteStore store = open()) {
            List<String> names = storeOne(store, key);
            int damages = 0;
            for (String name : names) {
                byte[] whole = raw.get(name);
                int header = whole.length - PART_BYTES;
                for (int at = 0; at < whole.length; at += at < header ? 1 : 97) {
                    byte[] damaged = whole.clone();
                    damaged[at] ^= (byte) (1 << (at % 8));
                    raw.set(name, damaged);
                    assertFalse(Blocks.load(store, key, BLOCK_BYTES), "at=" + at);
                    damages++;
                }
                raw.set(name, whole);
            }
            assertEquals(damages, store.stats().corrupt());
            assertTrue(Blocks.load(store, key, BLOCK_BYTES));
        }
    }

    @Test
    void shouldMissWhatWasCutOrExtended() throws IOException {
        BlockKey key = Blocks.key("ab", 1);
        try (RemoteStore store = open()) {
            String name = storeOne(store, key).get(1);
            byte[] whole = raw.get(name);
            int header = whole.length - PART_BYTES;
            int[] lengths = {
                0,
                1,
                8,
                111,
                112,
                113,
                header - 1,
                header,
                header + 1,
                PART_BYTES - 1,
                PART_BYTES,
                PART_BYTES + 1,
                PART_BYTES + 111,
                PART_BYTES + 112,
                whole.length - 8,
                whole.length - 1,
                whole.length + 1,
                whole.length + 2,
                whole.length + 8,
                whole.length + PART_BYTES,
                100_000
            };
            for (int length : lengths) {
                raw.set(name, Arrays.copyOf(whole, length));
                assertFalse(Blocks.load(store, key, BLOCK_BYTES), "length=" + length);
            }
            byte[] behind = new byte[whole.length + 2]; // as if a namespace were longer
            System.arraycopy(whole, 0, behind, 0, header);
            System.arraycopy(whole, header, behind, header + 2, PART_BYTES);
            raw.set(name, behind);
            assertFalse(Blocks.load(store, key, BLOCK_BYTES));
            assertEquals(lengths.length + 1, store.stats().corrupt());
            assertTrue(Blocks.store(store, key, BLOCK_BYTES));
            assertTrue(Blocks.load(store, key, BLOCK_BYTES));
            assertArrayEquals(
                    Arrays.copyOfRange(whole, header, whole.length),
                    Arrays.copyOfRange(raw.get(name), header, whole.length));
        }
    }

    @Test
    void shouldMissWhatBelongsToAnotherKey() throws IOException {
        BlockKey[] keys = {Blocks.key("ab", 1), Blocks.key("ab", 2), Blocks.key("cd", 1)};
        try (RemoteStore store = open()) {
            for (int one = 0; one < keys.length; one++) {
                for (int other = 0; other < keys.length; other++) {
                    if (one != other) {
                        server.command("FLUSHALL");
                        List<String> names = storeOne(store, keys[one]);
                        List<byte[]> values = names.stream().map(raw::get).toList();
                        server.command("FLUSHALL");
                        List<String> otherNames = storeOne(store, keys[other]);
                        for (int part = 0; part < 4; part++) {
                            raw.set(names.get(part), raw.get(otherNames.get(part)));
                            raw.set(otherNames.get(part), values.get(part));
                        }
                        assertFalse(Blocks.load(store, keys[one], BLOCK_BYTES));
                        assertFalse(Blocks.load(store, keys[other], BLOCK_BYTES));
                    }
                }
            }
        }
    }

    @Test
    void shouldMissABlockWhosePartsAreMixedUp() throws IOException {
        BlockKey key = Blocks.key("a", 1);
        MemorySegment otherBytes = Blocks.block(Blocks.key("a", 2), BLOCK_BYTES);
        try (RemoteStore store = open()) {
            List<String> names = storeOne(store, key);
            List<byte[]> first = names.stream().map(raw::get).toList();
            for (int part = 0; part < 4; part++) { // of two stores of one key
                store.store(key, BlockNote.DEFAULT, otherBytes);
                raw.set(names.get(part), first.get(part));
                assertNull(store.load(key, Blocks.memory(BLOCK_BYTES)), "part=" + part);
            }
            for (int part = 0; part < 4; part++) { // of one
                Blocks.store(store, key, BLOCK_BYTES);
                raw.set(names.get(part), raw.get(names.get((part + 1) % 4)));
                assertFalse(Blocks.load(store, key, BLOCK_BYTES), "part=" + part);
            }
        }
    }

    @Test
    void shouldMissABlockThatLacksAPart() throws IOException {
        BlockKey key = Blocks.key("a", 1);
        try (RemoteStore store = open()) {
            for (int part = 0; part < 4; part++) {
                raw.remove(storeOne(store, key).get(part));
                assertFalse(Blocks.load(store, key, BLOCK_BYTES), "part=" + part);
            }
            assertEquals(0, store.stats().corrupt());
            assertEquals(0, store.stats().failures());
        }
    }

    @Test
    void shouldReplaceWhatAnotherProgramHasPutThere() throws IOException {
        BlockKey key = Blocks.key("a", 1);
        try (RemoteStore store = open()) {
            String name = storeOne(store, key).getFirst();
            server.command("DEL", name);
            server.command("RPUSH", name, "element");
            String message = String.valueOf(assertThrows(IOException.class, () -> Blocks.load(store, key, BLOCK_BYTES))
                    .getMessage());
            assertTrue(message.contains("WRONGTYPE") && message.contains(":" + server.port()), message);
            assertTrue(Blocks.store(store, key, BLOCK_BYTES));
            assertTrue(Blocks.load(store, key, BLOCK_BYTES));
            assertEquals(1, store.stats().failures());
        }
    }

    // ---- misuse, end ----

    @Test
    void shouldRefuseARoot() throws IOException {
        BlockKey root = Blocks.root("model", "a");
        MemorySegment memory = Blocks.memory(BLOCK_BYTES);
        try (RemoteStore store = open()) {
            String message = "a root is no block: " + root;
            assertEquals(
                    message,
                    assertThrows(IllegalArgumentException.class, () -> store.remove(root))
                            .getMessage());
            assertEquals(
                    message,
                    assertThrows(IllegalArgumentException.class, () -> store.load(root, memory))
                            .getMessage());
            assertEquals(
                    message,
                    assertThrows(IllegalArgumentException.class, () -> store.store(root, BlockNote.DEFAULT, memory))
                            .getMessage());
        }
    }

    @Test
    void shouldFailAfterClosing() throws Exception {
        BlockKey key = Blocks.key("a", 1);
        try (LocalRedis own = LocalRedis.start()) {
            RemoteStore store = RemoteStore.connect(RemoteOptions.of(own.uri()).withDeadlines(PATIENCE, PATIENCE));
            Poll.until(
                    "both connections",
                    () -> store.held(List.of()) == 0
                            && Blocks.store(store, key, BLOCK_BYTES)
                            && store.stats().connections() == 2);
            store.close();
            store.close();
            assertThrows(IOException.class, () -> store.held(List.of(key)));
            assertThrows(IOException.class, () -> store.held(List.of()));
            assertThrows(IOException.class, () -> Blocks.load(store, key, BLOCK_BYTES));
            assertThrows(IOException.class, () -> Blocks.store(store, key, BLOCK_BYTES));
            assertThrows(IOException.class, () -> store.remove(key));
            assertEquals(
                    "store is closed: RemoteStore[" + own.uri() + "]",
                    assertThrows(IOException.class, () -> store.erase("a")).getMessage());
            Poll.until(
                    "end of all connections but the one that asks",
                    () -> own.command("CLIENT", "LIST").lines().count() == 1);
            assertEquals(0, store.stats().connections());
            assertEquals("1", own.command("DBSIZE"));
        }
    }

    // ---- options ----

    @Test
    void shouldRefuseOptionsThatCannotBe() {
        RemoteOptions options = options();
        Duration second = Duration.ofSeconds(1);
        assertEquals(
                "must be positive: deadlineNanos=0 connectNanos=1000000000 connectionsPerNode=2",
                message(() -> options.withDeadlines(Duration.ZERO, second)));
        assertEquals(
                "must be positive: deadlineNanos=1000000000 connectNanos=-1 connectionsPerNode=2",
                message(() -> options.withDeadlines(second, Duration.ofNanos(-1))));
        assertTrue(message(() -> options.withConnectionsPerNode(0)).endsWith(" connectionsPerNode=0"));
        assertEquals("must be from 1 to 536870912: partBytes=0", message(() -> options.withPartBytes(0)));
        assertEquals(
                "must be from 1 to 536870912: partBytes=536870913", message(() -> options.withPartBytes(536_870_913)));
        for (String prefix : new String[] {"{", "a}", "a b", "ä", "\n", "a\0"}) {
            assertEquals(
                    "must be printable ASCII without space and braces: keyPrefix=" + prefix,
                    message(() -> options.withKeyPrefix(prefix)));
        }
    }

    private static String message(Executable call) {
        return String.valueOf(assertThrows(IllegalArgumentException.class, call).getMessage());
    }

    @Test
    void shouldUseTheDatabaseOfTheAddress() throws IOException {
        BlockKey key = Blocks.key("a", 1);
        try (RemoteStore store = RemoteStore.connect(RemoteOptions.of(server.uri() + "/3"))) {
            Blocks.store(store, key, 8);
            assertTrue(Blocks.load(store, key, 8));
            assertTrue(server.command("INFO", "keyspace").contains("db3:keys=1,"));
            assertEquals(0, keysOnServer());
        }
    }
}
