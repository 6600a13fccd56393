package io.kvcache;

import static io.kvcache.Prompts.LAYOUT;
import static io.kvcache.Prompts.assertRows;
import static io.kvcache.Prompts.compute;
import static io.kvcache.Prompts.extend;
import static io.kvcache.Thrown.assertRefused;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

final class PrefixSharingTest {
    @RegisterExtension
    final Caches caches = new Caches();

    @Test
    void shouldAdoptTheFullBlocksOfAClosedSequence() {
        KvCache cache = caches.of(LAYOUT, 10);
        Namespace namespace = cache.namespace("a");
        Sequence first = compute(namespace, 1, 2, 3, 4, 5, 6, 7, 8, 9);
        int[] table = first.blockTable();
        first.close();
        assertEquals(0, cache.stats().usedBlocks());
        assertEquals(2, cache.stats().cachedBlocks()); // the third was not full
        try (Sequence second = namespace.open(new int[] {1, 2, 3, 4, 5, 6, 7, 8, 20})) {
            assertEquals(8, second.cachedTokens());
            assertEquals(8, second.length());
            assertArrayEquals(Arrays.copyOf(table, 2), second.blockTable());
            assertRows(second);
        }
    }

    @Test
    void shouldShareWithASequenceThatIsStillOpen() {
        Namespace namespace = caches.of(LAYOUT, 10).namespace("a");
        try (Sequence first = compute(namespace, 1, 2, 3, 4, 5);
                Sequence second = namespace.open(new int[] {1, 2, 3, 4, 5})) {
            assertEquals(4, second.cachedTokens());
            assertEquals(first.blockTable()[0], second.blockTable()[0]);
        }
    }

    @Test
    void shouldLeaveAtLeastOneTokenToCompute() {
        Namespace namespace = caches.of(LAYOUT, 10).namespace("a");
        compute(namespace, 1, 2, 3, 4, 5, 6, 7, 8).close();
        assertEquals(7, namespace.probe(new int[] {1, 2, 3, 4, 5, 6, 7, 8}));
        assertEquals(0, namespace.probe(new int[] {1}));
        assertEquals(8, namespace.probe(new int[] {1, 2, 3, 4, 5, 6, 7, 8, 9}));
    }

    @Test
    void shouldHitInsideABlockAndCopyWhatMatches() {
        KvCache cache = caches.of(LAYOUT, 10);
        Namespace namespace = cache.namespace("a");
        compute(namespace, 1, 2, 3, 4, 5, 6, 7, 8).close();
        try (Sequence second = namespace.open(new int[] {1, 2, 3, 4, 5, 6, 70, 80, 90})) {
            assertEquals(6, second.cachedTokens());
            assertRows(second);
            extend(second, 70, 80, 90);
            assertRows(second);
            try (Sequence third = namespace.open(new int[] {1, 2, 3, 4, 5, 6, 7, 8, 9})) {
                assertEquals(8, third.cachedTokens()); // the source is as it was
                assertRows(third);
            }
        }
    }

    @Test
    void shouldTakeTheLongestPartialMatch() {
        Namespace namespace = caches.of(LAYOUT, 10).namespace("a");
        compute(namespace, 1, 2, 3, 4).close();
        compute(namespace, 1, 2, 9, 9).close();
        assertEquals(3, namespace.probe(new int[] {1, 2, 3, 8, 8}));
        assertEquals(2, namespace.probe(new int[] {1, 2, 8, 8, 8}));
    }

    @Test
    void shouldNotCopyLessThanTheMinimum() {
        KvCache cache = caches.add(KvCache.builder(LAYOUT)
                .maximumBytes(LAYOUT.blockBytes() * 10)
                .minimumPartialHit(3)
                .build());
        Namespace namespace = cache.namespace("a");
        compute(namespace, 1, 2, 3, 4, 5, 6, 7, 8).close();
        assertEquals(4, namespace.probe(new int[] {1, 2, 3, 4, 5, 6, 70, 80, 90}));
        assertEquals(7, namespace.probe(new int[] {1, 2, 3, 4, 5, 6, 7, 80, 90}));
        assertRefused(
                "must be positive: minimumPartialHit=0",
                () -> KvCache.builder(LAYOUT).minimumPartialHit(0));
    }

