package io.kvcache;

import static io.kvcache.Prompts.BLOCK_BYTES;
import static io.kvcache.Prompts.LAYOUT;
import static io.kvcache.Prompts.TOKENS_PER_BLOCK;
import static io.kvcache.Prompts.compute;
import static io.kvcache.Prompts.extend;
import static io.kvcache.Prompts.prompt;
import static io.kvcache.Thrown.assertMisuse;
import static io.kvcache.Thrown.assertRefused;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.LongSummaryStatistics;
import java.util.Objects;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;

/** Slots for sequences and room for their prompts: waited for in order, with a deadline, holding nothing. */
@Timeout(120)
final class AdmissionTest {
    private static final Duration HOUR = Duration.ofHours(1);

    @RegisterExtension
    final Caches caches = new Caches();

    private final AtomicLong nanos = new AtomicLong();

    private KvCache cache(int blocks, int sequences) {
        return caches.add(KvCache.builder(LAYOUT)
                .maximumBytes(blocks * BLOCK_BYTES)
                .maximumSequences(sequences)
                .clock(nanos::get)
                .build());
    }

    /** Starts a caller that waits, and returns when it is queued. */
    private static CompletableFuture<@Nullable Sequence> waiting(
            KvCache cache, Namespace namespace, OpenOptions options, int... prompt) {
        int before = cache.stats().waitingOpens();
        CompletableFuture<@Nullable Sequence> future = new CompletableFuture<>();
        Thread.startVirtualThread(() -> {
            try {
                future.complete(namespace.open(prompt, options, HOUR));
            } catch (InterruptedException | RuntimeException e) {
                future.completeExceptionally(e);
            }
        });
        while (cache.stats().waitingOpens() == before) {
            Thread.onSpinWait();
        }
        return future;
    }

    private static CompletableFuture<@Nullable Sequence> waiting(KvCache cache, Namespace namespace, int... prompt) {
        return waiting(cache, namespace, OpenOptions.DEFAULT, prompt);
    }

    private static Sequence opened(Future<@Nullable Sequence> future) throws InterruptedException, ExecutionException {
        return Objects.requireNonNull(future.get());
    }

    // ---- slots ----

    @Test
    void shouldRefuseWhoDoesNotWaitWhenAllSlotsAreTaken() throws InterruptedException {
        KvCache cache = cache(10, 2);
        Namespace namespace = cache.namespace("a");
        try (Sequence first = namespace.open(prompt(1, 1));
                Sequence second = first.fork()) {
            String message = "no slot for another sequence, open with a deadline to wait: openSequences=2"
                    + " maximumSequences=2 waitingOpens=0";
            assertMisuse(message, () -> namespace.open(prompt(2, 1)));
            assertMisuse(message, second::fork);
            assertNull(namespace.open(prompt(2, 1), OpenOptions.DEFAULT, Duration.ZERO));
            assertEquals(1, namespace.stats().traffic().timeouts());
        }
        compute(namespace, prompt(2, 1)).close();
    }

    @Test
    void shouldServeWaitersInOrderOfArrival() throws Exception {
        KvCache cache = cache(10, 1);
        Namespace namespace = cache.namespace("a");
        Sequence running = namespace.open(prompt(0, 1));
        List<CompletableFuture<@Nullable Sequence>> waiters = new ArrayList<>();
        for (int i = 1; i <= 5; i++) {
            waiters.add(waiting(cache, namespace, prompt(i, 1)));
        }
        for (CompletableFuture<@Nullable Sequence> waiter : waiters) {
            assertEquals(1, cache.stats().openSequences());
            running.close();
            running = opened(waiter);
        }
        running.close();
        assertEquals(5, namespace.stats().traffic().waits());
        assertEquals(0, cache.stats().waitingOpens());
    }

