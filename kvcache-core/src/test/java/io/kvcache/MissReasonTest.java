package io.kvcache;

import static io.kvcache.Prompts.BLOCK_BYTES;
import static io.kvcache.Prompts.LAYOUT;
import static io.kvcache.Prompts.TOKENS_PER_BLOCK;
import static io.kvcache.Prompts.compute;
import static io.kvcache.Prompts.extend;
import static io.kvcache.Prompts.prompt;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** Why a look-up found no more, and the counts of all look-ups. */
final class MissReasonTest {
    private static final Duration MINUTE = Duration.ofMinutes(1);

    @RegisterExtension
    final Caches caches = new Caches();

    private long nanos;

    private KvCache cache(int blocks) {
        return caches.add(KvCache.builder(LAYOUT)
                .maximumBytes(blocks * BLOCK_BYTES)
                .clock(() -> nanos)
                .seed(1)
                .build());
    }

    private static void assertMiss(MissReason reason, int at, Namespace namespace, OpenOptions options, int... prompt) {
        try (Sequence sequence = namespace.open(prompt, options)) {
            assertEquals(reason, sequence.missReason());
            assertEquals(at, sequence.missedAt());
            assertEquals(at, sequence.cachedTokens());
            try (Sequence fork = sequence.fork()) {
                assertEquals(MissReason.NONE, fork.missReason());
            }
        }
    }

    private static void assertMiss(MissReason reason, int at, Namespace namespace, int... prompt) {
        assertMiss(reason, at, namespace, OpenOptions.DEFAULT, prompt);
    }

    // ---- reasons ----

    @Test
    void shouldMissNothingWhenAllButTheLastTokenIsFound() {
        Namespace namespace = cache(10).namespace("a");
        assertMiss(MissReason.NONE, 0, namespace, 1);
        compute(namespace, prompt(1, 2)).close();
        assertMiss(MissReason.NONE, 8, namespace, prompt(1, 2));
        assertMiss(MissReason.NONE, 7, namespace, Arrays.copyOf(prompt(1, 2), 8));
    }

    @Test
    void shouldNeverHaveSeenWhatWasNotPublished() {
        Namespace namespace = cache(10).namespace("a");
        assertMiss(MissReason.NEVER_SEEN, 0, namespace, prompt(1, 2));
        compute(namespace, OpenOptions.DEFAULT.withoutPublish(), prompt(1, 2)).close();
        assertMiss(MissReason.NEVER_SEEN, 0, namespace, prompt(1, 2));
        compute(namespace, prompt(1, 2)).close();
        int[] longer = Arrays.copyOf(prompt(1, 2), 20);
        assertMiss(MissReason.NEVER_SEEN, 8, namespace, longer);
        assertMiss(MissReason.NEVER_SEEN, 0, namespace, OpenOptions.DEFAULT.withIdentity("adapter", "x"), longer);
        assertMiss(MissReason.NEVER_SEEN, 0, namespace, prompt(2, 2));
    }

    @Test
    void shouldSayWhereAPromptDiverges() {
        Namespace namespace = cache(10).namespace("a");
        compute(namespace, prompt(1, 3)).close();
        int[] inABlock = prompt(1, 3);
        inABlock[6] = 5;
        assertMiss(MissReason.DIVERGED, 6, namespace, inABlock);
        int[] atItsStart = prompt(1, 3);
        atItsStart[4] = 5;
        assertMiss(MissReason.DIVERGED, 4, namespace, atItsStart);
        int[] nearTheEnd = Arrays.copyOf(prompt(1, 3), 8);
        nearTheEnd[5] = 5; // less than a block is left
        assertMiss(MissReason.DIVERGED, 5, namespace, Arrays.copyOf(nearTheEnd, 7));
    }

    @Test
    void shouldRememberWhatWasEvicted() {
        KvCache cache = cache(4);
        Namespace namespace = cache.namespace("a");
        compute(namespace, prompt(1, 3)).close();
        compute(cache.namespace("b"), prompt(2, 2)).close(); // leaves one block
        assertMiss(MissReason.EVICTED, 4, namespace, prompt(1, 3));
        int[] other = prompt(1, 3);
        other[4] = 5;
        assertMiss(MissReason.NEVER_SEEN, 4, namespace, other);
        assertMiss(MissReason.NEVER_SEEN, 0, cache.namespace("b"), prompt(1, 3));
    }