    @Test
    void shouldMakeEqualBlocksOneAtCommit() {
        KvCache cache = caches.of(LAYOUT, 10);
        Namespace namespace = cache.namespace("a");
        try (Sequence first = namespace.open(new int[] {1});
                Sequence second = namespace.open(new int[] {1})) {
            extend(first, 1, 2, 3);
            extend(second, 1, 2, 3);
            assertEquals(2, cache.stats().usedBlocks());
            extend(first, 4);
            long version = second.tableVersion();
            extend(second, 4);
            assertTrue(second.tableVersion() > version);
            assertEquals(1, cache.stats().usedBlocks());
            assertArrayEquals(first.blockTable(), second.blockTable());
            extend(second, 5);
            assertRows(second);
        }
    }

    @Test
    void shouldLetViewsOfABlockThatWasReplacedDieWhenGuarded() {
        System.setProperty(SequencePool.GUARD_PROPERTY, "true");
        KvCache cache;
        try {
            cache = caches.of(LAYOUT, 10);
        } finally {
            System.clearProperty(SequencePool.GUARD_PROPERTY);
        }
        try (Sequence first = compute(cache.namespace("a"), 1, 2, 3, 4);
                Sequence second = cache.namespace("a").open(new int[] {9})) {
            extend(second, 1, 2, 3);
            MemorySegment view = second.keys(0, 0);
            extend(second, 4);
            assertArrayEquals(first.blockTable(), second.blockTable());
            assertThrows(IllegalStateException.class, () -> view.get(ValueLayout.JAVA_FLOAT, 0));
        }
    }

    @Test
    void shouldNeverWriteIntoAPublishedBlock() {
        Namespace namespace = caches.of(LAYOUT, 10).namespace("a");
        try (Sequence sequence = compute(namespace, 1, 2, 3, 4)) {
            sequence.truncate(2);
            extend(sequence, 30, 40);
            assertRows(sequence);
            try (Sequence other = namespace.open(new int[] {1, 2, 3, 4, 5})) {
                assertEquals(4, other.cachedTokens());
                assertRows(other);
            }
        }
    }

    @Test
    void shouldKeepNamespacesApart() {
        KvCache cache = caches.of(LAYOUT, 10);
        compute(cache.namespace("a"), 1, 2, 3, 4, 5).close();
        assertEquals(4, cache.namespace("a").probe(new int[] {1, 2, 3, 4, 5}));
        assertEquals(0, cache.namespace("b").probe(new int[] {1, 2, 3, 4, 5}));
    }

    @Test
    void shouldEvictOnlyTheShortfallAndTheOldestLeafFirst() {
        KvCache cache = caches.of(LAYOUT, 4);
        Namespace namespace = cache.namespace("a");
        compute(namespace, 1, 2, 3, 4, 5, 6, 7, 8).close();
        compute(namespace, 11, 12, 13, 14).close();
        assertEquals(3, cache.stats().cachedBlocks());
        compute(namespace, 21, 22, 23, 24, 25, 26, 27, 28).close(); // one is free: one has to go
        assertEquals(1, cache.stats().traffic().evictedBlocks());
        assertEquals(4, namespace.probe(new int[] {1, 2, 3, 4, 5, 6, 7, 8, 9})); // the deeper one of the oldest path
        assertEquals(4, namespace.probe(new int[] {11, 12, 13, 14, 15}));
    }

    @Test
    void shouldEvictNothingForAReserveThatIsRefused() {
        KvCache cache = caches.of(LAYOUT, 4);
        Namespace namespace = cache.namespace("a");
        compute(namespace, 1, 2, 3, 4, 5, 6, 7, 8).close();
        try (Sequence sequence = compute(namespace, 21, 22, 23, 24, 25)) {
            assertFalse(sequence.tryReserve(12));
            assertEquals(0, cache.stats().traffic().evictedBlocks());
            assertTrue(sequence.tryReserve(11));
            assertEquals(2, cache.stats().traffic().evictedBlocks());
        }
    }

