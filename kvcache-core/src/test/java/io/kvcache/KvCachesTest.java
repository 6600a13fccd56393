package io.kvcache;

import static io.kvcache.Thrown.assertMisuse;
import static io.kvcache.Thrown.assertRefused;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.MemorySegment;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.lang.reflect.RecordComponent;
import java.nio.ByteBuffer;
import java.nio.channels.Pipe;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.agrona.concurrent.NanoClock;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

final class KvCachesTest {
    private static final KvLayout LAYOUT = KvLayout.builder()
            .layers(1)
            .kvHeads(1)
            .headSize(8)
            .type(KvType.F32)
            .tokensPerBlock(2)
            .build();

    private static KvCache.Builder builder() {
        return KvCache.builder(LAYOUT).maximumBytes(10 * LAYOUT.blockBytes());
    }

    private static SharedKvCache share(String name) {
        return KvCaches.shared(name, builder());
    }

    private static void assertClosed(KvCache cache) {
        assertMisuse("cache is closed", () -> cache.namespace("a").open(new int[1]));
    }

    private static void use(KvCache cache) {
        try (Sequence sequence = cache.namespace("a").open(new int[1])) {
            assertTrue(sequence.tryReserve(2));
            sequence.commit(1);
            sequence.commit(2);
        }
    }

    /** Every test leaves every name free: whoever comes next may have another configuration. */
    @AfterEach
    void namesAreFree() {
        for (String name : List.of("x", "y")) {
            KvCaches.shared(name, builder().seed(System.identityHashCode(this))).close();
        }
    }

    // ---- shares ----

    @Test
    void shouldShareOneCacheUntilTheLastShareCloses() {
        SharedKvCache first = share("x");
        SharedKvCache second = share("x");
        SharedKvCache third = share("x");
        KvCache cache = first.cache();
        assertSame(cache, second.cache());
        assertSame(cache, third.cache());
        second.close();
        first.close();
        use(cache);
        third.close();
        assertClosed(cache);

        try (SharedKvCache next = share("x")) {
            assertNotSame(cache, next.cache());
            use(next.cache());
        }
    }

    @Test
    void shouldKeepNamesApart() {
        try (SharedKvCache one = share("x");
                SharedKvCache other = share("y")) {
            assertNotSame(one.cache(), other.cache());
            assertEquals("x", one.name());
            assertEquals("y", other.name());
        }
    }

    @Test
    void shouldNotCountASecondCloseOfAShare() {
        SharedKvCache twice = share("x");
        try (SharedKvCache other = share("x")) {
            twice.close();
            twice.close();
            use(other.cache());
        }
        twice.close();
        try (SharedKvCache next = share("x")) {
            twice.close();
            use(next.cache());
        }
    }

    @Test
    void shouldRefuseTheCacheOfAClosedShare() {
        SharedKvCache share = share("x");
        assertEquals("SharedKvCache[name=x open=true]", share.toString());
        share.close();
        assertMisuse("share is closed: name=x", share::cache);
        assertEquals("x", share.name());
        assertEquals("SharedKvCache[name=x open=false]", share.toString());
    }

    @Test
    void shouldRefuseToCloseASharedCacheItself() {
        try (SharedKvCache share = share("x")) {
            assertMisuse(
                    "cache is shared, close the SharedKvCache: name=x",
                    () -> share.cache().close());
            use(share.cache());
        }
    }

    @Test
    void shouldReportLeaksToTheLastWhoCloses() {
        SharedKvCache first = share("x");
        SharedKvCache last = share("x");
        KvCache cache = first.cache();
        Sequence leaked = cache.namespace("a").open(new int[1]);
        assertTrue(leaked.tryReserve(3));
        first.close();
        assertMisuse(
                "sequences were open at close: count=1 Sequence[id=1 namespace=a length=0 reserved=3] blocks=2",
                last::close);
        assertClosed(cache);
        assertThrows(IllegalStateException.class, leaked::length);
        last.close(); // reports once
        try (SharedKvCache next = share("x")) {
            use(next.cache());
        }
    }

