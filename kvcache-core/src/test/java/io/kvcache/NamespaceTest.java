package io.kvcache;

import static io.kvcache.Prompts.BLOCK_BYTES;
import static io.kvcache.Prompts.LAYOUT;
import static io.kvcache.Prompts.assertRows;
import static io.kvcache.Prompts.compute;
import static io.kvcache.Prompts.extend;
import static io.kvcache.Prompts.prompt;
import static io.kvcache.Prompts.seesOldRows;
import static io.kvcache.Thrown.assertMisuse;
import static io.kvcache.Thrown.assertRefused;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

final class NamespaceTest {
    @RegisterExtension
    final Caches caches = new Caches();

    private static NamespaceOptions floor(int blocks) {
        return NamespaceOptions.DEFAULT.withFloorBytes(blocks * BLOCK_BYTES);
    }

    private static NamespaceOptions ceiling(int blocks) {
        return NamespaceOptions.DEFAULT.withCeilingBytes(blocks * BLOCK_BYTES);
    }

    // ---- options ----

    @Test
    void shouldKeepTheOptionsOfTheFirstCall() {
        KvCache cache = caches.of(LAYOUT, 10);
        Namespace namespace = cache.namespace("a", ceiling(4));
        assertSame(namespace, cache.namespace("a"));
        assertSame(namespace, cache.namespace("a", ceiling(4)));
        assertMisuse(
                "namespace is there with other options: namespace=a has=" + ceiling(4) + " wanted=" + ceiling(5),
                () -> cache.namespace("a", ceiling(5)));
    }

    @Test
    void shouldRefuseQuotasThatCannotHold() {
        KvCache cache = caches.of(LAYOUT, 10);
        cache.namespace("a", floor(6));
        assertRefused(
                "cache too small for all floors: namespace=b floorBlocks=5 otherFloorBlocks=6 maximumBlocks=10",
                () -> cache.namespace("b", floor(5)));
        cache.namespace("b", floor(4));
        assertRefused(
                "ceiling too small for one block: namespace=c ceilingBytes=" + (BLOCK_BYTES - 1) + " blockBytes="
                        + BLOCK_BYTES,
                () -> cache.namespace("c", NamespaceOptions.DEFAULT.withCeilingBytes(BLOCK_BYTES - 1)));
        assertRefused(
                "floor and pins must not be negative, the ceiling not below the floor: floorBytes=2 ceilingBytes=1"
                        + " pinnedBytes=0",
                () -> new NamespaceOptions(2, 1, 0, Retention.DEFAULT));
    }

    // ---- what is shared ----

    @Test
    void shouldShareOnlyWhereKindAndValueOfEveryIdentityAreEqual() {
        Namespace namespace = caches.of(LAYOUT, 20).namespace("a");
        OpenOptions adapter = OpenOptions.DEFAULT.withIdentity("adapter", "x");
        compute(namespace, adapter, prompt(1, 2)).close();
        assertEquals(8, namespace.probe(prompt(1, 2), adapter));
        assertEquals(8, namespace.probe(prompt(1, 2), OpenOptions.DEFAULT.withIdentity("adapter", "x")));
        assertEquals(0, namespace.probe(prompt(1, 2), OpenOptions.DEFAULT.withIdentity("salt", "x")));
        assertEquals(0, namespace.probe(prompt(1, 2), OpenOptions.DEFAULT.withIdentity("adapter", "y")));
        assertEquals(0, namespace.probe(prompt(1, 2), adapter.withIdentity("image", "x")));
        assertEquals(0, namespace.probe(prompt(1, 2)));
        compute(namespace, prompt(1, 2)).close();
        assertEquals(4, namespace.stats().cachedBlocks());
    }