    @Test
    void shouldGiveUpAtTheDeadlineByTheClockOfTheCache() throws Exception {
        KvCache cache = cache(10, 1);
        Namespace namespace = cache.namespace("a");
        try (Sequence running = namespace.open(prompt(0, 1))) {
            Future<@Nullable Sequence> waiter = waiting(cache, namespace, prompt(1, 1));
            nanos.set(HOUR.toNanos() - 1);
            cache.maintain(1);
            assertEquals(1, cache.stats().waitingOpens());
            nanos.set(HOUR.toNanos());
            cache.maintain(1);
            assertNull(waiter.get());
            assertTrue(running.tryReserve(1));
        }
        Traffic traffic = namespace.stats().traffic();
        assertEquals(1, traffic.waits());
        assertEquals(HOUR.toNanos(), traffic.waitedNanos());
        assertEquals(1, traffic.timeouts());
    }

    @Test
    void shouldLetTheNextGoWhenTheFirstGivesUp() throws Exception {
        KvCache cache = cache(10, 2);
        Namespace namespace = cache.namespace("a");
        try (Sequence running = namespace.open(prompt(0, 1))) {
            assertTrue(running.tryReserve(5 * TOKENS_PER_BLOCK));
            Future<@Nullable Sequence> large = waiting(cache, namespace, prompt(1, 6));
            nanos.set(1);
            Future<@Nullable Sequence> small = waiting(cache, namespace, prompt(2, 1));
            assertEquals(2, cache.stats().waitingOpens(), "nobody overtakes");
            nanos.set(HOUR.toNanos());
            cache.maintain(1);
            assertNull(large.get());
            opened(small).close();
        }
    }

    @Test
    void shouldTellWaitersThatTheCacheIsClosed() {
        KvCache cache = cache(10, 1);
        Namespace namespace = cache.namespace("a");
        Sequence running = namespace.open(prompt(0, 1));
        Future<@Nullable Sequence> waiter = waiting(cache, namespace, prompt(1, 1));
        assertThrows(IllegalStateException.class, cache::close);
        assertMisuse("sequence is closed: id=1 namespace=a", running::length);
        ExecutionException e = assertThrows(ExecutionException.class, waiter::get);
        assertEquals(
                "cache is closed",
                assertInstanceOf(IllegalStateException.class, e.getCause()).getMessage());
    }

    @Test
    void shouldEndAWaitByAnInterrupt() throws InterruptedException {
        KvCache cache = cache(10, 1);
        Namespace namespace = cache.namespace("a");
        try (Sequence running = namespace.open(prompt(0, 1))) {
            Thread.currentThread().interrupt();
            assertThrows(InterruptedException.class, () -> namespace.open(prompt(1, 1), OpenOptions.DEFAULT, HOUR));
            assertEquals(0, cache.stats().waitingOpens());
            assertTrue(running.tryReserve(1));
        }
    }

    // ---- room ----

    @Test
    void shouldReserveTheRestOfThePromptAndRoomBehindIt() throws InterruptedException {
        KvCache cache = cache(10, 10);
        Namespace namespace = cache.namespace("a");
        compute(namespace, prompt(1, 2)).close();
        int[] longer = Arrays.copyOf(prompt(1, 2), 15);
        try (Sequence sequence = namespace.open(longer, OpenOptions.DEFAULT.withRoom(6), Duration.ZERO)) {
            assertNotNull(sequence);
            assertEquals(8, sequence.cachedTokens());
            assertEquals(15 + 6 - 8, sequence.reserved());
        }
    }

    @Test
    void shouldWaitForRoomAndHoldNothingMeanwhile() throws Exception {
        KvCache cache = cache(6, 10);
        Namespace namespace = cache.namespace("a");
        compute(namespace, prompt(1, 2)).close();
        try (Sequence running = namespace.open(prompt(2, 1))) {
            assertTrue(running.tryReserve(4 * TOKENS_PER_BLOCK));
            Future<@Nullable Sequence> waiter = waiting(cache, namespace, Arrays.copyOf(prompt(1, 2), 20));
            assertEquals(4, cache.stats().usedBlocks());
            assertTrue(running.tryReserve(5 * TOKENS_PER_BLOCK), "who runs comes before those who wait");
            running.truncate(0);
            try (Sequence sequence = opened(waiter)) {
                assertTrue(sequence.cachedTokens() >= 4, "what was still cached");
                assertEquals(20, sequence.length() + sequence.reserved());
            }
        }
    }