    @Test
    void shouldKeepTheLastShareWhileNativeCodeUsesItsMemory() throws Exception {
        int width = 1 << 18; // more than a pipe takes
        KvLayout layout = KvLayout.builder()
                .layers(1)
                .kvHeads(1)
                .headSize(width)
                .type(KvType.F32)
                .order(BlockOrder.ROWS)
                .build();
        KvCache.Builder builder = KvCache.builder(layout).maximumBytes(layout.blockBytes());
        SharedKvCache share = KvCaches.shared("x", builder);
        Sequence sequence = share.cache().namespace("a").open(new int[1]);
        assertTrue(sequence.tryReserve(1));
        sequence.commit(1);
        MemorySegment view = sequence.keys(0, 0);
        Pipe pipe = Pipe.open();
        try (ExecutorService executor = Executors.newSingleThreadExecutor();
                Pipe.SourceChannel source = pipe.source()) {
            Future<Integer> writing = executor.submit(() -> pipe.sink().write(view.asByteBuffer()));
            source.read(ByteBuffer.allocate(1)); // the other thread is inside its write from here on
            long bytes = share.cache().stats().allocatedBytes();
            assertMisuse(
                    "memory is in use by native code, close again when it is done: allocatedBytes=" + bytes,
                    share::close);
            assertMisuse(
                    "shared cache is closing, native code uses its memory: name=x",
                    () -> KvCaches.shared("x", builder));
            for (int read = 1; read < width * Float.BYTES; read += source.read(ByteBuffer.allocate(1 << 16))) {
                assertTrue(view.scope().isAlive());
            }
            assertEquals(width * Float.BYTES, writing.get());
            assertMisuse(
                    "sequences were open at close: count=1 Sequence[id=1 namespace=a length=1 reserved=0] blocks=1",
                    share::close);
            assertFalse(view.scope().isAlive());
        } finally {
            pipe.sink().close();
        }
    }

    @Test
    void shouldLeaveTheNameFreeWhenTheCacheCannotBeBuilt() {
        assertRefused(
                "cache too small for one block: maximumBytes=127 blockBytes=128",
                () -> KvCaches.shared("x", KvCache.builder(LAYOUT).maximumBytes(127)));
        EvictionPolicy.Factory broken = maximumBlocks -> {
            throw new IllegalArgumentException("broken");
        };
        assertRefused("broken", () -> KvCaches.shared("x", builder().evictionPolicy(broken)));
        try (SharedKvCache share = share("x")) {
            use(share.cache());
        }
    }

    // ---- configurations ----

    @Test
    void shouldNameEachDifferenceWithBothValues() {
        KvLayout wide = KvLayout.builder()
                .layers(1)
                .kvHeads(2)
                .headSize(4)
                .type(KvType.F32)
                .tokensPerBlock(2)
                .build();
        NanoClock clock = new NanoClock() {
            @Override
            public long nanoTime() {
                return 0;
            }

            @Override
            public String toString() {
                return "stopped";
            }
        };
        Map<KvCache.Builder, String> differences = new LinkedHashMap<>();
        differences.put(builder().maximumBytes(2560), "maximumBytes: has=1280 wanted=2560");
        differences.put(builder().minimumPartialHit(2), "minimumPartialHit: has=1 wanted=2");
        differences.put(builder().evictionPolicy(EvictionPolicy.hde()), "evictionPolicy: has=lru() wanted=hde()");
        differences.put(builder().seed(5), "seed: has=OptionalLong.empty wanted=OptionalLong[5]");
        differences.put(builder().fingerprintMask(1), "fingerprintMask: has=-1 wanted=1");
        differences.put(
                KvCache.builder(wide).maximumBytes(1280),
                "layout: has=KvLayout[layers=1 kvHeads=1 keyHeadSize=8 valueHeadSize=8 keyType=F32 valueType=F32"
                    + " order=ROWS tokensPerBlock=2 bytesPerToken=64 blockBytes=128] wanted=KvLayout[layers=1"
                    + " kvHeads=2 keyHeadSize=4 valueHeadSize=4 keyType=F32 valueType=F32 order=ROWS tokensPerBlock=2"
                    + " bytesPerToken=64 blockBytes=128]");
        differences.put(
                KvCache.builder(LAYOUT).minimumPartialHit(3).seed(-1),
                "maximumBytes: has=1280 wanted=0, minimumPartialHit: has=1 wanted=3,"
                        + " seed: has=OptionalLong.empty wanted=OptionalLong[-1]");
        try (SharedKvCache share = share("x")) {
            differences.forEach((wanted, text) -> assertMisuse(
                    "shared cache is there with another configuration: name=x " + text,
                    () -> KvCaches.shared("x", wanted)));
            String message = Thrown.message(
                    IllegalStateException.class,
                    () -> KvCaches.shared("x", builder().clock(clock)));
            assertTrue(message.matches(".*: name=x clock: has=\\S*SystemNanoClock\\S* wanted=stopped"), message);
            use(share.cache());
        }
    }

    @Test
    void shouldCompareWhatBuildersWereTold() {
        NanoClock clock = () -> 0;
        KvCache.Builder first = builder().clock(clock).seed(3).evictionPolicy(EvictionPolicy.hde());
        KvCache.Builder same = KvCache.builder(KvLayout.builder()
                        .layers(1)
                        .kvHeads(1)
                        .headSize(8)
                        .type(KvType.F32)
                        .tokensPerBlock(2)
                        .build())
                .evictionPolicy(EvictionPolicy.hde())
                .seed(3)
                .clock(clock)
                .maximumBytes(1280)
                .minimumPartialHit(1);
        try (SharedKvCache one = KvCaches.shared("x", first);
                SharedKvCache other = KvCaches.shared("x", same)) {
            assertSame(one.cache(), other.cache());
            first.maximumBytes(2560); // the cache was built before
            KvCaches.shared("x", same).close();
        }
    }