    @Test
    void shouldForgetIdentitiesThatNothingUsesAnyMore() {
        KvCache cache = caches.of(LAYOUT, 4);
        Namespace namespace = cache.namespace("a");
        for (int i = 0; i < 1000; i++) {
            OpenOptions image = OpenOptions.DEFAULT.withIdentity("image", "hash-" + i);
            compute(namespace, image, prompt(1, 2)).close();
            assertEquals(8, namespace.probe(prompt(1, 2), image));
            assertEquals(0, namespace.probe(prompt(1, 2), image.withIdentity("image", "other")));
            cache.verify();
        }
    }

    @Test
    void shouldNeitherLookUpNorPublishWhenToldNotTo() {
        Namespace namespace = caches.of(LAYOUT, 20).namespace("a");
        compute(namespace, OpenOptions.DEFAULT.withoutPublish(), prompt(1, 2)).close();
        assertEquals(0, namespace.probe(prompt(1, 2)));
        compute(namespace, prompt(1, 2)).close();
        assertEquals(0, namespace.probe(prompt(1, 2), OpenOptions.DEFAULT.withoutLookup()));
        try (Sequence sequence = namespace.open(prompt(1, 2), OpenOptions.DEFAULT.withoutLookup())) {
            assertEquals(0, sequence.cachedTokens());
            extend(sequence, prompt(1, 2)); // finds its equals at commit
            assertEquals(2, namespace.stats().usedBlocks() - 1);
        }
    }

    @Test
    void shouldCountPromptsAndHits() {
        Namespace namespace = caches.of(LAYOUT, 4).namespace("a");
        compute(namespace, prompt(1, 2)).close();
        compute(namespace, prompt(1, 2)).close();
        compute(namespace, prompt(2, 3)).close();
        NamespaceStats stats = namespace.stats();
        assertEquals(new NamespaceStats(0, 0, 3, 0, 0, stats.traffic()), stats);
        Traffic traffic = stats.traffic();
        assertEquals(3, traffic.opened());
        assertEquals(9 + 9 + 13, traffic.promptTokens());
        assertEquals(8, traffic.hitTokens());
        assertEquals(5, traffic.publishedBlocks());
        assertEquals(2, traffic.evictedBlocks());
        assertEquals(9 + 9 + 13 - 8 - 3, traffic.missedTokens(MissReason.NEVER_SEEN));
    }

    // ---- quotas ----

    @Test
    void shouldEvictOwnBlocksAtTheCeilingAndThenRefuse() {
        KvCache cache = caches.of(LAYOUT, 20);
        Namespace other = cache.namespace("other");
        compute(other, prompt(9, 2)).close();
        Namespace namespace = cache.namespace("a", ceiling(4));
        compute(namespace, prompt(1, 3)).close();
        try (Sequence sequence = compute(namespace, prompt(2, 2))) { // three blocks, beside three cached
            assertEquals(2, namespace.stats().traffic().evictedBlocks());
            assertEquals(4, namespace.probe(prompt(1, 3)));
            assertTrue(sequence.tryReserve(7)); // two tokens of the third block are left
            assertFalse(sequence.tryReserve(8));
            assertEquals(8, other.probe(prompt(9, 2)));
        }
    }

    @Test
    void shouldGuaranteeAFloor() {
        KvCache cache = caches.of(LAYOUT, 10);
        Namespace guaranteed = cache.namespace("guaranteed", floor(4));
        Namespace greedy = cache.namespace("greedy");
        try (Sequence sequence = greedy.open(prompt(1, 1))) {
            assertFalse(sequence.tryReserve(7 * 4));
            assertTrue(sequence.tryReserve(6 * 4));
            try (Sequence own = compute(guaranteed, prompt(2, 3))) {
                assertEquals(4, own.blocks());
                assertFalse(own.tryReserve(4));
            }
        }
    }

    @Test
    void shouldNotEvictWhatAFloorGuarantees() {
        KvCache cache = caches.of(LAYOUT, 10);
        Namespace guaranteed = cache.namespace("guaranteed", floor(4));
        compute(guaranteed, prompt(1, 6)).close();
        Namespace greedy = cache.namespace("greedy");
        try (Sequence sequence = greedy.open(prompt(2, 1))) {
            assertTrue(sequence.tryReserve(6 * 4)); // what is borrowed goes, the floor stays
            assertEquals(4 * 4, guaranteed.probe(prompt(1, 6)));
            assertFalse(sequence.tryReserve(7 * 4));
            assertEquals(4 * 4, guaranteed.probe(prompt(1, 6)));
        }
    }

