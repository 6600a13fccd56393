package io.kvcache;

import static io.kvcache.Thrown.assertMisuse;
import static io.kvcache.Thrown.assertRefused;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.channels.Pipe;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

final class KvCacheTest {
    private static final KvLayout LAYOUT = KvLayout.builder()
            .layers(1)
            .kvHeads(1)
            .headSize(8)
            .type(KvType.F32)
            .tokensPerBlock(2)
            .build();

    @RegisterExtension
    final Caches caches = new Caches();

    private static KvCache cache(int blocks) {
        return KvCache.builder(LAYOUT)
                .maximumBytes(LAYOUT.blockBytes() * blocks)
                .build();
    }

    private static void append(Sequence sequence, int tokens) {
        assertTrue(sequence.tryReserve(tokens));
        sequence.commit(new int[tokens]);
    }

    @Test
    void shouldBuildWithoutAllocatingMemory() {
        KvLayout layout = KvLayout.builder()
                .layers(32)
                .kvHeads(8)
                .headSize(128)
                .tokensPerBlock(16)
                .build();
        try (KvCache cache = KvCache.builder(layout).maximumBytes(64L << 30).build()) {
            assertEquals(0, cache.stats().allocatedBytes());
            assertEquals(32_768, cache.stats().maximumBlocks()); // 64 GiB of 2 MiB
            try (Sequence sequence = cache.namespace("a").open(new int[1])) {
                append(sequence, 1);
                assertEquals(2L << 20, cache.stats().allocatedBytes());
            }
        }
    }

    @Test
    void shouldKeepBookkeepingBelow192BytesABlock() {
        int blocks = 1_000_000;
        KvLayout layout = KvLayout.builder()
                .layers(1)
                .kvHeads(1)
                .headSize(1)
                .tokensPerBlock(1)
                .build();
        KvCache cache = caches.of(layout, blocks);
        try (Sequence sequence = cache.namespace("a").open(new int[1])) {
            long before = heapBytesInUse();
            append(sequence, blocks);
            long tokenBytes = 2L * blocks * Integer.BYTES; // their array, and what doubling it has left over
            long perBlock = (heapBytesInUse() - before - tokenBytes) / blocks;
            assertTrue(perBlock < 192, () -> "bytes a block: " + perBlock);
            assertEquals(blocks, sequence.length());
        }
    }

    private static long heapBytesInUse() {
        System.gc();
        Runtime runtime = Runtime.getRuntime();
        return runtime.totalMemory() - runtime.freeMemory();
    }

    @Test
    void shouldCountWhatIsInUse() {
        KvCache cache = caches.of(LAYOUT, 10);
        try (Sequence sequence = cache.namespace("a").open(new int[1])) {
            append(sequence, 5);
            try (Sequence fork = sequence.fork()) {
                append(fork, 1);
                CacheStats stats = cache.stats();
                assertEquals(
                        new CacheStats(2, 0, 0, 4, 3, 0, 0, 10, 10, 128, 1280, 0, 0, stats.traffic(), List.of()),
                        stats);
                assertEquals(1, stats.privateBlocks());
                assertEquals(6, stats.freeBlocks());
                assertEquals(4 * 128, cache.stats().usedBytes());
                assertEquals(10 * 128, cache.stats().allocatedBytes());
            }
        }
    }

    @Test
    void shouldGiveOneNamespaceForEqualNames() {
        KvCache cache = caches.of(LAYOUT, 1);
        assertSame(cache.namespace("a"), cache.namespace("a"));
        assertNotSame(cache.namespace("a"), cache.namespace("b"));
        assertEquals("a", cache.namespace("a").name());
        assertSame(LAYOUT, cache.layout());
    }

    @Test
    void shouldRefuseAnEmptyPrompt() {
        KvCache cache = caches.of(LAYOUT, 1);
        assertRefused(
                "prompt has no token: length=0", () -> cache.namespace("a").open(new int[0]));
    }

    @Test
    void shouldRefuseALimitThatHoldsNoBlock() {
        assertRefused(
                "cache too small for one block: maximumBytes=127 blockBytes=128",
                () -> KvCache.builder(LAYOUT).maximumBytes(127).build());
        assertRefused(
                "must be positive: maximumBytes=0",
                () -> KvCache.builder(LAYOUT).maximumBytes(0));
    }