    @Test
    void shouldDoWithoutAPartialHitThatCannotBeKeptBesideItsCopy() throws InterruptedException {
        KvCache cache = cache(2, 10);
        Namespace namespace = cache.namespace("a");
        compute(namespace, 1, 2, 3, 4, 5, 6, 7, 8).close();
        int[] prompt = {1, 2, 3, 4, 5, 6, 9, 9};
        try (Sequence sequence = namespace.open(prompt, OpenOptions.DEFAULT, Duration.ZERO)) {
            assertNotNull(sequence);
            assertEquals(4, sequence.cachedTokens());
            assertEquals(4, sequence.reserved());
        }
    }

    @Test
    void shouldRefuseAtOnceWhatCanNeverFit() {
        KvCache cache = cache(10, 10);
        cache.namespace("floor", NamespaceOptions.DEFAULT.withFloorBytes(4 * BLOCK_BYTES));
        Namespace namespace = cache.namespace("a");
        assertRefused(
                "prompt and room can never fit: promptTokens=21 room=4 tokensPerBlock=4 mostBlocks=6",
                () -> namespace.open(prompt(1, 5), OpenOptions.DEFAULT.withRoom(4), HOUR));
        assertRefused(
                "must not be negative: patience=PT-1S",
                () -> namespace.open(prompt(1, 5), OpenOptions.DEFAULT, Duration.ofSeconds(-1)));
    }

    @Test
    void shouldLetOthersPassWhoWaitsForItsOwnCeiling() throws Exception {
        KvCache cache = cache(10, 10);
        Namespace bounded = cache.namespace("b", NamespaceOptions.DEFAULT.withCeilingBytes(3 * BLOCK_BYTES));
        Namespace free = cache.namespace("f");
        try (Sequence running = bounded.open(prompt(1, 2))) {
            extend(running, prompt(1, 2));
            Future<@Nullable Sequence> atCeiling = waiting(cache, bounded, prompt(2, 2));
            try (Sequence hog = free.open(prompt(3, 1))) {
                assertTrue(hog.tryReserve(7 * TOKENS_PER_BLOCK));
                Future<@Nullable Sequence> behind = waiting(cache, free, prompt(4, 1));
                hog.truncate(0);
                opened(behind).close();
            }
            assertEquals(1, cache.stats().waitingOpens());
            try (Sequence impatient = free.open(prompt(5, 1), OpenOptions.DEFAULT, Duration.ZERO)) {
                assertNotNull(impatient, "it overtakes nobody who competes with it");
            }
            assertNull(bounded.open(prompt(5, 1), OpenOptions.DEFAULT, Duration.ZERO));
            running.truncate(0); // what it held is cached, and its own namespace may evict it
            opened(atCeiling).close();
        }
    }

    @Test
    void shouldLetPassWhoAsksForNoMoreThanItsFloor() throws Exception {
        KvCache cache = cache(10, 10);
        Namespace guaranteed = cache.namespace("g", NamespaceOptions.DEFAULT.withFloorBytes(3 * BLOCK_BYTES));
        Namespace plain = cache.namespace("p");
        try (Sequence hog = plain.open(prompt(1, 1))) {
            assertTrue(hog.tryReserve(6 * TOKENS_PER_BLOCK));
            Future<@Nullable Sequence> waiter = waiting(cache, plain, prompt(2, 2));
            try (Sequence served = guaranteed.open(prompt(3, 2), OpenOptions.DEFAULT, HOUR)) {
                assertNotNull(served);
                assertEquals(9, served.reserved());
            }
            hog.truncate(0);
            opened(waiter).close();
        }
    }

    // ---- asking first ----

