package io.kvcache;

import static io.kvcache.Prompts.BLOCK_BYTES;
import static io.kvcache.Prompts.LAYOUT;
import static io.kvcache.Prompts.assertRows;
import static io.kvcache.Prompts.compute;
import static io.kvcache.Prompts.extend;
import static io.kvcache.Prompts.prompt;
import static io.kvcache.Thrown.assertRefused;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.RetentionOutcome.Status;
import java.time.Duration;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

final class RetentionTest {
    private static final Duration MINUTE = Duration.ofMinutes(1);

    @RegisterExtension
    final Caches caches = new Caches();

    private long nanos = Long.MAX_VALUE - Duration.ofSeconds(30).toNanos(); // the clock's origin is anything

    private KvCache cache(int blocks) {
        return caches.add(KvCache.builder(LAYOUT)
                .maximumBytes(blocks * BLOCK_BYTES)
                .clock(() -> nanos)
                .seed(1)
                .build());
    }

    private void pass(Duration time) {
        nanos += time.toNanos();
    }

    private static void maintain(KvCache cache) {
        while (cache.maintain(3) == 3) {}
    }

    private static OpenOptions retaining(Retention retention) {
        return OpenOptions.DEFAULT.withRetention(retention);
    }

    private static void fill(KvCache cache, int blocks) {
        compute(cache.namespace("filler"), prompt(99, blocks - 1)).close();
    }

    // ---- priority ----

    @Test
    void shouldEvictTheLowestPriorityFirst() {
        KvCache cache = cache(8);
        Namespace namespace = cache.namespace("a");
        compute(namespace, retaining(Retention.DEFAULT.withPriority(20)), prompt(1, 2))
                .close();
        compute(namespace, retaining(Retention.DEFAULT.withPriority(10)), prompt(2, 2))
                .close();
        compute(namespace, prompt(3, 2)).close();
        fill(cache, 4);
        assertEquals(8, namespace.probe(prompt(1, 2)));
        assertEquals(0, namespace.probe(prompt(2, 2)));
        assertEquals(8, namespace.probe(prompt(3, 2)));
    }

    @Test
    void shouldRetainARangeOfTokens() {
        KvCache cache = cache(8);
        Namespace namespace = cache.namespace("a");
        try (Sequence sequence = compute(namespace, prompt(1, 4))) {
            RetentionOutcome outcome = sequence.retain(8, 16, Retention.DEFAULT.withPriority(0));
            assertEquals(new RetentionOutcome(Status.ACCEPTED, 2, 2), outcome);
        }
        compute(namespace, prompt(2, 2)).close();
        fill(cache, 4); // two blocks were free
        assertEquals(8, namespace.probe(prompt(1, 4)));
        assertEquals(8, namespace.probe(prompt(2, 2)));
    }

    @Test
    void shouldFallBackToTheNamespaceWhenAPriorityEnds() {
        KvCache cache = cache(8);
        Namespace namespace =
                cache.namespace("a", NamespaceOptions.DEFAULT.withRetention(Retention.DEFAULT.withPriority(5)));
        compute(namespace, retaining(Retention.DEFAULT.withPriority(90, MINUTE)), prompt(1, 2))
                .close();
        compute(cache.namespace("b"), prompt(2, 2)).close();
        pass(MINUTE.plusSeconds(1));
        maintain(cache);
        fill(cache, 6);
        assertEquals(0, namespace.probe(prompt(1, 2)));
        assertEquals(8, cache.namespace("b").probe(prompt(2, 2)));
    }

    @Test
    void shouldEvictFirstWhatWillNotBeContinued() {
        KvCache cache = cache(10);
        Namespace namespace = cache.namespace("a");
        Retention low = Retention.DEFAULT.withPriority(0);
        compute(namespace, retaining(low), prompt(1, 2)).close();
        compute(namespace, prompt(2, 2)).close();
        compute(namespace, 2000, 2001, 2002, 2003, 1, 2, 3, 4, 5).closeForGood(); // shares a block
        fill(cache, 6);
        assertEquals(8, namespace.probe(prompt(1, 2)));
        assertEquals(8, namespace.probe(prompt(2, 2)));
        assertEquals(4, namespace.probe(new int[] {2000, 2001, 2002, 2003, 1, 2, 3, 4, 5}));
    }