    @Test
    void shouldReportWhoHoldsWhatAtClose() {
        KvCache cache = cache(8);
        Sequence first = cache.namespace("tenant-a").open(new int[1]);
        append(first, 3);
        Sequence second = cache.namespace("tenant-b").open(new int[1]);
        assertTrue(second.tryReserve(1));
        assertMisuse(
                "sequences were open at close: count=2"
                        + " Sequence[id=1 namespace=tenant-a length=3 reserved=0] blocks=2,"
                        + " Sequence[id=2 namespace=tenant-b length=0 reserved=1] blocks=1",
                cache::close);
        cache.close(); // frees and reports once
        first.close();
        assertThrows(IllegalStateException.class, first::length);
        assertMisuse("cache is closed", () -> cache.namespace("a").open(new int[1]));
    }

    @Test
    void shouldFreeMemoryAtClose() {
        KvCache cache = cache(1);
        MemorySegment view;
        try (Sequence sequence = cache.namespace("a").open(new int[1])) {
            append(sequence, 1);
            view = sequence.keys(0, 0);
        }
        cache.close();
        assertThrows(IllegalStateException.class, () -> view.get(ValueLayout.JAVA_FLOAT, 0));
    }

    @Test
    void shouldFreeMemoryWhenASequenceClosesMeanwhile() throws Exception {
        try (ExecutorService executor = Executors.newSingleThreadExecutor()) {
            for (int round = 0; round < 1000; round++) {
                KvCache cache = cache(1);
                Sequence sequence = cache.namespace("a").open(new int[1]);
                append(sequence, 1);
                MemorySegment view = sequence.keys(0, 0);
                Future<?> closing = executor.submit(sequence::close);
                try {
                    cache.close();
                } catch (IllegalStateException e) {
                    assertTrue(e.toString().contains("sequences were open at close: count=1"), e::toString);
                }
                closing.get();
                assertThrows(IllegalStateException.class, () -> view.get(ValueLayout.JAVA_FLOAT, 0));
            }
        }
    }

    @Test
    void shouldFreeMemoryInUseByNativeCodeAtASecondClose() throws Exception {
        int width = 1 << 18; // more than a pipe takes
        KvLayout layout = KvLayout.builder()
                .layers(1)
                .kvHeads(1)
                .headSize(width)
                .type(KvType.F32)
                .order(BlockOrder.ROWS)
                .build();
        KvCache cache =
                KvCache.builder(layout).maximumBytes(layout.blockBytes()).build();
        Sequence sequence = cache.namespace("a").open(new int[1]);
        append(sequence, 1);
        MemorySegment view = sequence.keys(0, 0);
        Pipe pipe = Pipe.open();
        try (ExecutorService executor = Executors.newSingleThreadExecutor();
                Pipe.SourceChannel source = pipe.source()) {
            Future<Integer> writing = executor.submit(() -> pipe.sink().write(view.asByteBuffer()));
            ByteBuffer received = ByteBuffer.allocate(1);
            source.read(received); // the other thread is inside its write from here on
            assertMisuse(
                    "memory is in use by native code, close again when it is done: allocatedBytes="
                            + cache.stats().allocatedBytes(),
                    cache::close);
            for (int read = 1; read < width * Float.BYTES; read += source.read(ByteBuffer.allocate(1 << 16))) {
                assertTrue(view.scope().isAlive());
            }
            assertEquals(width * Float.BYTES, writing.get());
            assertMisuse(
                    "sequences were open at close: count=1 Sequence[id=1 namespace=a length=1 reserved=0] blocks=1",
                    cache::close);
            assertFalse(view.scope().isAlive());
        } finally {
            pipe.sink().close();
        }
    }

    @Test
    void shouldSayWhereALeakedSequenceWasOpenedWhenTraced() throws Exception {
        KvCache cache = withProperty(SequencePool.TRACE_PROPERTY, () -> cache(1));
        cache.namespace("a").open(new int[1]).fork();
        String message = Thrown.message(IllegalStateException.class, cache::close);
        List<String> leaks = List.of(message.split(", ", -1));
        assertEquals(2, leaks.size());
        for (String leak : leaks) {
            assertTrue(
                    leak.matches(".* opened at io\\.kvcache\\.KvCacheTest\\.should.*\\(KvCacheTest\\.java:\\d+\\)"),
                    leak);
        }
    }

