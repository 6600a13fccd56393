package io.kvcache;

import static io.kvcache.Prompts.BLOCK_BYTES;
import static io.kvcache.Prompts.LAYOUT;
import static io.kvcache.Prompts.TOKENS_PER_BLOCK;
import static io.kvcache.Prompts.assertRows;
import static io.kvcache.Prompts.compute;
import static io.kvcache.Prompts.extend;
import static io.kvcache.Prompts.prompt;
import static io.kvcache.Prompts.seesOldRows;
import static io.kvcache.Thrown.assertMisuse;
import static io.kvcache.Thrown.assertRefused;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** Sequences stored by key: continued, checked against their time, and given up when memory is needed. */
final class SessionTest {
    private static final Retention PLAIN = Retention.DEFAULT;
    private static final Duration MINUTE = Duration.ofMinutes(1);
    private static final Duration NANO = Duration.ofNanos(1);

    @RegisterExtension
    final Caches caches = new Caches();

    private long nanos;

    private KvCache cache(int blocks, int sequences) {
        return caches.add(KvCache.builder(LAYOUT)
                .maximumBytes(blocks * BLOCK_BYTES)
                .maximumSequences(sequences)
                .clock(() -> nanos)
                .seed(1)
                .build());
    }

    private KvCache cache(int blocks) {
        return cache(blocks, 100);
    }

    private void pass(Duration time) {
        nanos += time.toNanos();
    }

    private static Sequence get(Namespace namespace, String key) {
        return Objects.requireNonNull(namespace.get(key), key);
    }

    /** Stores a prompt of so many blocks and one token more, which nobody else holds then. */
    private static void store(Namespace namespace, String key, int seed, int blocks, Retention retention) {
        try (Sequence sequence = compute(namespace, prompt(seed, blocks))) {
            assertTrue(namespace.put(key, sequence, retention));
        }
    }

    private static void store(Namespace namespace, String key, int seed, int blocks) {
        store(namespace, key, seed, blocks, PLAIN);
    }

    // ---- put, get, remove ----

    @Test
    void shouldContinueAStoredSequence() {
        KvCache cache = cache(10);
        Namespace namespace = cache.namespace("a");
        store(namespace, "chat", 1, 2);
        assertEquals(3, cache.stats().usedBlocks());
        try (Sequence first = get(namespace, "chat");
                Sequence second = get(namespace, "chat")) {
            assertEquals(9, first.length());
            assertEquals(9, first.cachedTokens());
            assertEquals(MissReason.NONE, first.missReason());
            assertEquals(3, cache.stats().usedBlocks(), "nothing is copied");
            extend(first, 1, 2, 3, 4);
            extend(second, 5, 6, 7, 8);
            assertRows(first);
            assertRows(second);
            assertEquals(1, first.token(9));
            assertEquals(5, second.token(9));
        }
        assertEquals(List.of("chat"), namespace.keys());
        assertTrue(namespace.remove("chat"));
        assertFalse(namespace.remove("chat"));
        assertNull(namespace.get("chat"));
        assertEquals(0, cache.stats().usedBlocks());
        assertEquals(4, cache.stats().cachedBlocks(), "what is published stays for prompts");
    }

    @Test
    void shouldKeepTheUnfinishedTailAsItWasWhenTheSequenceWritesOn() {
        KvCache cache = cache(10);
        Namespace namespace = cache.namespace("a");
        try (Sequence sequence = compute(namespace, 1, 2, 3, 4, 5, 6)) {
            assertTrue(namespace.put("chat", sequence, PLAIN));
            extend(sequence, 70, 80, 90);
            assertRows(sequence);
            try (Sequence stored = get(namespace, "chat")) {
                assertEquals(6, stored.length());
                extend(stored, 7);
                assertRows(stored);
                assertFalse(stored.blockTable()[1] == sequence.blockTable()[1]);
                assertEquals(stored.blockTable()[0], sequence.blockTable()[0]);
            }
        }
        try (Sequence stored = get(namespace, "chat")) {
            assertEquals(6, stored.length());
            assertRows(stored);
        }
    }