    @Test
    void shouldTakeTheHintBackWhenSomebodyContinuesAllTheSame() {
        KvCache cache = cache(6);
        Namespace namespace = cache.namespace("a");
        compute(namespace, prompt(1, 2)).closeForGood();
        compute(namespace, prompt(1, 2)).close();
        compute(namespace, retaining(Retention.DEFAULT.withPriority(10)), prompt(2, 2))
                .close();
        fill(cache, 4);
        assertEquals(8, namespace.probe(prompt(1, 2)));
    }

    // ---- pins ----

    private static NamespaceOptions pinning(int blocks) {
        return NamespaceOptions.DEFAULT.withPinnedBytes(blocks * BLOCK_BYTES);
    }

    @Test
    void shouldKeepPinnedBlocksAndThoseBeforeThem() {
        KvCache cache = cache(6);
        Namespace namespace = cache.namespace("a", pinning(2));
        try (Sequence sequence = compute(namespace, prompt(1, 3))) {
            assertEquals(
                    new RetentionOutcome(Status.ACCEPTED, 1, 1), sequence.retain(4, 8, Retention.DEFAULT.withPin()));
        }
        assertEquals(2, cache.stats().pinnedBlocks());
        try (Sequence greedy = cache.namespace("b").open(new int[1])) {
            assertTrue(greedy.tryReserve(4 * 4));
            assertEquals(8, namespace.probe(prompt(1, 3)));
        }
    }

    @Test
    void shouldPinWithinTheBudgetOnly() {
        KvCache cache = cache(10);
        Namespace namespace = cache.namespace("a", pinning(3));
        Retention pin = Retention.DEFAULT.withPin();
        try (Sequence first = compute(namespace, prompt(1, 2));
                Sequence second = compute(namespace, prompt(2, 2))) {
            assertEquals(new RetentionOutcome(Status.ACCEPTED, 2, 2), first.retain(0, 9, pin));
            assertEquals(new RetentionOutcome(Status.ACCEPTED, 2, 2), first.retain(0, 9, pin));
            assertEquals(new RetentionOutcome(Status.CLIPPED, 1, 2), second.retain(0, 9, pin));
            assertEquals(new RetentionOutcome(Status.REJECTED, 0, 1), second.retain(4, 8, pin));
            first.retain(4, 8, Retention.DEFAULT);
            assertEquals(new RetentionOutcome(Status.ACCEPTED, 1, 1), second.retain(4, 8, pin));
        }
        assertEquals(3, namespace.stats().pinnedBlocks());
        try (Sequence third = compute(cache.namespace("no budget"), prompt(3, 1))) {
            assertEquals(new RetentionOutcome(Status.REJECTED, 0, 1), third.retain(0, 4, pin));
        }
    }

    @Test
    void shouldRetainOnlyWholePublishedBlocks() {
        KvCache cache = cache(10);
        Namespace namespace = cache.namespace("a", pinning(3));
        try (Sequence sequence = compute(namespace, prompt(1, 2))) {
            assertEquals(new RetentionOutcome(Status.ACCEPTED, 0, 0), sequence.retain(1, 4, Retention.DEFAULT));
            assertEquals(new RetentionOutcome(Status.ACCEPTED, 1, 1), sequence.retain(1, 9, Retention.DEFAULT));
            assertThrows(IndexOutOfBoundsException.class, () -> sequence.retain(0, 10, Retention.DEFAULT));
            namespace.renew();
            extend(sequence, 1, 2, 3);
            assertEquals(new RetentionOutcome(Status.REJECTED, 0, 3), sequence.retain(0, 12, Retention.DEFAULT));
        }
    }