    @Test
    void shouldRememberWhatHasExpired() {
        KvCache cache = cache(10);
        Namespace namespace =
                cache.namespace("a", NamespaceOptions.DEFAULT.withRetention(Retention.DEFAULT.withTtl(MINUTE)));
        compute(namespace, prompt(1, 2)).close();
        nanos += MINUTE.toNanos();
        assertMiss(MissReason.EXPIRED, 0, namespace, prompt(1, 2)); // found out by this look-up
        compute(namespace, prompt(2, 2)).close();
        nanos += MINUTE.toNanos() + 2 * ExpiryWheel.TICK_NANOS;
        cache.maintain(100);
        assertMiss(MissReason.EXPIRED, 0, namespace, prompt(2, 2));
    }

    @Test
    void shouldRememberWhatWasErasedOrMadeVoid() {
        Namespace namespace = cache(10).namespace("a");
        compute(namespace, prompt(1, 2)).close();
        namespace.erase();
        assertMiss(MissReason.ERASED, 0, namespace, prompt(1, 2));
        compute(namespace, prompt(2, 2)).close();
        namespace.renew();
        assertMiss(MissReason.ERASED, 0, namespace, prompt(2, 2));
        compute(namespace, prompt(2, 2)).close();
        assertMiss(MissReason.NONE, 8, namespace, prompt(2, 2));
    }

    @Test
    void shouldRememberThePathAndTheLastCauseOnly() {
        KvCache cache = cache(3);
        Namespace namespace = cache.namespace("a");
        compute(namespace, prompt(1, 2)).close();
        namespace.erase();
        compute(namespace, prompt(1, 2)).close();
        compute(cache.namespace("b"), prompt(2, 2)).close();
        assertMiss(MissReason.EVICTED, 0, namespace, prompt(1, 2));
        int[] behindAnother = new int[9];
        System.arraycopy(prompt(1, 2), 4, behindAnother, 0, 5);
        assertMiss(MissReason.NEVER_SEEN, 0, namespace, behindAnother);
    }

    @Test
    void shouldSayThatAnotherSequenceIsComputing() {
        Namespace namespace = cache(10).namespace("a");
        compute(namespace, prompt(1, 1)).close();
        try (Sequence leader = namespace.open(prompt(1, 3))) {
            assertEquals(MissReason.NEVER_SEEN, leader.missReason());
            assertMiss(MissReason.IN_FLIGHT, 4, namespace, prompt(1, 3));
        }
        assertMiss(MissReason.NEVER_SEEN, 4, namespace, prompt(1, 3));
    }

    @Test
    void shouldSayThatMemoryIsGuaranteedToOthers() {
        KvCache cache = cache(10);
        Namespace namespace = cache.namespace("a");
        compute(namespace, prompt(1, 8)).close();
        cache.namespace("guaranteed", NamespaceOptions.DEFAULT.withFloorBytes(6 * BLOCK_BYTES));
        assertMiss(MissReason.NO_ROOM, 16, namespace, prompt(1, 8));
        try (Sequence greedy = namespace.open(prompt(1, 8))) {
            assertEquals(16, greedy.length());
            assertMiss(MissReason.NO_ROOM, 16, namespace, prompt(1, 8)); // what is held already costs nothing
        }
    }

    @Test
    void shouldSayThatNobodyLooked() {
        Namespace namespace = cache(10).namespace("a");
        compute(namespace, prompt(1, 2)).close();
        assertMiss(MissReason.DISABLED, 0, namespace, OpenOptions.DEFAULT.withoutLookup(), prompt(1, 2));
    }

    // ---- what is remembered is bounded ----

    @Test
    void shouldForgetTheOldestOfMany() {
        KvCache cache = cache(4);
        Namespace namespace = cache.namespace("a");
        int remembered = 1024;
        for (int seed = 0; seed <= remembered; seed++) {
            compute(namespace, prompt(seed, 1)).close();
            namespace.renew();
        }
        assertMiss(MissReason.NEVER_SEEN, 0, namespace, prompt(0, 1));
        assertMiss(MissReason.ERASED, 0, namespace, prompt(1, 1));
        compute(namespace, prompt(1, 1)).close(); // is not missing any more
        namespace.renew(); // and is the youngest of those that are
        compute(namespace, prompt(-1, 1)).close();
        namespace.renew();
        assertMiss(MissReason.NEVER_SEEN, 0, namespace, prompt(2, 1));
        assertMiss(MissReason.ERASED, 0, namespace, prompt(1, 1));
        assertMiss(MissReason.ERASED, 0, namespace, prompt(3, 1));
    }