    @Test
    void shouldReplaceWhatWasStoredUnderTheSameKey() {
        KvCache cache = cache(10);
        Namespace namespace = cache.namespace("a");
        try (Sequence sequence = compute(namespace, 1, 2, 3)) {
            assertTrue(namespace.put("chat", sequence, PLAIN));
            extend(sequence, 4, 5);
            assertTrue(namespace.put("chat", sequence, PLAIN.withPriority(7)));
        }
        assertEquals(1, namespace.stats().sessions());
        assertEquals(2, cache.stats().usedBlocks());
        try (Sequence stored = get(namespace, "chat")) {
            assertEquals(5, stored.length());
            assertTrue(namespace.put("chat", stored, PLAIN), "with what is stored already");
        }
        assertEquals(List.of("chat"), namespace.keys());
        assertEquals(2, cache.stats().usedBlocks());
        assertEquals(0, namespace.stats().traffic().droppedSessions());
    }

    @Test
    void shouldKeepCheckpointsOfAConversation() {
        Namespace namespace = cache(20).namespace("a");
        try (Sequence sequence = namespace.open(prompt(1, 3))) {
            for (int turn = 0; turn < 5; turn++) {
                extend(sequence, turn, turn, turn);
                assertTrue(namespace.put("turn " + turn, sequence, PLAIN));
            }
        }
        assertEquals(List.of("turn 0", "turn 1", "turn 2", "turn 3", "turn 4"), namespace.keys());
        for (int turn = 4; turn >= 0; turn--) {
            try (Sequence stored = get(namespace, "turn " + turn)) {
                assertEquals(3 * (turn + 1), stored.length());
                assertRows(stored);
            }
        }
        assertTrue(namespace.remove("turn 2"));
        assertEquals(List.of("turn 4", "turn 3", "turn 1", "turn 0"), namespace.keys());
    }

    @Test
    void shouldStoreASequenceWithoutTokensAndOneThatEndsInsideAPublishedBlock() {
        Namespace namespace = cache(10).namespace("a");
        compute(namespace, 1, 2, 3, 4, 5).close();
        try (Sequence empty = namespace.open(prompt(9, 1));
                Sequence partial = namespace.open(new int[] {1, 2, 9})) {
            assertEquals(2, partial.cachedTokens());
            assertTrue(namespace.put("empty", empty, PLAIN));
            assertTrue(namespace.put("partial", partial, PLAIN));
            extend(partial, 8);
        }
        try (Sequence empty = get(namespace, "empty");
                Sequence partial = get(namespace, "partial")) {
            assertEquals(0, empty.length());
            assertEquals(2, partial.length());
            extend(partial, 7, 7, 7);
            assertRows(partial);
        }
        assertEquals(4, namespace.probe(new int[] {1, 2, 3, 4, 5}));
    }

    @Test
    void shouldFindKeysInTheirNamespaceOnly() {
        KvCache cache = cache(10);
        Namespace namespace = cache.namespace("a");
        Namespace other = cache.namespace("b");
        store(namespace, "chat", 1, 1);
        store(other, "chat", 2, 1);
        assertNull(other.get("cha"));
        try (Sequence stored = get(other, "chat")) {
            assertEquals(2000, stored.token(0));
        }
        assertTrue(namespace.remove("chat"));
        assertEquals(List.of(), namespace.keys());
        assertEquals(List.of("chat"), other.keys());
    }

    @Test
    void shouldPublishWhatAStoredSequenceIsContinuedWith() {
        Namespace namespace = cache(10).namespace("a");
        store(namespace, "chat", 1, 1);
        try (Sequence stored = get(namespace, "chat")) {
            extend(stored, 1, 2, 3);
        }
        int[] prompt = {1000, 1001, 1002, 1003, 1004, 1, 2, 3, 9};
        assertEquals(8, namespace.probe(prompt));
    }

    // ---- what is refused ----

    @Test
    @SuppressWarnings("try") // closes before the end
    void shouldRefuseWhatCannotBeStored() {
        KvCache cache = cache(10);
        Namespace namespace = cache.namespace("a");
        Namespace other = cache.namespace("b");
        Namespace foreign = cache(10).namespace("a");
        try (Sequence sequence = compute(namespace, 1, 2, 3)) {
            assertRefused(
                    "sequence belongs to another namespace: namespace=b sequenceNamespace=a",
                    () -> other.put("chat", sequence, PLAIN));
            assertRefused(
                    "sequence belongs to another cache: key=chat " + sequence,
                    () -> foreign.put("chat", sequence, PLAIN));
            Retention pin = PLAIN.withPin();
            assertRefused(
                    "pin by Sequence.retain, which says how much the budget allows: " + pin,
                    () -> namespace.put("chat", sequence, pin));
            assertTrue(sequence.tryReserve(2));
            assertMisuse(
                    "cannot store while slots are reserved: reserved=2 length=3",
                    () -> namespace.put("chat", sequence, PLAIN));
            sequence.truncate(3);
            sequence.close();
            assertMisuse("sequence is closed: id=1 namespace=a", () -> namespace.put("chat", sequence, PLAIN));
        }
        assertEquals(0, cache.stats().sessions());
        cache.close();
        assertMisuse("cache is closed", () -> namespace.get("chat"));
        assertMisuse("cache is closed", () -> namespace.remove("chat"));
    }

