package io.kvcache;

import static io.kvcache.Prompts.LAYOUT;
import static io.kvcache.Prompts.TOKENS_PER_BLOCK;
import static io.kvcache.Prompts.assertRows;
import static io.kvcache.Prompts.extend;
import static io.kvcache.Prompts.prompt;
import static io.kvcache.Thrown.assertMisuse;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** What several sequences need at once is computed once. */
final class SingleFlightTest {
    private static final Duration LONG = Duration.ofHours(1);

    @RegisterExtension
    final Caches caches = new Caches();

    /** Computes the next tokens of a prompt. */
    private static void next(Sequence sequence, int[] prompt, int tokens) {
        extend(sequence, Arrays.copyOfRange(prompt, sequence.length(), sequence.length() + tokens));
    }

    // ---- without blocking ----

    @Test
    void shouldAdoptBlockByBlockWhatAnotherSequencePublishes() {
        Namespace namespace = caches.of(LAYOUT, 20).namespace("a");
        int[] prompt = prompt(1, 3);
        try (Sequence leader = namespace.open(prompt);
                Sequence follower = namespace.open(prompt)) {
            assertFalse(leader.isFollowing());
            assertEquals(MissReason.NEVER_SEEN, leader.missReason());
            assertTrue(follower.isFollowing());
            assertEquals(MissReason.IN_FLIGHT, follower.missReason());
            assertEquals(0, follower.missedAt());
            next(leader, prompt, 3);
            assertEquals(0, follower.adopt(), "no block is full");
            next(leader, prompt, 1);
            assertEquals(4, follower.adopt());
            assertTrue(follower.isFollowing());
            next(leader, prompt, 8);
            assertEquals(8, follower.adopt());
            assertFalse(follower.isFollowing(), "the rest is less than a block");
            assertEquals(12, follower.cachedTokens());
            assertEquals(12, namespace.stats().traffic().adoptedTokens());
            assertRows(follower);
            assertArraysShared(leader, follower, 3);
        }
        assertEquals(3, namespace.stats().traffic().publishedBlocks());
    }

    private static void assertArraysShared(Sequence left, Sequence right, int blocks) {
        assertEquals(
                Arrays.toString(Arrays.copyOf(left.blockTable(), blocks)),
                Arrays.toString(Arrays.copyOf(right.blockTable(), blocks)));
    }

    @Test
    void shouldLeaveOneTokenOfThePromptToCompute() {
        Namespace namespace = caches.of(LAYOUT, 20).namespace("a");
        int[] prompt = IntStream.range(0, 8).toArray(); // two whole blocks
        try (Sequence leader = namespace.open(prompt);
                Sequence follower = namespace.open(prompt)) {
            next(leader, prompt, 8);
            assertEquals(7, follower.adopt());
            assertFalse(follower.isFollowing());
            next(follower, prompt, 1);
            assertRows(follower);
        }
        assertEquals(2, namespace.stats().traffic().publishedBlocks());
    }

    @Test
    void shouldTakeOverFromALeaderThatCloses() {
        Namespace namespace = caches.of(LAYOUT, 20).namespace("a");
        int[] prompt = prompt(1, 3);
        try (Sequence second = follow(namespace, prompt);
                Sequence third = namespace.open(prompt)) {
            assertFalse(second.isFollowing());
            assertTrue(third.isFollowing(), "exactly one takes over");
            assertEquals(4, second.adopt());
            next(second, prompt, 4);
            second.closeForGood();
            assertEquals(4, third.adopt());
            assertEquals(8, third.length());
            assertFalse(third.isFollowing());
        }
    }

    /** A sequence that followed one which has closed after its first block. */
    private static Sequence follow(Namespace namespace, int[] prompt) {
        try (Sequence leader = namespace.open(prompt)) {
            Sequence follower = namespace.open(prompt);
            next(leader, prompt, 5);
            return follower;
        }
    }

    @Test
    void shouldLetTheLongestWaitingTakeOverAlthoughOthersHaveAdoptedMore() {
        Namespace namespace = caches.of(LAYOUT, 20).namespace("a");
        int[] prompt = prompt(1, 4);
        Sequence leader = namespace.open(prompt);
        try (Sequence patient = namespace.open(prompt);
                Sequence eager = namespace.open(prompt)) {
            next(leader, prompt, 4);
            assertEquals(4, eager.adopt());
            next(leader, prompt, 4);
            assertEquals(4, eager.adopt());
            leader.close();
            assertTrue(eager.isFollowing());
            assertFalse(patient.isFollowing());
            assertEquals(8, patient.adopt());
        }
    }

    @Test
    void shouldHandOverWhenTheLeaderIsRefusedMemory() {
        Namespace namespace = caches.of(LAYOUT, 4).namespace("a");
        int[] prompt = prompt(1, 3);
        try (Sequence hog = namespace.open(prompt(2, 1));
                Sequence leader = namespace.open(prompt);
                Sequence follower = namespace.open(prompt)) {
            assertTrue(hog.tryReserve(3 * TOKENS_PER_BLOCK));
            next(leader, prompt, 4);
            assertTrue(follower.isFollowing());
            assertFalse(leader.tryReserve(1));
            assertFalse(follower.isFollowing());
            hog.truncate(0);
            assertTrue(leader.tryReserve(1));
            assertTrue(leader.isFollowing(), "it queues behind the one that took over");
        }
    }