    @Test
    void shouldGrowBeforeItEvicts() {
        KvLayout layout = KvLayout.builder()
                .layers(1)
                .kvHeads(1)
                .headSize(1 << 18)
                .type(KvType.F32)
                .tokensPerBlock(1)
                .build(); // 2 MiB a block: a chunk each
        KvCache cache = caches.of(layout, 3);
        Namespace namespace = cache.namespace("a");
        for (int token = 0; token < 3; token++) {
            try (Sequence sequence = namespace.open(new int[] {token})) {
                assertTrue(sequence.tryReserve(1));
                sequence.commit(token);
            }
        }
        assertEquals(0, cache.stats().traffic().evictedBlocks());
        assertEquals(3, cache.stats().cachedBlocks());
    }

    @Test
    void shouldSayWhatAForkStartedWith() {
        Namespace namespace = caches.of(LAYOUT, 4).namespace("a");
        try (Sequence sequence = compute(namespace, 1, 2, 3, 4, 5);
                Sequence fork = sequence.fork()) {
            assertEquals(0, sequence.cachedTokens());
            assertEquals(5, fork.cachedTokens());
        }
    }

    @Test
    void shouldTakeOverAPartialHitThatCannotBeCopied() {
        KvCache cache = caches.of(LAYOUT, 2);
        Namespace namespace = cache.namespace("a");
        compute(namespace, 1, 2, 3, 4, 5, 6, 7, 8).close();
        try (Sequence sequence = compute(namespace, 1, 2, 3, 4, 5, 6, 20, 21)) {
            assertEquals(6, sequence.cachedTokens());
            assertRows(sequence);
            assertEquals(1, cache.stats().traffic().evictedBlocks());
            assertEquals(8, namespace.probe(new int[] {1, 2, 3, 4, 5, 6, 20, 21, 22}));
        }
    }

    @Test
    void shouldNotTakeOverAPartialHitThatOthersHold() {
        KvCache cache = caches.of(LAYOUT, 2);
        Namespace namespace = cache.namespace("a");
        try (Sequence first = compute(namespace, 1, 2, 3, 4, 5, 6, 7, 8);
                Sequence second = namespace.open(new int[] {1, 2, 3, 4, 5, 6, 20})) {
            assertEquals(6, second.cachedTokens());
            assertFalse(second.tryReserve(1));
            assertRows(first);
        }
    }

    /** A block with many children, some of which begin with the same tokens. */
    @Test
    void shouldFindPartialHitsAmongManyChildren() {
        KvCache cache = caches.of(LAYOUT, 100);
        Namespace namespace = cache.namespace("a");
        for (int children = 1; children <= 40; children++) {
            compute(namespace, 1, 2, 3, 4, 10 + children, children, 0, 0).close();
            cache.verify();
            for (int child = 1; child <= children; child++) {
                assertEquals(6, namespace.probe(new int[] {1, 2, 3, 4, 10 + child, child, 7, 7}));
                assertEquals(5, namespace.probe(new int[] {1, 2, 3, 4, 10 + child, 99, 7, 7}));
            }
            assertEquals(4, namespace.probe(new int[] {1, 2, 3, 4, 9, 9}));
        }
        for (int sibling = 0; sibling < 12; sibling++) {
            compute(namespace, 1, 2, 3, 4, 50, sibling, 0, 0).close();
        }
        assertEquals(6, namespace.probe(new int[] {1, 2, 3, 4, 50, 11, 7, 7}));
        assertEquals(6, namespace.probe(new int[] {1, 2, 3, 4, 50, 4, 7, 7}));
        assertEquals(5, namespace.probe(new int[] {1, 2, 3, 4, 50, 3, 7, 7}), "only the newest eight are compared");
        try (Sequence greedy = cache.namespace("b").open(new int[1])) {
            for (int blocks = 1; blocks <= 100; blocks++) {
                assertTrue(greedy.tryReserve(blocks * 4)); // takes the children away one by one
                cache.verify();
            }
        }
        assertEquals(0, namespace.stats().cachedBlocks());
    }
}