    @Test
    void shouldNeedASlotToContinueAndNoneToStore() {
        KvCache cache = cache(10, 1);
        Namespace namespace = cache.namespace("a");
        try (Sequence sequence = compute(namespace, 1, 2, 3)) {
            assertTrue(namespace.put("chat", sequence, PLAIN));
            assertMisuse(
                    "no slot for another sequence, open with a deadline to wait: openSequences=1 maximumSequences=1"
                            + " waitingOpens=0",
                    () -> namespace.get("chat"));
        }
        assertEquals(0, namespace.stats().traffic().sessionHits());
        get(namespace, "chat").close();
    }

    // ---- time to live ----

    @Test
    void shouldEndAfterTheLastUse() {
        KvCache cache = cache(10);
        Namespace namespace = cache.namespace("a");
        store(namespace, "chat", 1, 1, PLAIN.withTtl(MINUTE));
        pass(MINUTE.minus(NANO));
        get(namespace, "chat").close();
        pass(MINUTE.minus(NANO));
        while (cache.maintain(2) == 2) {}
        assertEquals(List.of("chat"), namespace.keys());
        pass(NANO);
        assertEquals(List.of(), namespace.keys(), "not found any more, though still there");
        assertEquals(1, cache.stats().sessions());
        assertNull(namespace.get("chat"), "which drops it");
        assertEquals(0, cache.stats().sessions());
        assertEquals(0, cache.stats().usedBlocks());
        assertEquals(0, namespace.stats().traffic().droppedSessions());
    }

    @Test
    void shouldEndAfterItWasStoredThoughInUse() {
        KvCache cache = cache(10);
        Namespace namespace = cache.namespace("a");
        store(namespace, "chat", 1, 1, PLAIN.withTtlSinceFirstUse(MINUTE));
        pass(MINUTE.minus(NANO));
        try (Sequence user = get(namespace, "chat")) {
            pass(NANO);
            assertFalse(namespace.remove("chat"), "its time is over");
            assertEquals(0, cache.stats().sessions());
            assertRows(user);
            assertEquals(5, user.length());
            assertTrue(namespace.put("chat", user, PLAIN.withTtlSinceFirstUse(MINUTE)), "a new life");
        }
        pass(MINUTE.minus(NANO));
        get(namespace, "chat").close();
    }

    @Test
    void shouldGiveMemoryBackByMaintenance() {
        KvCache cache = cache(10);
        Namespace namespace = cache.namespace("a");
        store(namespace, "short", 1, 1, PLAIN.withTtl(MINUTE));
        store(namespace, "used", 2, 1, PLAIN.withTtl(MINUTE));
        store(namespace, "endless", 3, 1);
        pass(MINUTE.dividedBy(2));
        get(namespace, "used").close();
        pass(MINUTE.dividedBy(2).plusSeconds(1));
        assertEquals(6, cache.stats().usedBlocks());
        assertEquals(1, cache.maintain(1));
        assertEquals(1, cache.maintain(1));
        assertEquals(0, cache.maintain(1));
        assertEquals(List.of("endless", "used"), namespace.keys());
        assertEquals(2, cache.stats().sessions());
        pass(MINUTE.dividedBy(2));
        assertEquals(1, cache.maintain(5));
        assertEquals(List.of("endless"), namespace.keys());
        assertEquals(2, cache.stats().usedBlocks());
    }

    // ---- given up for memory ----

    @Test
    void shouldGiveUpTheLowestPriorityThenTheOneUsedLongestAgo() {
        KvCache cache = cache(8);
        Namespace namespace = cache.namespace("a");
        store(namespace, "firm", 1, 1, PLAIN.withPriority(60));
        store(namespace, "old", 2, 1);
        store(namespace, "young", 3, 1);
        store(namespace, "low", 4, 1, PLAIN.withPriority(10));
        get(namespace, "old").close();
        assertEquals(List.of("low", "young", "old", "firm"), namespace.keys());
        try (Sequence greedy = cache.namespace("b").open(new int[1])) {
            for (int dropped = 1; dropped <= 4; dropped++) {
                assertTrue(greedy.tryReserve(2 * dropped * TOKENS_PER_BLOCK));
                assertEquals(
                        List.of("low", "young", "old", "firm").subList(dropped, 4),
                        namespace.keys(),
                        "one after the other, and no more than are needed");
                assertEquals(dropped, namespace.stats().traffic().droppedSessions());
            }
            assertFalse(greedy.tryReserve(8 * TOKENS_PER_BLOCK + 1));
        }
    }