    @Test
    void shouldEndAPinWithItsDuration() {
        KvCache cache = cache(4);
        Namespace namespace = cache.namespace("a", pinning(2));
        try (Sequence sequence = compute(namespace, prompt(1, 2))) {
            sequence.retain(0, 8, Retention.DEFAULT.withPriority(50, MINUTE).withPin());
        }
        maintain(cache);
        assertEquals(2, cache.stats().pinnedBlocks());
        pass(MINUTE.plusSeconds(1));
        maintain(cache);
        assertEquals(0, cache.stats().pinnedBlocks());
        assertEquals(8, namespace.probe(prompt(1, 2)));
        fill(cache, 4);
        assertEquals(0, namespace.probe(prompt(1, 2)));
    }

    @Test
    void shouldEndPinsWithEraseAndWithExpiry() {
        KvCache cache = cache(8);
        Namespace namespace = cache.namespace("a", pinning(4));
        try (Sequence sequence = compute(namespace, prompt(1, 2))) {
            sequence.retain(0, 8, Retention.DEFAULT.withPin());
        }
        assertEquals(new Erasure(2, 0), namespace.erase());
        assertEquals(0, cache.stats().pinnedBlocks());
        try (Sequence sequence = compute(namespace, prompt(2, 2))) {
            sequence.retain(0, 8, Retention.DEFAULT.withTtlSinceFirstUse(MINUTE).withPin());
        }
        pass(MINUTE);
        assertEquals(0, namespace.probe(prompt(2, 2)));
        maintain(cache);
        pass(MINUTE);
        maintain(cache);
        assertEquals(0, cache.stats().pinnedBlocks());
        assertEquals(2, namespace.stats().traffic().expiredBlocks());
    }

    @Test
    void shouldRefuseADefaultThatPins() {
        Retention pin = Retention.DEFAULT.withPin();
        String rule = "pin by Sequence.retain, which says how much the budget allows: " + pin;
        assertRefused(rule, () -> NamespaceOptions.DEFAULT.withRetention(pin));
        assertRefused(rule, () -> OpenOptions.DEFAULT.withRetention(pin));
    }

    // ---- time to live ----

    @Test
    void shouldExpireAfterTheLastUse() {
        KvCache cache = cache(10);
        Namespace namespace =
                cache.namespace("a", NamespaceOptions.DEFAULT.withRetention(Retention.DEFAULT.withTtl(MINUTE)));
        Sequence user = compute(namespace, prompt(1, 2));
        pass(MINUTE.multipliedBy(2));
        maintain(cache);
        assertEquals(8, namespace.probe(prompt(1, 2)), "what is in use does not expire");
        user.close();
        pass(MINUTE.minusNanos(1));
        assertEquals(8, namespace.probe(prompt(1, 2)));
        namespace.open(prompt(1, 2)).close(); // one more use
        pass(MINUTE.minusNanos(1));
        assertEquals(8, namespace.probe(prompt(1, 2)));
        pass(Duration.ofNanos(1));
        assertEquals(0, namespace.probe(prompt(1, 2)));
        assertEquals(2, cache.stats().cachedBlocks(), "memory comes back at the next look-up or maintenance");
        namespace.open(prompt(1, 2)).close();
        assertEquals(0, cache.stats().cachedBlocks());
        assertEquals(2, cache.stats().traffic().expiredBlocks());
    }

    @Test
    void shouldExpireAfterTheFirstUseThoughInUse() {
        KvCache cache = cache(10);
        Namespace namespace = cache.namespace("a");
        Sequence user = compute(namespace, retaining(Retention.DEFAULT.withTtlSinceFirstUse(MINUTE)), prompt(1, 2));
        Sequence fork = user.fork();
        pass(MINUTE);
        assertEquals(0, namespace.probe(prompt(1, 2)));
        maintain(cache);
        pass(Duration.ofSeconds(1));
        maintain(cache);
        assertRows(user); // it is theirs alone now
        extend(user, 1, 2, 3);
        assertEquals(0, namespace.probe(prompt(1, 2)));
        user.close();
        assertRows(fork);
        fork.close();
        assertEquals(0, cache.stats().cachedBlocks());
    }