    @Test
    void shouldCompareEveryOptionOfTheBuilder() {
        Map<String, Class<?>> options = new TreeMap<>();
        for (Field field : KvCache.Builder.class.getDeclaredFields()) {
            if (!Modifier.isStatic(field.getModifiers()) && !field.isSynthetic()) {
                options.put(field.getName(), field.getType());
            }
        }
        Map<String, Class<?>> compared = new TreeMap<>();
        for (RecordComponent component : KvCache.Configuration.class.getRecordComponents()) {
            compared.put(component.getName(), component.getType());
        }
        assertEquals(options, compared);
    }

    @Test
    void shouldGiveThePoliciesThatComeWithItOnceAndByName() {
        assertSame(EvictionPolicy.lru(), EvictionPolicy.lru());
        assertSame(EvictionPolicy.hde(), EvictionPolicy.hde());
        assertNotEquals(EvictionPolicy.lru(), EvictionPolicy.hde());
        assertEquals("lru()", EvictionPolicy.lru().toString());
        assertEquals("hde()", EvictionPolicy.hde().toString());
        assertEquals(LruPolicy.class, EvictionPolicy.lru().create(1).getClass());
        assertEquals(HdePolicy.class, EvictionPolicy.hde().create(1).getClass());
        assertNotSame(EvictionPolicy.lru().create(1), EvictionPolicy.lru().create(1));
    }

    // ---- threads ----

    /** Threads open and close shares at random; whoever has one can use the cache, and all have the same. */
    @Test
    void shouldServeManyThreadsThatOpenAndClose() throws Exception {
        int threads = 8;
        int phases = 200; // nobody has a share at the end of one
        Set<KvCache> seen = ConcurrentHashMap.newKeySet();
        CyclicBarrier end = new CyclicBarrier(threads, () -> {
            assertFalse(seen.isEmpty());
            seen.forEach(KvCachesTest::assertClosed);
            seen.clear();
        });
        try (ExecutorService executor = Executors.newFixedThreadPool(threads)) {
            List<Callable<Integer>> workers = IntStream.range(0, threads)
                    .mapToObj(worker -> (Callable<Integer>) () -> {
                        Random random = new Random(worker);
                        int wrong = 0;
                        for (int phase = 0; phase < phases; phase++) {
                            wrong += openAndClose(random, seen);
                            end.await();
                        }
                        return wrong;
                    })
                    .toList();
            for (Future<Integer> worker : executor.invokeAll(workers, 60, TimeUnit.SECONDS)) {
                assertEquals(0, worker.get());
            }
        }
    }

    /** Returns how often two shares at a time had different caches. */
    private static int openAndClose(Random random, Set<KvCache> seen) {
        List<SharedKvCache> shares = new ArrayList<>();
        List<SharedKvCache> closed = new ArrayList<>();
        int wrong = 0;
        for (int step = 0; step < 40; step++) {
            if (step == 0 || random.nextInt(3) == 0) {
                shares.add(share("x"));
                KvCache cache = shares.getLast().cache();
                use(cache);
                seen.add(cache);
                wrong += cache == shares.getFirst().cache() ? 0 : 1;
            } else if (!shares.isEmpty()) {
                closed.add(shares.remove(random.nextInt(shares.size())));
                closed.getLast().close();
            } else {
                closed.get(random.nextInt(closed.size())).close(); // again
            }
        }
        shares.forEach(SharedKvCache::close);
        return wrong;
    }

    @Test
    void shouldCountOneCloseWhenManyThreadsCloseOneShare() throws Exception {
        int threads = 4;
        CyclicBarrier together = new CyclicBarrier(threads);
        try (ExecutorService executor = Executors.newFixedThreadPool(threads)) {
            for (int round = 0; round < 500; round++) {
                SharedKvCache kept = share("x");
                SharedKvCache closing = share("x");
                Callable<Void> close = () -> {
                    together.await();
                    closing.close();
                    return null;
                };
                for (Future<Void> closer : executor.invokeAll(Collections.nCopies(threads, close))) {
                    closer.get();
                }
                use(kept.cache());
                KvCache cache = kept.cache();
                kept.close();
                assertClosed(cache);
            }
        }
    }

    @Test
    void shouldBuildOneCacheWhenManyThreadsOpenTheFirstShare() throws Exception {
        int threads = 4;
        CyclicBarrier together = new CyclicBarrier(threads);
        try (ExecutorService executor = Executors.newFixedThreadPool(threads)) {
            for (int round = 0; round < 500; round++) {
                Callable<SharedKvCache> open = () -> {
                    together.await();
                    return share("x");
                };
                List<SharedKvCache> shares = new ArrayList<>();
                for (Future<SharedKvCache> opener : executor.invokeAll(Collections.nCopies(threads, open))) {
                    shares.add(opener.get());
                }
                assertEquals(
                        1, shares.stream().map(SharedKvCache::cache).distinct().count());
                shares.forEach(SharedKvCache::close);
            }
        }
    }
}