    @Test
    void shouldCompareSessionsOfAllNamespaces() {
        KvCache cache = cache(8);
        Namespace a = cache.namespace("a");
        Namespace b = cache.namespace("b");
        store(a, "1", 1, 1);
        store(b, "2", 2, 1);
        store(a, "3", 3, 1);
        store(b, "4", 4, 1, PLAIN.withPriority(49));
        try (Sequence greedy = cache.namespace("c").open(new int[1])) {
            assertTrue(greedy.tryReserve(6 * TOKENS_PER_BLOCK));
        }
        assertEquals(List.of("3"), a.keys());
        assertEquals(List.of(), b.keys());
    }

    @Test
    void shouldEvictWhatIsOnlyCachedBeforeSessionsAreGivenUp() {
        KvCache cache = cache(6);
        Namespace namespace = cache.namespace("a");
        store(namespace, "low", 1, 1, PLAIN.withPriority(0));
        compute(namespace, OpenOptions.DEFAULT.withRetention(PLAIN.withPriority(100)), prompt(2, 3))
                .close();
        try (Sequence greedy = namespace.open(new int[1])) {
            assertTrue(greedy.tryReserve(4 * TOKENS_PER_BLOCK));
            assertEquals(List.of("low"), namespace.keys());
            assertEquals(0, namespace.probe(prompt(2, 3)));
            assertTrue(greedy.tryReserve(5 * TOKENS_PER_BLOCK));
            assertEquals(List.of(), namespace.keys());
            assertEquals(4, namespace.probe(prompt(1, 1)), "what was published of it is cached: one block was enough");
        }
    }

    @Test
    void shouldDropNothingWhenAReserveIsRefused() {
        KvCache cache = cache(8);
        Namespace namespace = cache.namespace("a");
        store(namespace, "1", 1, 1);
        store(namespace, "2", 2, 1);
        try (Sequence running = compute(namespace, prompt(3, 1));
                Sequence greedy = namespace.open(new int[1])) {
            assertFalse(greedy.tryReserve(6 * TOKENS_PER_BLOCK + 1));
            assertEquals(List.of("1", "2"), namespace.keys());
            assertTrue(greedy.tryReserve(6 * TOKENS_PER_BLOCK));
            assertEquals(List.of(), namespace.keys());
            assertRows(running);
        }
    }

    @Test
    void shouldNotDropInVainWhatOpenSequencesHoldToo() {
        KvCache cache = cache(8);
        Namespace namespace = cache.namespace("a");
        store(namespace, "in use", 1, 2);
        store(namespace, "idle", 2, 2);
        try (Sequence user = get(namespace, "in use");
                Sequence greedy = namespace.open(new int[1])) {
            assertTrue(greedy.tryReserve(3 * TOKENS_PER_BLOCK));
            assertEquals(List.of("in use"), namespace.keys(), "though used longer ago");
            assertTrue(greedy.tryReserve(5 * TOKENS_PER_BLOCK));
            assertFalse(greedy.tryReserve(6 * TOKENS_PER_BLOCK));
            assertEquals(List.of("in use"), namespace.keys());
            assertRows(user);
        }
    }

    @Test
    void shouldDropASessionForTheTailThatItAloneHolds() {
        KvCache cache = cache(4);
        Namespace namespace = cache.namespace("a");
        try (Sequence user = compute(namespace, prompt(1, 1))) {
            assertTrue(namespace.put("chat", user, PLAIN));
            extend(user, 1); // has a copy of the tail now
            assertEquals(3, cache.stats().usedBlocks());
            try (Sequence greedy = namespace.open(new int[1])) {
                assertTrue(greedy.tryReserve(TOKENS_PER_BLOCK));
                assertEquals(List.of("chat"), namespace.keys());
                assertTrue(greedy.tryReserve(2 * TOKENS_PER_BLOCK));
                assertEquals(List.of(), namespace.keys());
                assertFalse(greedy.tryReserve(3 * TOKENS_PER_BLOCK));
            }
            assertRows(user);
        }
    }