    @Test
    void shouldKnowWhetherAPromptCouldOpenNow() throws InterruptedException {
        KvCache cache = cache(6, 3);
        Namespace namespace = cache.namespace("a");
        OpenOptions options = OpenOptions.DEFAULT.withRoom(3);
        try (Sequence running = compute(namespace, prompt(1, 2))) { // 3 blocks
            assertTrue(namespace.hasRoom(prompt(2, 2), options));
            assertFalse(namespace.hasRoom(prompt(2, 3), options), "4 blocks, and there are 3");
            assertTrue(namespace.hasRoom(Arrays.copyOf(prompt(1, 2), 17), options), "2 of 5 are there");
            assertFalse(namespace.hasRoom(Arrays.copyOf(prompt(1, 2), 17), options.withoutLookup()));
            assertFalse(namespace.hasRoom(prompt(2, 2), options.withRoom(4)));
            Sequence second = running.fork();
            Sequence third = running.fork();
            assertFalse(namespace.hasRoom(prompt(2, 2), options), "no slot");
            third.close();
            second.close();
            assertEquals(0, namespace.stats().traffic().timeouts());
        }
    }

    @Test
    void shouldKnowWhatCouldNeverOpen() {
        KvCache cache = cache(10, 10);
        cache.namespace("floor", NamespaceOptions.DEFAULT.withFloorBytes(4 * BLOCK_BYTES));
        Namespace bounded = cache.namespace("b", NamespaceOptions.DEFAULT.withCeilingBytes(3 * BLOCK_BYTES));
        Namespace plain = cache.namespace("p");
        OpenOptions options = OpenOptions.DEFAULT;
        assertTrue(plain.hasRoom(prompt(1, 5), options.withRoom(3)));
        assertFalse(plain.hasRoom(prompt(1, 5), options.withRoom(4)));
        assertFalse(plain.hasRoom(prompt(1, 5), options.withRoom(Integer.MAX_VALUE)));
        assertTrue(bounded.hasRoom(prompt(1, 2), options.withRoom(3)));
        assertFalse(bounded.hasRoom(prompt(1, 2), options.withRoom(4)));
        assertRefused("prompt has no token: length=0", () -> plain.hasRoom(new int[0], options));
    }

    @Test
    void shouldNotSayThatThereIsRoomBeforeWhoeverWaits() throws Exception {
        KvCache cache = cache(10, 10);
        Namespace guaranteed = cache.namespace("g", NamespaceOptions.DEFAULT.withFloorBytes(3 * BLOCK_BYTES));
        Namespace plain = cache.namespace("p");
        try (Sequence hog = plain.open(prompt(1, 1))) {
            assertTrue(hog.tryReserve(5 * TOKENS_PER_BLOCK));
            assertTrue(plain.hasRoom(prompt(3, 1), OpenOptions.DEFAULT));
            Future<@Nullable Sequence> waiter = waiting(cache, plain, prompt(2, 2));
            assertFalse(plain.hasRoom(prompt(3, 1), OpenOptions.DEFAULT));
            assertTrue(guaranteed.hasRoom(prompt(3, 2), OpenOptions.DEFAULT));
            assertEquals(1, cache.stats().waitingOpens());
            hog.truncate(0);
            opened(waiter).close();
        }
    }

    @Test
    void shouldRefuseToAnswerWhenTheCacheIsClosed() {
        KvCache cache = cache(10, 10);
        Namespace namespace = cache.namespace("a");
        cache.close();
        assertMisuse("cache is closed", () -> namespace.hasRoom(new int[1], OpenOptions.DEFAULT));
    }