    @Test
    void shouldTakeAlongWhatContinuesAnExpiredBlock() {
        KvCache cache = cache(10);
        Namespace namespace = cache.namespace("a");
        try (Sequence sequence = compute(namespace, prompt(1, 4))) {
            sequence.retain(4, 8, Retention.DEFAULT.withTtlSinceFirstUse(MINUTE));
        }
        pass(MINUTE.plusSeconds(1));
        maintain(cache);
        assertEquals(4, namespace.probe(prompt(1, 4)));
        assertEquals(1, cache.stats().cachedBlocks());
    }

    @Test
    void shouldComputeAnExpiredBlockAgain() {
        KvCache cache = cache(10);
        Namespace namespace = cache.namespace("a");
        OpenOptions options = retaining(Retention.DEFAULT.withTtlSinceFirstUse(MINUTE));
        Sequence slow = namespace.open(prompt(1, 2), options);
        compute(namespace, options, prompt(1, 2)).close();
        pass(MINUTE);
        extend(slow, prompt(1, 2)); // would have found equal blocks a moment ago
        slow.close();
        assertEquals(2, cache.stats().traffic().expiredBlocks());
        assertEquals(8, namespace.probe(prompt(1, 2)));
        pass(MINUTE.minusNanos(1));
        assertEquals(8, namespace.probe(prompt(1, 2)));
    }

    /** 100,000 prefixes of one block each, computed at once. */
    @Test
    void shouldSpreadExpiryByJitterInBoundedSteps() {
        int entries = 100_000;
        KvLayout layout = KvLayout.builder()
                .layers(1)
                .kvHeads(1)
                .headSize(1)
                .tokensPerBlock(1)
                .build();
        KvCache cache = caches.add(KvCache.builder(layout)
                .maximumBytes(layout.blockBytes() * entries)
                .clock(() -> nanos)
                .seed(7)
                .build());
        Retention retention = Retention.DEFAULT.withTtl(Duration.ofSeconds(100)).withJitter(0.2);
        Namespace namespace = cache.namespace("a", NamespaceOptions.DEFAULT.withRetention(retention));
        for (int token = 0; token < entries; token++) {
            try (Sequence sequence = namespace.open(new int[] {token, 0})) {
                assertTrue(sequence.tryReserve(1));
                sequence.commit(token);
            }
        }
        pass(Duration.ofSeconds(80));
        maintainInSteps(cache, 100);
        assertEquals(entries, cache.stats().cachedBlocks());
        for (int second = 81; second <= 100; second++) {
            int before = cache.stats().cachedBlocks();
            pass(Duration.ofSeconds(1));
            maintainInSteps(cache, 100);
            int expired = before - cache.stats().cachedBlocks();
            assertTrue(Math.abs(expired - entries / 20) < 800, "second " + second + " expired " + expired);
        }
        pass(Duration.ofSeconds(1));
        maintainInSteps(cache, 100);
        assertEquals(0, cache.stats().cachedBlocks());
    }