    @Test
    void shouldNotFollowWhoGoesAnotherWayThanItsPrompt() {
        Namespace namespace = caches.of(LAYOUT, 20).namespace("a");
        int[] prompt = prompt(1, 3);
        try (Sequence leader = namespace.open(prompt);
                Sequence follower = namespace.open(prompt)) {
            next(leader, prompt, 4);
            extend(leader, 7, 7, 7, 7);
            assertFalse(follower.isFollowing());
            assertEquals(4, follower.adopt());
            assertEquals(0, leader.adopt());
        }
    }

    /** Others may have computed its next block meanwhile, which it has not taken up. */
    @Test
    void shouldForgetThePromptOfWhoGoesAnotherWayBehindOthers() {
        Namespace namespace = caches.of(LAYOUT, 20).namespace("a");
        int[] prompt = prompt(1, 3);
        int[] elsewhere = prompt.clone();
        Arrays.fill(elsewhere, 0, 4, 7);
        try (Sequence leader = namespace.open(prompt);
                Sequence blind = namespace.open(prompt, OpenOptions.DEFAULT.withoutLookup())) {
            next(blind, prompt, 4);
            try (Sequence follower = namespace.open(prompt)) {
                assertTrue(follower.isFollowing(), "the leader is going to compute the second block");
                extend(leader, 7, 7, 7, 7);
                assertFalse(follower.isFollowing());
            }
            blind.truncate(0);
            next(blind, elsewhere, 8);
            assertEquals(0, leader.adopt(), "though its own path goes on with tokens of the prompt");
            assertEquals(4, leader.length());
        }
    }

    @Test
    void shouldFollowOnlyAsFarAsThePromptsGoTogether() {
        Namespace namespace = caches.of(LAYOUT, 20).namespace("a");
        int[] prompt = prompt(1, 4);
        int[] other = prompt.clone();
        Arrays.fill(other, 8, other.length, 5);
        try (Sequence leader = namespace.open(prompt);
                Sequence follower = namespace.open(other)) {
            next(leader, prompt, 4);
            assertTrue(follower.isFollowing());
            next(leader, prompt, 4);
            assertFalse(follower.isFollowing());
            assertEquals(8, follower.adopt());
            next(follower, other, 4);
        }
    }

    @Test
    void shouldReplaceItsOwnStartOfABlockByThePublishedOne() {
        Namespace namespace = caches.of(LAYOUT, 20).namespace("a");
        int[] prompt = prompt(1, 2);
        try (Sequence leader = namespace.open(prompt);
                Sequence follower = namespace.open(prompt)) {
            next(follower, prompt, 2);
            next(leader, prompt, 4);
            assertEquals(2, follower.adopt());
            assertArraysShared(leader, follower, 1);
            assertRows(follower);
        }
    }

    @Test
    void shouldStartAgainWhenThePrefixIsErased() {
        Namespace namespace = caches.of(LAYOUT, 20).namespace("a");
        int[] prompt = prompt(1, 3);
        try (Sequence leader = namespace.open(prompt);
                Sequence follower = namespace.open(prompt)) {
            next(leader, prompt, 5);
            namespace.renew();
            assertEquals(0, follower.adopt());
            assertFalse(follower.isFollowing(), "the leader will publish nothing any more");
        }
    }

    @Test
    void shouldFollowNobodyWithoutLookUpOrPublishing() {
        Namespace namespace = caches.of(LAYOUT, 20).namespace("a");
        int[] prompt = prompt(1, 3);
        try (Sequence secretive = namespace.open(prompt, OpenOptions.DEFAULT.withoutPublish());
                Sequence leader = namespace.open(prompt);
                Sequence blind = namespace.open(prompt, OpenOptions.DEFAULT.withoutLookup())) {
            assertFalse(leader.isFollowing());
            assertFalse(secretive.isFollowing());
            assertFalse(blind.isFollowing());
            assertEquals(MissReason.DISABLED, blind.missReason());
            next(leader, prompt, 4);
            assertEquals(0, blind.adopt());
        }
    }

    @Test
    void shouldLeadWhoFindsThatABlockHasExpired() {
        long[] nanos = {0};
        KvCache cache = caches.add(KvCache.builder(LAYOUT)
                .maximumBytes(20 * LAYOUT.blockBytes())
                .clock(() -> nanos[0])
                .build());
        Namespace namespace = cache.namespace(
                "a", NamespaceOptions.DEFAULT.withRetention(Retention.DEFAULT.withTtl(Duration.ofSeconds(1))));
        int[] prompt = prompt(1, 3);
        try (Sequence first = namespace.open(prompt)) {
            next(first, prompt, 13);
        }
        nanos[0] = Duration.ofSeconds(2).toNanos();
        try (Sequence leader = namespace.open(prompt);
                Sequence follower = namespace.open(prompt)) {
            assertEquals(MissReason.EXPIRED, leader.missReason());
            assertFalse(leader.isFollowing());
            assertTrue(follower.isFollowing());
        }
    }