    // ---- counts ----

    @Test
    void shouldAccountForEveryTokenOfEveryPrompt() {
        KvCache cache = cache(30);
        Namespace plain = cache.namespace("plain");
        Namespace guaranteed = cache.namespace("guaranteed", NamespaceOptions.DEFAULT.withFloorBytes(8 * BLOCK_BYTES));
        Namespace fading = cache.namespace(
                "fading", NamespaceOptions.DEFAULT.withRetention(Retention.DEFAULT.withTtl(Duration.ofSeconds(3))));
        Namespace[] namespaces = {plain, fading, guaranteed};
        Random random = new Random(5);
        Sequence[] open = new Sequence[7];
        for (int i = 0; i < 5_000; i++) {
            int[] prompt = random.ints(1 + random.nextInt(30), 0, 2).toArray();
            OpenOptions options = random.nextInt(20) == 0 ? OpenOptions.DEFAULT.withoutLookup() : OpenOptions.DEFAULT;
            Namespace namespace = namespaces[random.nextInt(20) == 0 ? 2 : random.nextInt(2)];
            int at = random.nextInt(open.length);
            if (open[at] != null) {
                open[at].close();
            }
            Traffic before = namespace.stats().traffic();
            open[at] = namespace.open(prompt, options);
            assertOneOpen(namespace.stats().traffic().minus(before), open[at], prompt.length);
            int wanted = random.nextInt(4) == 0 ? 0 : prompt.length;
            for (int position = open[at].length(); position < wanted && open[at].tryReserve(1); position++) {
                open[at].commit(prompt[position]);
            }
            nanos += random.nextInt(1 << 30);
            if (random.nextInt(300) == 0) {
                namespace.renew();
            }
        }
        for (Sequence sequence : open) {
            sequence.close();
        }
        assertIdentity(cache.stats().traffic());
        Traffic sum = Traffic.NONE;
        for (Namespace namespace : namespaces) {
            assertIdentity(namespace.stats().traffic());
            sum = sum.plus(namespace.stats().traffic());
        }
        assertEquals(sum, cache.stats().traffic());
        for (MissReason reason : MissReason.values()) {
            boolean never = reason == MissReason.NONE;
            assertEquals(never, sum.missedTokens(reason) == 0, reason + " " + sum);
        }
    }

    private static void assertOneOpen(Traffic difference, Sequence sequence, int promptTokens) {
        assertEquals(1, difference.opened());
        assertEquals(promptTokens, difference.promptTokens());
        assertEquals(sequence.cachedTokens(), difference.hitTokens());
        assertEquals(promptTokens - 1 - sequence.cachedTokens(), difference.missedTokens(sequence.missReason()));
        assertIdentity(difference);
    }

    private static void assertIdentity(Traffic traffic) {
        long missed = traffic.missedTokens().values().stream()
                .mapToLong(Long::longValue)
                .sum();
        assertEquals(traffic.promptTokens(), traffic.hitTokens() + missed + traffic.opened());
    }

    @Test
    void shouldCountWhatIsComputedAgainAndHowLongAfterItsEviction() {
        KvCache cache = cache(3);
        Namespace namespace = cache.namespace("a");
        nanos = 1000;
        compute(namespace, prompt(1, 2)).close();
        nanos = 5000;
        compute(namespace, prompt(2, 2)).close(); // evicts both
        assertEquals(0, namespace.stats().traffic().recomputedBlocks());
        nanos = 5700;
        compute(namespace, prompt(1, 2)).close();
        Traffic traffic = namespace.stats().traffic();
        assertEquals(2, traffic.recomputedBlocks());
        assertEquals(2 * 700, traffic.recomputedAfterNanos());
        assertEquals(6, traffic.publishedBlocks());
        assertEquals(4, traffic.evictedBlocks());
        namespace.renew();
        compute(namespace, prompt(1, 2)).close();
        assertEquals(2, namespace.stats().traffic().recomputedBlocks(), "they were not evicted");
        assertEquals(2, namespace.stats().traffic().erasedBlocks());
    }