    @Test
    void shouldLetViewsDieWithTheirSequenceWhenGuarded() throws Exception {
        try (KvCache cache = withProperty(SequencePool.GUARD_PROPERTY, () -> cache(8))) {
            Sequence sequence = cache.namespace("a").open(new int[1]);
            append(sequence, 3);
            MemorySegment keys = sequence.keys(0, 0);
            MemorySegment segment = sequence.segment(1);
            assertTrue(sequence.tryReserve(1));
            MemorySegment row = sequence.valueRow(0, 3);
            assertTrue(keys.isReadOnly());
            row.set(ValueLayout.JAVA_FLOAT, 0, 1f);
            assertEquals(0f, keys.get(ValueLayout.JAVA_FLOAT, 0));

            sequence.truncate(2); // lets go of the second block
            assertThrows(IllegalStateException.class, () -> segment.get(ValueLayout.JAVA_FLOAT, 0));
            assertThrows(IllegalStateException.class, () -> row.set(ValueLayout.JAVA_FLOAT, 0, 1f));

            MemorySegment fresh = sequence.keys(0, 0);
            assertEquals(0f, fresh.get(ValueLayout.JAVA_FLOAT, 0));
            sequence.close();
            assertThrows(IllegalStateException.class, () -> fresh.get(ValueLayout.JAVA_FLOAT, 0));
        }
    }

    @Test
    void shouldLetViewsOfACopiedBlockDieWhenGuarded() throws Exception {
        try (KvCache cache = withProperty(SequencePool.GUARD_PROPERTY, () -> cache(8));
                Sequence sequence = cache.namespace("a").open(new int[1])) {
            append(sequence, 1);
            try (Sequence fork = sequence.fork()) {
                MemorySegment keys = fork.keys(0, 0);
                assertTrue(fork.tryReserve(1));
                assertThrows(IllegalStateException.class, () -> keys.get(ValueLayout.JAVA_FLOAT, 0));
            }
        }
    }

    private static KvCache withProperty(String name, Callable<KvCache> builder) throws Exception {
        System.setProperty(name, "true");
        try {
            return builder.call();
        } finally {
            System.clearProperty(name);
        }
    }

    @Test
    void shouldServeManyThreadsAtOnce() throws Exception {
        KvCache cache = caches.of(LAYOUT, 64);
        try (ExecutorService threads = Executors.newFixedThreadPool(8)) {
            List<Callable<Integer>> workers = IntStream.range(0, 8)
                    .mapToObj(worker -> (Callable<Integer>) () -> work(cache, worker))
                    .toList();
            for (Future<Integer> worker : threads.invokeAll(workers)) {
                assertEquals(0, worker.get());
            }
        }
        assertEquals(0, cache.stats().usedBlocks());
    }

    /** Opens, fills, forks and closes; returns how many rows came back wrong. */
    private static int work(KvCache cache, int worker) {
        int wrong = 0;
        float[] key = new float[8];
        float[] value = new float[8];
        for (int round = 0; round < 2_000; round++) {
            try (Sequence sequence = cache.namespace("n" + worker % 2).open(new int[1])) {
                wrong += fill(sequence, worker * 10_000 + round, 3);
                try (Sequence fork = sequence.fork()) {
                    wrong += fill(fork, worker * 10_000 + round, 2);
                    sequence.gather(0, 2, 1, key, 0, value, 0);
                    wrong += key[0] == worker * 10_000 + round ? 0 : 1;
                }
            }
        }
        return wrong;
    }

    private static int fill(Sequence sequence, int stamp, int tokens) {
        if (!sequence.tryReserve(tokens)) { // 8 workers x 4 blocks fit into 64
            return 1;
        }
        float[] row = new float[8];
        int first = sequence.length();
        for (int i = 0; i < tokens; i++) {
            Arrays.fill(row, stamp);
            sequence.write(0, first + i, row, row);
            sequence.commit(stamp);
        }
        float[] back = new float[8];
        sequence.gather(0, first, 1, back, 0, new float[8], 0);
        return back[7] == stamp ? 0 : 1;
    }
}