    @Test
    void shouldNotAdoptWhileSlotsAreReserved() {
        Namespace namespace = caches.of(LAYOUT, 20).namespace("a");
        try (Sequence sequence = namespace.open(prompt(1, 3))) {
            assertTrue(sequence.tryReserve(2));
            assertMisuse("cannot adopt while slots are reserved: reserved=2 length=0", sequence::adopt);
        }
    }

    // ---- with threads of their own ----

    /** What the computing of one round has cost: how often each block was computed in full. */
    private static final class Work {
        final ConcurrentHashMap<Integer, AtomicInteger> blocks = new ConcurrentHashMap<>();
        final AtomicInteger tokens = new AtomicInteger();
        final AtomicInteger served = new AtomicInteger();
    }

    /** Thrown by the one that is killed. */
    private static final class Killed extends RuntimeException {
        private static final long serialVersionUID = 1L;
    }

    @Test
    void shouldComputeAPrefixOnceForManyThreadsWithLeadersKilled() throws Exception {
        int rounds = 200;
        int callers = 64;
        KvLayout layout = KvLayout.builder()
                .layers(1)
                .kvHeads(1)
                .headSize(2)
                .type(KvType.F32)
                .tokensPerBlock(16)
                .build();
        KvCache cache = caches.add(
                KvCache.builder(layout).maximumBytes(1000 * layout.blockBytes()).build());
        Namespace namespace = cache.namespace("a");
        Random random = new Random(42);
        for (int round = 0; round < rounds; round++) {
            int start = round * 10_000;
            int[] prompt = IntStream.range(start, start + 2_000).toArray();
            Work work = new Work();
            int killedAt = random.nextInt(prompt.length / 16);
            AtomicInteger toKill = new AtomicInteger(1);
            long publishedBefore = namespace.stats().traffic().publishedBlocks();
            try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
                List<Future<?>> futures = new ArrayList<>();
                for (int i = 0; i < callers; i++) {
                    futures.add(threads.submit(() -> call(namespace, prompt, work, killedAt, toKill)));
                }
                int killed = 0;
                for (Future<?> future : futures) {
                    killed += isKilled(future) ? 1 : 0;
                }
                assertEquals(1, killed);
            }
            assertEquals(callers - 1, work.served.get());
            assertEquals(
                    prompt.length / 16,
                    namespace.stats().traffic().publishedBlocks() - publishedBefore,
                    "published once");
            work.blocks.forEach((block, times) -> assertEquals(1, times.get(), "computed once: block " + block));
            int most = prompt.length + 15 + callers;
            assertTrue(work.tokens.get() <= most, "tokens computed: " + work.tokens + " of at most " + most);
            cache.verify();
        }
    }

    private static boolean isKilled(Future<?> future) throws InterruptedException, ExecutionException {
        try {
            future.get();
            return false;
        } catch (ExecutionException e) {
            if (e.getCause() instanceof Killed) {
                return true;
            }
            throw e;
        }
    }

    @SuppressWarnings("ThreadPriorityCheck") // not relied upon: it only mixes things up
    private static Void call(Namespace namespace, int[] prompt, Work work, int killedAt, AtomicInteger toKill)
            throws InterruptedException {
        try (Sequence sequence = namespace.open(prompt, OpenOptions.DEFAULT, LONG)) {
            if (sequence == null) {
                throw new AssertionError("nothing within an hour");
            }
            while (sequence.length() < prompt.length) {
                int position = sequence.length();
                float[] row = {prompt[position], position};
                sequence.write(0, position, row, row);
                work.tokens.incrementAndGet();
                boolean full = position % 16 == 15;
                if (full && position / 16 == killedAt && toKill.getAndDecrement() > 0) {
                    throw new Killed();
                }
                sequence.commit(prompt[position]);
                if (full && position < prompt.length - 1) {
                    work.blocks
                            .computeIfAbsent(position / 16, block -> new AtomicInteger())
                            .incrementAndGet();
                }
                if (position % 64 == 0) {
                    Thread.yield(); // lets others run in between
                }
            }
            assertRows(sequence);
            work.served.incrementAndGet();
        }
        return null;
    }

    @Test
    void shouldOpenWithWhatThereIsAtTheDeadline() throws Exception {
        Namespace namespace = caches.of(LAYOUT, 20).namespace("a");
        int[] prompt = prompt(1, 3);
        try (Sequence leader = namespace.open(prompt)) {
            next(leader, prompt, 5);
            try (Sequence impatient = namespace.open(prompt, OpenOptions.DEFAULT, Duration.ZERO)) {
                assertNotNull(impatient);
                assertEquals(4, impatient.cachedTokens());
                assertEquals(MissReason.IN_FLIGHT, impatient.missReason());
                assertEquals(prompt.length - 4, impatient.reserved());
            }
        }
    }
}