    @Test
    void shouldSubtractSnapshots() {
        KvCache cache = cache(20);
        Namespace namespace = cache.namespace("a");
        compute(namespace, prompt(1, 2)).close();
        NamespaceStats before = namespace.stats();
        CacheStats all = cache.stats();
        try (Sequence sequence = compute(namespace, prompt(1, 3))) {
            assertTrue(namespace.put("chat", sequence, Retention.DEFAULT));
            NamespaceStats since = namespace.stats().minus(before);
            assertEquals(4, since.usedBlocks(), "what is held is not subtracted");
            assertEquals(3, since.sharedBlocks());
            assertEquals(1, since.sessions());
            assertEquals(1, since.traffic().opened());
            assertEquals(13, since.traffic().promptTokens());
            assertEquals(8, since.traffic().hitTokens());
            assertEquals(4, since.traffic().missedTokens(MissReason.NEVER_SEEN));
            assertEquals(1, since.traffic().publishedBlocks());
            assertEquals(8 / 13.0, since.traffic().hitRatio());
            CacheStats sinceAll = cache.stats().minus(all);
            assertEquals(since.traffic(), sinceAll.traffic());
            assertEquals(1, sinceAll.openSequences());
            assertEquals(1, sinceAll.privateBlocks());
            assertEquals(4 * BLOCK_BYTES, sinceAll.usedBytes());
        }
    }

    @Test
    void shouldSubtractEveryCount() {
        Traffic more = traffic(100);
        Traffic less = traffic(1);
        assertEquals(traffic(99), more.minus(less).plus(Traffic.NONE).minus(traffic(0)));
        assertEquals(more, more.minus(less).plus(less));
        assertEquals(Traffic.NONE, less.minus(less));
        assertEquals(0, Traffic.NONE.hitRatio());
        Map<MissReason, Long> missed = more.missedTokens();
        assertThrows(UnsupportedOperationException.class, () -> missed.put(MissReason.NONE, 1L));
        CacheStats stats = new CacheStats(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, more, List.of(tier(9, 100)));
        CacheStats earlier = new CacheStats(9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 5, 7, less, List.of(tier(5, 1)));
        assertEquals(
                new CacheStats(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 7, 6, traffic(99), List.of(tier(9, 99))),
                stats.minus(earlier));
    }

    /** A snapshot of a tier in which every count is another multiple of a factor. */
    private static TierStats tier(int state, long factor) {
        long[] n = LongStream.rangeClosed(1, 11).map(i -> i * factor).toArray();
        return new TierStats(
                "disk",
                state == 9,
                true,
                n[0],
                n[1],
                n[2],
                n[3],
                n[4],
                n[5],
                n[6],
                n[7],
                state,
                n[8],
                n[9],
                n[10],
                state,
                "reason " + state);
    }

    /** A snapshot in which every count is another multiple of a factor. */
    private static Traffic traffic(long factor) {
        Map<MissReason, Long> missed = new EnumMap<>(MissReason.class);
        for (MissReason reason : MissReason.values()) {
            missed.put(reason, factor * (100 + missed.size()));
        }
        long[] n = LongStream.rangeClosed(1, 19).map(i -> i * factor).toArray();
        return new Traffic(
                n[0], n[1], n[2], missed, n[3], n[4], n[5], n[6], n[7], n[8], n[9], n[10], n[11], n[12], n[13], n[14],
                n[15], n[16], n[17], n[18]);
    }

    @Test
    void shouldCountRefusals() {
        Namespace namespace = cache(2).namespace("a");
        try (Sequence sequence = namespace.open(prompt(1, 1))) {
            assertTrue(sequence.tryReserve(2 * TOKENS_PER_BLOCK));
            assertEquals(0, namespace.stats().traffic().refusals());
            sequence.tryReserve(2 * TOKENS_PER_BLOCK + 1);
            sequence.tryReserve(2 * TOKENS_PER_BLOCK + 1);
            assertEquals(2, namespace.stats().traffic().refusals());
            sequence.truncate(0);
            extend(sequence, 1, 2);
        }
    }
}
