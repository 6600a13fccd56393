package io.kvcache.remote;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.BlockKey;
import io.kvcache.BlockNote;
import io.kvcache.Retention;
import io.kvcache.localredis.LocalRedis;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.agrona.concurrent.CachedEpochClock;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Random calls beside a map: what stores on a server find is what the map has. */
final class RemoteStoreModelTest {
    private static final int OPERATIONS = 10_000; // with each seed
    private static final int THREADS = 4;
    private static final int OPERATIONS_OF_A_THREAD = 1500;
    private static final int SHARED_KEYS = 4;
    private static final int LARGE_PART_BYTES = 24 << 10; // more than a server reads at once
    private static final int NUMBERS = 30;
    private static final int PART_BYTES = 512;
    private static final int MOST_PARTS = 5;
    private static final int VERSION_STRIDE = 64;
    private static final String[] NAMESPACES = {"a", "b", "", "a\ud800", "a*"};
    private static final Duration PATIENCE = Duration.ofSeconds(20); // only what hangs takes as long

    /** What the server has of a block. */
    private record Held(BlockNote note, int version, TreeSet<Integer> parts) {}

    private final Map<BlockKey, Held> model = new HashMap<>();
    private final MovedClock clock = new MovedClock();
    private final Warnings warnings = new Warnings();
    private final BlockNames names = new BlockNames("kvcache:");
    private SplittableRandom random = new SplittableRandom();
    private int versions;
    private int hits;

    @AfterEach
    void logAgain() {
        warnings.close();
    }

    private RemoteStore open(LocalRedis server, int partBytes) throws IOException {
        return RemoteStore.connect(RemoteOptions.of(server.uri())
                .withDeadlines(PATIENCE, PATIENCE)
                .withPartBytes(partBytes)
                .withClocks(clock, new CachedEpochClock()));
    }

    private static BlockKey key(SplittableRandom random) {
        return Blocks.key(NAMESPACES[random.nextInt(NAMESPACES.length)], random.nextInt(NUMBERS));
    }

    private static int parts(BlockKey key) {
        return 1 + key.tokens()[0] % MOST_PARTS;
    }

    private static long blockBytes(BlockKey key) {
        return (long) PART_BYTES * parts(key) - 100;
    }

    /** A copy of what belongs to a key, of one of its versions: every part shows which. */
    private static MemorySegment version(MemorySegment block, int version) {
        MemorySegment copy = Blocks.memory(block.byteSize()).copyFrom(block);
        for (long at = 0; at < copy.byteSize(); at += VERSION_STRIDE) {
            copy.set(ValueLayout.JAVA_BYTE, at, (byte) version);
        }
        return copy;
    }

    private static MemorySegment block(BlockKey key, int version) {
        return version(Blocks.block(key, blockBytes(key)), version);
    }

    // ---- one thread, two stores on one server ----

    @ParameterizedTest
    @ValueSource(longs = {1, 2})
    void shouldFindWhatAMapHas(long seed) throws IOException {
        random = new SplittableRandom(seed);
        try (LocalRedis server = LocalRedis.start();
                RawRedis raw = new RawRedis(server);
                RemoteStore one = open(server, PART_BYTES);
                RemoteStore other = open(server, PART_BYTES)) {
            for (int i = 0; i < OPERATIONS; i++) {
                operate(random.nextBoolean() ? one : other, raw);
            }
            assertEquals(0, one.stats().failures() + other.stats().failures());
            assertEquals(
                    model.values().stream().mapToInt(held -> held.parts.size()).sum(),
                    raw.keys().size());
        }
        assertTrue(hits > OPERATIONS / 10, "hits=" + hits);
    }

    private void operate(RemoteStore store, RawRedis raw) throws IOException {
        int choice = random.nextInt(1000);
        BlockKey key = key(random);
        if (choice < 400) {
            load(store, key);
        } else if (choice < 750) {
            store(store, key);
        } else if (choice < 850) {
            held(store);
        } else if (choice < 900) {
            store.remove(key);
            model.remove(key);
        } else if (choice < 905) {
            store.erase(key.namespace());
            model.keySet().removeIf(known -> known.namespace().equals(key.namespace()));
        } else if (choice < 970) { // as a server does that needs memory
            int part = random.nextInt(parts(key));
            raw.remove(BlockNames.part(names.of(key), part));
            model.computeIfPresent(key, (known, held) -> held.parts.remove(part) && held.parts.isEmpty() ? null : held);
        } else if (choice < 985) {
            damage(raw, key, random.nextInt(parts(key)));
        } else {
            clock.advanceMillis(random.nextInt(100));
        }
    }