    @Test
    void shouldReclaimWhatOthersHaveBorrowedBeforeOwnBlocksOfTheFloor() {
        KvCache cache = caches.of(LAYOUT, 8);
        Namespace guaranteed = cache.namespace("guaranteed", floor(6));
        compute(guaranteed, prompt(1, 4)).close();
        Namespace other = cache.namespace("other");
        compute(other, prompt(2, 1)).close(); // released later
        compute(guaranteed, prompt(3, 3)).close(); // one block more than is free
        assertEquals(4 * 4, guaranteed.probe(prompt(1, 4)));
        assertEquals(0, other.probe(prompt(2, 1)));
    }

    /** The cached blocks of a namespace may be all that is left to cover the floor of another. */
    @Test
    void shouldNotAdoptCachedBlocksThatAnotherFloorNeeds() {
        KvCache cache = caches.of(LAYOUT, 10);
        Namespace other = cache.namespace("other");
        compute(other, prompt(1, 8)).close();
        Namespace guaranteed = cache.namespace("guaranteed", floor(6));
        assertEquals(4 * 4, other.probe(prompt(1, 8)));
        try (Sequence sequence = other.open(prompt(1, 8))) {
            assertEquals(4 * 4, sequence.cachedTokens());
            try (Sequence own = compute(guaranteed, prompt(2, 5))) {
                assertEquals(6, own.blocks());
            }
        }
    }

    @Test
    void shouldSayHowManyBlocksItCouldHoldAtMost() {
        KvCache cache = caches.of(LAYOUT, 10);
        Namespace plain = cache.namespace("p");
        assertEquals(10, plain.mostBlocks());
        Namespace guaranteed = cache.namespace("f", NamespaceOptions.DEFAULT.withFloorBytes(4 * BLOCK_BYTES));
        NamespaceOptions floorAndCeiling =
                NamespaceOptions.DEFAULT.withFloorBytes(2 * BLOCK_BYTES).withCeilingBytes(5 * BLOCK_BYTES);
        Namespace bounded = cache.namespace("c", floorAndCeiling);
        assertEquals(4, plain.mostBlocks());
        assertEquals(8, guaranteed.mostBlocks());
        assertEquals(5, bounded.mostBlocks());
        try (Sequence sequence = plain.open(new int[1])) {
            assertTrue(sequence.tryReserve(4 * 4));
            assertFalse(sequence.tryReserve(4 * 4 + 1));
            assertEquals(4, plain.mostBlocks());
        }
    }

    // ---- erase, renew, and memory that passes on ----

    @Test
    void shouldOverwriteWhatItErases() {
        KvCache cache = caches.of(LAYOUT, 6);
        Namespace namespace = cache.namespace("a");
        compute(namespace, prompt(1, 4)).close();
        try (Sequence holder = compute(namespace, prompt(2, 1))) {
            assertEquals(new Erasure(4, 1), namespace.erase());
            assertEquals(0, namespace.probe(prompt(1, 4)));
            assertEquals(0, namespace.probe(prompt(2, 1)));
            assertRows(holder); // goes on with what it has
            assertEquals(0, cache.stats().cachedBlocks());
            try (Sequence reader = namespace.open(new int[1])) {
                assertFalse(seesOldRows(reader, 4 * 4));
            }
        }
        assertEquals(0, cache.stats().cachedBlocks());
    }