    /** Opens, extends, stores and closes at random, with a floor, a ceiling and few slots. */
    @Test
    void shouldAgreeWithAnOpenThatDoesNotWait() throws InterruptedException {
        Random random = new Random(7);
        KvCache cache = cache(20, 5);
        List<Namespace> namespaces = List.of(
                cache.namespace("f", NamespaceOptions.DEFAULT.withFloorBytes(5 * BLOCK_BYTES)),
                cache.namespace("c", NamespaceOptions.DEFAULT.withCeilingBytes(8 * BLOCK_BYTES)),
                cache.namespace("p"));
        List<Sequence> open = new ArrayList<>();
        int opened = 0;
        int refused = 0;
        for (int step = 0; step < 20_000; step++) {
            Namespace namespace = namespaces.get(random.nextInt(3));
            int[] prompt = Arrays.copyOf(prompt(random.nextInt(4), 4), 1 + random.nextInt(16));
            prompt[random.nextInt(prompt.length)] += random.nextInt(2) * 100;
            OpenOptions options = options(random);
            CacheStats before = cache.stats();
            boolean hasRoom = namespace.hasRoom(prompt, options);
            assertEquals(before, cache.stats());
            Sequence sequence = namespace.mostBlocks() < LAYOUT.blocksFor(prompt.length + options.room())
                    ? null
                    : namespace.open(prompt, options, Duration.ZERO);
            assertEquals(sequence != null, hasRoom);
            if (sequence == null) {
                refused++;
            } else {
                opened++;
                sequence.commit(prompt, sequence.length(), prompt.length - sequence.length());
                open.add(sequence);
            }
            if (sequence != null && random.nextInt(4) == 0) {
                sequence.truncate(sequence.length());
                assertTrue(namespace.put("key " + random.nextInt(3), sequence, Retention.DEFAULT));
            }
            while (open.size() > random.nextInt(7)) {
                open.remove(random.nextInt(open.size())).close();
            }
            cache.verify();
        }
        assertTrue(opened > 2000 && refused > 2000, opened + " " + refused);
        open.forEach(Sequence::close);
    }

    private static OpenOptions options(Random random) {
        OpenOptions options = OpenOptions.DEFAULT.withRoom(random.nextInt(20));
        return switch (random.nextInt(6)) {
            case 0 -> options.withoutLookup();
            case 1 -> options.withoutPublish();
            case 2 -> options.withIdentity("adapter", "x");
            default -> options;
        };
    }

    // ---- batches ----

    @Test
    void shouldReserveForAllOfABatchOrForNone() {
        KvCache cache = cache(6, 10);
        Namespace namespace = cache.namespace("a");
        try (Sequence first = namespace.open(prompt(1, 1));
                Sequence second = namespace.open(prompt(2, 1));
                Sequence third = namespace.open(prompt(3, 1))) {
            List<Sequence> batch = List.of(first, second, third);
            assertFalse(cache.tryReserve(batch, new int[] {8, 12, 8}));
            batch.forEach(sequence -> assertEquals(0, sequence.blocks()));
            assertTrue(cache.tryReserve(batch, new int[] {8, 12, 4}));
            assertEquals(List.of(2, 3, 1), batch.stream().map(Sequence::blocks).toList());
            assertTrue(cache.tryReserve(batch, new int[] {1, 0, 4}), "what is reserved counts");
            assertEquals(
                    List.of(8, 12, 4), batch.stream().map(Sequence::reserved).toList());
            assertFalse(cache.tryReserve(batch, new int[] {8, 12, 5}));
        }
    }

    @Test
    void shouldHandOverWhatItLedWhenABatchIsRefused() {
        KvCache cache = cache(3, 10);
        Namespace namespace = cache.namespace("a");
        int[] prompt = prompt(1, 2);
        try (Sequence leader = namespace.open(prompt);
                Sequence follower = namespace.open(prompt)) {
            assertTrue(follower.isFollowing());
            assertFalse(cache.tryReserve(List.of(leader), new int[] {4 * TOKENS_PER_BLOCK}));
            assertFalse(follower.isFollowing());
        }
    }

    @Test
    void shouldCopyNothingForAMemberOfABatchThatAsksForNothing() {
        KvCache cache = cache(2, 10);
        try (Sequence sequence = cache.namespace("a").open(prompt(1, 1))) {
            extend(sequence, 1, 2, 3, 4, 5);
            try (Sequence fork = sequence.fork()) {
                assertTrue(cache.tryReserve(List.of(sequence, fork), new int[] {0, 0}));
                assertFalse(cache.tryReserve(List.of(sequence, fork), new int[] {0, 1}));
            }
        }
    }