    private void load(RemoteStore store, BlockKey key) throws IOException {
        MemorySegment target = Blocks.memory(blockBytes(key));
        BlockNote found = store.load(key, target);
        Held held = model.get(key);
        if (held == null || held.parts.size() < parts(key) || held.version < 0) {
            assertNull(found, "key=" + key);
        } else {
            assertEquals(held.note, found, "key=" + key);
            assertEquals(-1, target.mismatch(block(key, held.version)), "key=" + key);
            hits++;
        }
    }

    private void store(RemoteStore store, BlockKey key) throws IOException {
        Retention retention = Retention.DEFAULT.withPriority(random.nextInt(101));
        BlockNote note = new BlockNote(
                random.nextBoolean(),
                random.nextBoolean() ? retention : retention.withTtl(Duration.ofDays(1 + random.nextInt(9))),
                random.nextInt(1000));
        int version = ++versions % 100;
        assertTrue(store.store(key, note, block(key, version)));
        TreeSet<Integer> parts =
                new TreeSet<>(IntStream.range(0, parts(key)).boxed().toList());
        model.put(key, new Held(note, version, parts));
    }

    private void held(RemoteStore store) throws IOException {
        List<BlockKey> path = new ArrayList<>();
        int expected = 0;
        while (path.size() < 10) {
            BlockKey key = key(random);
            Held held = model.get(key);
            expected += expected == path.size() && held != null && held.parts.contains(0) ? 1 : 0;
            path.add(key);
        }
        assertEquals(expected, store.held(path));
    }

    private void damage(RawRedis raw, BlockKey key, int part) {
        Held held = model.get(key);
        if (held != null && held.parts.contains(part)) {
            String name = BlockNames.part(names.of(key), part);
            byte[] value = raw.get(name);
            value[random.nextInt(value.length)] ^= (byte) (1 + random.nextInt(255));
            raw.set(name, value);
            model.put(key, new Held(held.note, -1, held.parts));
        }
    }

    // ---- many threads, and connections that are lost ----

    @Test
    void shouldNeverMixBytesUp() throws Exception {
        Map<BlockKey, MemorySegment> blocks = new HashMap<>();
        for (int i = 0; i < SHARED_KEYS; i++) {
            BlockKey key = Blocks.key("a", i);
            blocks.put(key, Blocks.block(key, MOST_PARTS * LARGE_PART_BYTES));
        }
        try (LocalRedis server = LocalRedis.start();
                RemoteStore store = open(server, LARGE_PART_BYTES);
                ExecutorService threads = Executors.newFixedThreadPool(THREADS)) {
            List<Callable<Integer>> work = new ArrayList<>();
            for (int thread = 0; thread < THREADS; thread++) {
                SplittableRandom own = new SplittableRandom(thread);
                boolean cuts = thread == 0;
                work.add(() -> callAtRandom(store, own, Map.copyOf(blocks), cuts ? server : null));
            }
            int found = 0;
            for (Future<Integer> done : threads.invokeAll(work)) {
                found += done.get();
            }
            assertTrue(found > THREADS * OPERATIONS_OF_A_THREAD / 10, "found=" + found);
            assertTrue(store.stats().failures() > 0, "no connection was lost in use");
        }
    }

    /** Calls a store, and cuts connections to a server now and then; returns how many blocks were found. */
    private int callAtRandom(
            RemoteStore store, SplittableRandom own, Map<BlockKey, MemorySegment> blocks, @Nullable LocalRedis server) {
        int found = 0;
        for (int i = 0; i < OPERATIONS_OF_A_THREAD; i++) {
            BlockKey key = Blocks.key("a", own.nextInt(SHARED_KEYS));
            MemorySegment block = Objects.requireNonNull(blocks.get(key));
            try {
                int choice = own.nextInt(100);
                if (choice < 55) {
                    found += findsOneVersion(store, key, block) ? 1 : 0;
                } else if (choice < 95) {
                    store.store(key, BlockNote.DEFAULT, version(block, own.nextInt(100)));
                } else {
                    store.remove(key);
                }
            } catch (IOException e) { // a connection was cut
                clock.advanceMillis(50);
            }
            if (server != null && i % 100 == 0) {
                server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
            }
        }
        return found;
    }

    private static boolean findsOneVersion(RemoteStore store, BlockKey key, MemorySegment block) throws IOException {
        MemorySegment target = Blocks.memory(block.byteSize());
        boolean found = store.load(key, target) != null;
        if (found && target.mismatch(version(block, target.get(ValueLayout.JAVA_BYTE, 0))) != -1) {
            throw new AssertionError("wrong bytes: key=" + key);
        }
        return found;
    }
}