    @Test
    void shouldOverwriteDeferredBlocksAtTheirLastRelease() {
        KvCache cache = caches.of(LAYOUT, 2);
        Namespace namespace = cache.namespace("a");
        Sequence holder = compute(namespace, prompt(1, 1)); // a full block and one of one token
        Sequence fork = holder.fork();
        assertEquals(new Erasure(0, 1), namespace.erase());
        holder.close();
        assertRows(fork);
        fork.truncate(4);
        fork.close();
        try (Sequence reader = namespace.open(new int[1], OpenOptions.DEFAULT)) {
            assertTrue(reader.tryReserve(8));
            float[] keys = new float[16];
            reader.gather(0, 0, 8, keys, 0, keys.clone(), 0);
            int old = 0;
            for (float key : keys) {
                old += key != 0 ? 1 : 0;
            }
            assertEquals(2, old, "only the row of the block that was never published is left");
        }
    }

    @Test
    void shouldPublishNothingThatWasBegunBeforeErase() {
        Namespace namespace = caches.of(LAYOUT, 10).namespace("a");
        try (Sequence young = namespace.open(prompt(1, 2));
                Sequence old = compute(namespace, prompt(2, 1))) {
            namespace.erase();
            extend(young, prompt(1, 2));
            extend(old, 1, 2, 3, 4);
            assertEquals(0, namespace.probe(prompt(1, 2)));
            assertEquals(0, namespace.probe(prompt(2, 1)));
        }
        compute(namespace, prompt(1, 2)).close();
        assertEquals(8, namespace.probe(prompt(1, 2)));
    }

    @Test
    void shouldForgetButNotStopWhenRenewed() {
        Namespace namespace = caches.of(LAYOUT, 10).namespace("a");
        compute(namespace, prompt(1, 2)).close();
        try (Sequence old = compute(namespace, prompt(2, 2))) {
            namespace.renew();
            assertEquals(0, namespace.probe(prompt(1, 2)));
            assertRows(old);
            extend(old, 1, 2, 3, 4);
            try (Sequence fork = old.fork()) {
                extend(fork, 5, 6, 7, 8);
            }
            assertEquals(0, namespace.stats().cachedBlocks());
            compute(namespace, prompt(2, 2)).close();
            assertEquals(8, namespace.probe(prompt(2, 2)));
        }
        assertEquals(2, namespace.stats().cachedBlocks());
        assertEquals(4, namespace.stats().traffic().erasedBlocks());
    }

    @Test
    void shouldNotShowTheMemoryOfAnotherNamespace() {
        KvCache cache = caches.of(LAYOUT, 4);
        Namespace first = cache.namespace("a");
        compute(first, OpenOptions.DEFAULT.withoutPublish(), prompt(1, 3)).close();
        try (Sequence own = first.open(new int[1])) {
            assertTrue(seesOldRows(own, 4 * 4), "its own memory need not be overwritten");
        }
        compute(first, prompt(1, 3)).close();
        try (Sequence other = cache.namespace("b").open(new int[1])) {
            assertFalse(seesOldRows(other, 4 * 4), "memory of free and of evicted blocks");
        }
    }

    @Test
    void shouldNotShowTheMemoryOfAnotherNamespaceBehindACopy() {
        KvCache cache = caches.of(LAYOUT, 4);
        Namespace first = cache.namespace("a");
        Namespace second = cache.namespace("b");
        compute(second, prompt(2, 1)).close();
        compute(first, OpenOptions.DEFAULT.withoutPublish(), prompt(1, 2)).close(); // the three other blocks
        try (Sequence partial = second.open(new int[] {2000, 2001, 9, 9})) {
            assertEquals(2, partial.cachedTokens());
            assertFalse(seesOldRows(partial, 2));
            partial.truncate(2);
            assertRows(partial);
        }
    }

    @Test
    void shouldRefuseToEraseAClosedCache() {
        KvCache cache = KvCache.builder(LAYOUT).maximumBytes(BLOCK_BYTES).build();
        Namespace namespace = cache.namespace("a");
        cache.close();
        assertMisuse("cache is closed", namespace::erase);
        assertMisuse("cache is closed", namespace::renew);
        assertMisuse("cache is closed", () -> cache.maintain(1));
    }
}