    @Test
    void shouldCountSharedTailsAndCeilingsInABatch() {
        KvCache cache = cache(8, 10);
        Namespace bounded = cache.namespace("b", NamespaceOptions.DEFAULT.withCeilingBytes(3 * BLOCK_BYTES));
        Namespace plain = cache.namespace("p");
        try (Sequence first = bounded.open(prompt(1, 1))) {
            extend(first, 1, 2, 3, 4, 5);
            try (Sequence second = first.fork();
                    Sequence third = plain.open(prompt(3, 1))) {
                List<Sequence> batch = List.of(first, second, third);
                assertFalse(cache.tryReserve(batch, new int[] {1, 1, 1}), "each of two forks would copy the tail");
                assertEquals(0, third.blocks());
                assertTrue(cache.tryReserve(List.of(second, third), new int[] {1, 1}));
                assertEquals(5, second.length());
                assertFalse(first.blockTable()[1] == second.blockTable()[1]);
            }
        }
    }

    @Test
    void shouldRefuseBatchesThatMakeNoSense() {
        KvCache cache = cache(8, 10);
        KvCache other = cache(8, 10);
        try (Sequence sequence = cache.namespace("a").open(prompt(1, 1));
                Sequence foreign = other.namespace("a").open(prompt(1, 1))) {
            assertRefused(
                    "a count for each sequence: sequences=2 tokens=1",
                    () -> cache.tryReserve(List.of(sequence, sequence), new int[] {1}));
            assertRefused(
                    "a sequence is in the batch twice: index=1 batch=2",
                    () -> cache.tryReserve(List.of(sequence, sequence), new int[] {1, 2}));
            assertRefused(
                    "sequence belongs to another cache: " + foreign,
                    () -> cache.tryReserve(List.of(foreign), new int[] {1}));
            assertEquals(0, sequence.reserved());
            assertTrue(sequence.tryReserve(1));
        }
    }

    // ---- a crowd ----

    /** Serves callers with room for 50 of them for ten seconds: nobody is forgotten, and nobody comes off badly. */
    @Test
    void shouldServeACrowdWithRoomForAFew() throws Exception {
        int callers = 1000;
        int room = 50;
        int blocksEach = 4;
        KvCache cache = caches.add(KvCache.builder(LAYOUT)
                .maximumBytes((long) room * blocksEach * BLOCK_BYTES)
                .maximumSequences(2 * room)
                .build());
        Namespace namespace = cache.namespace("a");
        AtomicLongArray served = new AtomicLongArray(callers);
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(10);
        try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
            List<Future<?>> futures = new ArrayList<>();
            for (int i = 0; i < callers; i++) {
                int caller = i;
                futures.add(threads.submit(() -> {
                    do {
                        serve(namespace, caller, blocksEach);
                        served.incrementAndGet(caller);
                    } while (System.nanoTime() < end);
                    return null;
                }));
            }
            for (Future<?> future : futures) {
                future.get();
            }
        }
        LongSummaryStatistics each =
                IntStream.range(0, callers).mapToLong(served::get).summaryStatistics();
        // Others who come first while one waits: those before it in the queue, so all get about as much.
        assertTrue(each.getMin() >= each.getAverage() / 4 - 2, "served each: " + each);
        assertEquals(each.getSum(), namespace.stats().traffic().opened());
        assertEquals(0, cache.stats().waitingOpens());
        assertEquals(0, cache.stats().openSequences());
        assertEquals(0, cache.stats().usedBlocks());
    }

    /** Prompts of some callers begin alike, so that some follow others. */
    @SuppressWarnings("ThreadPriorityCheck") // not relied upon: it only mixes things up
    private static void serve(Namespace namespace, int seed, int blocks) throws InterruptedException {
        int[] prompt = prompt(seed % 100, blocks - 1);
        prompt[prompt.length - 1] = ThreadLocalRandom.current().nextInt();
        try (Sequence sequence = namespace.open(prompt, OpenOptions.DEFAULT.withRoom(3), HOUR)) {
            if (sequence == null) {
                throw new AssertionError("nothing within an hour");
            }
            int from = sequence.length();
            for (int position = from; position < prompt.length; position++) {
                float[] row = {prompt[position], position};
                sequence.write(0, position, row, row);
                sequence.commit(prompt[position]);
                if (position % TOKENS_PER_BLOCK == 0) {
                    Thread.yield();
                }
            }
        }
    }
}