    @Test
    void shouldGiveUpOwnSessionsAtTheCeiling() {
        KvCache cache = cache(20);
        Namespace other = cache.namespace("other");
        store(other, "other", 9, 1, PLAIN.withPriority(0));
        Namespace namespace = cache.namespace("a", NamespaceOptions.DEFAULT.withCeilingBytes(5 * BLOCK_BYTES));
        store(namespace, "1", 1, 1);
        store(namespace, "2", 2, 1);
        try (Sequence sequence = namespace.open(new int[1])) {
            assertTrue(sequence.tryReserve(2 * TOKENS_PER_BLOCK));
            assertEquals(List.of("2"), namespace.keys());
            assertFalse(sequence.tryReserve(6 * TOKENS_PER_BLOCK));
            assertEquals(List.of("2"), namespace.keys());
            assertTrue(sequence.tryReserve(5 * TOKENS_PER_BLOCK));
            assertEquals(List.of("other"), other.keys());
        }
    }

    @Test
    void shouldNotGiveUpSessionsWithinAFloorForOthers() {
        KvCache cache = cache(10);
        Namespace guaranteed = cache.namespace("guaranteed", NamespaceOptions.DEFAULT.withFloorBytes(4 * BLOCK_BYTES));
        store(guaranteed, "1", 1, 1);
        store(guaranteed, "2", 2, 1);
        store(guaranteed, "3", 3, 1);
        try (Sequence greedy = cache.namespace("greedy").open(new int[1])) {
            assertFalse(greedy.tryReserve(7 * TOKENS_PER_BLOCK));
            assertTrue(greedy.tryReserve(6 * TOKENS_PER_BLOCK));
            assertEquals(List.of("2", "3"), guaranteed.keys(), "what is borrowed goes, the floor stays");
            try (Sequence own = guaranteed.open(new int[1])) {
                assertTrue(own.tryReserve(4 * TOKENS_PER_BLOCK), "for its own use it gives up all");
                assertEquals(List.of(), guaranteed.keys());
            }
        }
    }

    @Test
    void shouldGiveUpWhatIsBorrowedBeforeSessionsWithinAFloor() {
        KvCache cache = cache(8);
        Namespace guaranteed = cache.namespace("guaranteed", NamespaceOptions.DEFAULT.withFloorBytes(4 * BLOCK_BYTES));
        store(guaranteed, "1", 1, 1, PLAIN.withPriority(0));
        store(guaranteed, "2", 2, 1, PLAIN.withPriority(0));
        Namespace other = cache.namespace("other");
        store(other, "3", 3, 1, PLAIN.withPriority(100));
        try (Sequence greedy = other.open(new int[1])) {
            assertTrue(greedy.tryReserve(4 * TOKENS_PER_BLOCK));
            assertEquals(List.of("1", "2"), guaranteed.keys());
            assertEquals(List.of(), other.keys());
        }
    }

    /** What sessions hold may be all that is left to cover the floor of another namespace. */
    @Test
    void shouldNotContinueASessionWithMemoryThatAnotherFloorNeeds() {
        KvCache cache = cache(10);
        Namespace namespace = cache.namespace("a");
        store(namespace, "large", 1, 7);
        store(namespace, "small", 2, 1);
        Namespace guaranteed = cache.namespace("guaranteed", NamespaceOptions.DEFAULT.withFloorBytes(6 * BLOCK_BYTES));
        assertNull(namespace.get("large"));
        assertEquals(1, namespace.stats().traffic().sessionMisses());
        try (Sequence small = get(namespace, "small");
                Sequence own = compute(guaranteed, prompt(3, 5))) {
            assertEquals(5, small.length());
            assertEquals(6, own.blocks());
            assertEquals(List.of("small"), namespace.keys());
        }
    }

    // ---- erase and renew ----

    @Test
    void shouldOverwriteSessionsThatAreErasedTailsIncluded() {
        KvCache cache = cache(5);
        Namespace namespace = cache.namespace("a");
        store(namespace, "free", 1, 1);
        store(namespace, "in use", 2, 1);
        Sequence user = get(namespace, "in use");
        assertEquals(new Erasure(2, 2), namespace.erase());
        assertEquals(List.of(), namespace.keys());
        assertNull(namespace.get("free"));
        assertEquals(0, cache.stats().sessions());
        assertRows(user); // goes on with what it has
        try (Sequence reader = namespace.open(new int[1])) {
            assertFalse(seesOldRows(reader, 3 * TOKENS_PER_BLOCK));
        }
        user.close();
        try (Sequence reader = namespace.open(new int[1])) {
            assertFalse(seesOldRows(reader, 5 * TOKENS_PER_BLOCK));
        }
    }