    /** 100,000 sessions stored at once, and used again at once: their time to live begins anew with the same chance. */
    @Test
    void shouldSpreadTheEndOfSessionsByJitterInBoundedSteps() {
        int entries = 100_000;
        KvLayout layout = KvLayout.builder()
                .layers(1)
                .kvHeads(1)
                .headSize(1)
                .tokensPerBlock(2)
                .build();
        KvCache cache = caches.add(KvCache.builder(layout)
                .maximumBytes(layout.blockBytes() * entries)
                .clock(() -> nanos)
                .seed(7)
                .build());
        Retention retention = Retention.DEFAULT.withTtl(Duration.ofSeconds(100)).withJitter(0.2);
        Namespace namespace = cache.namespace("a");
        for (int i = 0; i < entries; i++) {
            try (Sequence sequence = namespace.open(new int[] {i})) {
                assertTrue(sequence.tryReserve(1));
                sequence.commit(i);
                assertTrue(namespace.put("" + i, sequence, retention));
            }
        }
        pass(Duration.ofSeconds(50));
        for (int i = 0; i < entries; i++) {
            Objects.requireNonNull(namespace.get("" + i)).close();
        }
        pass(Duration.ofSeconds(80)); // all are looked at, since they were due before they were used
        endSessionsInSteps(cache, 100);
        assertEquals(entries, cache.stats().sessions());
        for (int second = 81; second <= 100; second++) {
            int before = cache.stats().sessions();
            pass(Duration.ofSeconds(1));
            endSessionsInSteps(cache, 100);
            int ended = before - cache.stats().sessions();
            assertTrue(Math.abs(ended - entries / 20) < 800, "second " + second + " ended " + ended);
        }
        pass(Duration.ofSeconds(1));
        endSessionsInSteps(cache, 100);
        assertEquals(0, cache.stats().sessions());
        assertEquals(0, cache.stats().usedBlocks());
        assertEquals(0, namespace.stats().traffic().droppedSessions(), "none was given up for memory");
    }

    private static void endSessionsInSteps(KvCache cache, int limit) {
        int handled;
        do {
            int before = cache.stats().sessions();
            handled = cache.maintain(limit);
            assertTrue(handled <= limit);
            assertTrue(before - cache.stats().sessions() <= limit, "a step does bounded work");
        } while (handled == limit);
    }

    private static void maintainInSteps(KvCache cache, int limit) {
        int handled;
        do {
            long before = cache.stats().traffic().expiredBlocks();
            handled = cache.maintain(limit);
            assertTrue(handled <= limit);
            assertTrue(cache.stats().traffic().expiredBlocks() - before <= limit);
        } while (handled == limit);
    }

    @Test
    void shouldDoMaintenanceAsAnAgent() throws Exception {
        KvCache cache = cache(10);
        Namespace namespace =
                cache.namespace("a", NamespaceOptions.DEFAULT.withRetention(Retention.DEFAULT.withTtl(MINUTE)));
        compute(namespace, prompt(1, 2)).close();
        assertEquals(0, cache.maintenance().doWork());
        pass(MINUTE.plusSeconds(1));
        assertTrue(cache.maintenance().doWork() > 0);
        assertEquals(0, cache.maintenance().doWork());
        assertEquals(0, cache.stats().cachedBlocks());
        assertEquals("kvcache-maintenance", cache.maintenance().roleName());
        assertRefused("must be positive: limit=0", () -> cache.maintain(0));
    }

    // ---- values ----

    @Test
    void shouldRefuseWhatIsOutOfRange() {
        assertRefused("must be from 0 to 100: priority=101", () -> Retention.DEFAULT.withPriority(101));
        assertRefused("must be from 0 to 1: jitter=1.5", () -> Retention.DEFAULT.withJitter(1.5));
        assertRefused("must be from 0 to 1: jitter=NaN", () -> Retention.DEFAULT.withJitter(Double.NaN));
        assertRefused("must be positive: ttl=PT0S", () -> Retention.DEFAULT.withTtl(Duration.ZERO));
        assertRefused(
                "must be positive: duration=PT-1S", () -> Retention.DEFAULT.withPriority(1, Duration.ofSeconds(-1)));
        assertRefused(
                "must not be negative: priorityNanos=-1 ttlNanos=0", () -> new Retention(50, -1, 0, false, 0, false));
        assertRefused("must be from 0 to 7: label=8", () -> OpenOptions.DEFAULT.withLabel(8));
    }
}