    @Test
    void shouldForgetSessionsWhenRenewedWithoutOverwriting() {
        KvCache cache = cache(2);
        Namespace namespace = cache.namespace("a");
        store(namespace, "chat", 1, 1);
        namespace.renew();
        assertEquals(List.of(), namespace.keys());
        try (Sequence reader = namespace.open(new int[1])) {
            assertTrue(seesOldRows(reader, 2 * TOKENS_PER_BLOCK), "its own memory need not be overwritten");
        }
    }

    @Test
    void shouldNotShowTheTailOfASessionToAnotherNamespace() {
        KvCache cache = cache(2);
        store(cache.namespace("a"), "chat", 1, 1);
        try (Sequence reader = cache.namespace("b").open(new int[1])) {
            assertFalse(seesOldRows(reader, 2 * TOKENS_PER_BLOCK));
        }
    }

    @Test
    void shouldNotStoreWhatWasBegunBeforeEraseOrRenew() {
        KvCache cache = cache(10);
        Namespace namespace = cache.namespace("a");
        try (Sequence beforeErase = compute(namespace, prompt(1, 1))) {
            namespace.erase();
            assertFalse(namespace.put("chat", beforeErase, PLAIN));
            try (Sequence beforeRenew = compute(namespace, prompt(2, 1))) {
                assertTrue(namespace.put("chat", beforeRenew, PLAIN));
                namespace.renew();
                assertFalse(namespace.put("chat", beforeRenew, PLAIN));
            }
        }
        assertEquals(List.of(), namespace.keys());
        assertEquals(0, cache.stats().sessions());
    }

    // ---- counts ----

    @Test
    void shouldCountSessionsHitsMissesAndDrops() {
        KvCache cache = cache(4);
        Namespace namespace = cache.namespace("a");
        store(namespace, "1", 1, 1);
        store(namespace, "2", 2, 1);
        get(namespace, "1").close();
        get(namespace, "1").close();
        assertNull(namespace.get("3"));
        assertFalse(namespace.remove("3"));
        assertEquals(2, namespace.stats().sessions());
        assertEquals(2, cache.stats().sessions());
        try (Sequence greedy = cache.namespace("b").open(new int[1])) {
            assertTrue(greedy.tryReserve(1));
        }
        assertNull(namespace.get("2"));
        Traffic traffic = namespace.stats().traffic();
        assertEquals(2, traffic.sessionHits());
        assertEquals(2, traffic.sessionMisses());
        assertEquals(1, traffic.droppedSessions());
        assertEquals(2, traffic.opened(), "no prompt was looked up for a session");
        assertEquals(traffic.sessionHits(), cache.stats().traffic().sessionHits());
        assertEquals(1, cache.stats().sessions());
        assertEquals(0, cache.namespace("b").stats().traffic().droppedSessions());
    }

    @Test
    void shouldUseSessionObjectsAgain() {
        KvCache cache = cache(6);
        Namespace namespace = cache.namespace("a");
        for (int i = 0; i < 1000; i++) {
            int length = 1 + i % 13;
            try (Sequence sequence = compute(namespace, Arrays.copyOf(prompt(i, 3), length))) {
                assertTrue(namespace.put("" + i % 3, sequence, i % 2 == 0 ? PLAIN : PLAIN.withTtl(MINUTE)));
            }
            pass(Duration.ofSeconds(7));
            try (Sequence stored = get(namespace, "" + i % 3)) {
                assertEquals(length, stored.length());
                assertRows(stored);
            }
            cache.maintain(1);
            cache.verify();
        }
    }

    @Test
    void shouldGiveWayToTheSequenceThatItWasStoredFrom() {
        KvCache cache = caches.of(LAYOUT, 2);
        Namespace namespace = cache.namespace("a");
        try (Sequence sequence = namespace.open(prompt(1, 1))) {
            extend(sequence, 1, 2, 3, 4, 5);
            assertTrue(namespace.put("checkpoint", sequence, Retention.DEFAULT));
            assertTrue(sequence.tryReserve(1), "there is no room for a copy of the last block");
            assertEquals(List.of(), namespace.keys());
            extend(sequence, 6);
            assertRows(sequence);
        }
        assertEquals(1, namespace.stats().traffic().droppedSessions());
    }
}
