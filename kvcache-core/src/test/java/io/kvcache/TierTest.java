package io.kvcache;

import static io.kvcache.Prompts.BLOCK_BYTES;
import static io.kvcache.Prompts.LAYOUT;
import static io.kvcache.Prompts.TOKENS_PER_BLOCK;
import static io.kvcache.Prompts.assertRows;
import static io.kvcache.Prompts.compute;
import static io.kvcache.Prompts.extend;
import static io.kvcache.Prompts.prompt;
import static io.kvcache.Thrown.assertMisuse;
import static io.kvcache.Thrown.assertRefused;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** What leaves memory comes back from the tiers below it; the tests say when the tiers' tasks run. */
final class TierTest {
    private static final long MILLISECOND = 1_000_000;
    private static final Duration LONG = Duration.ofHours(1);

    @RegisterExtension
    final Caches caches = new Caches();

    private final AtomicLong time = new AtomicLong(-77 * MILLISECOND); // of a clock with any origin
    private final AtomicLong wall = new AtomicLong(1_000_000);
    private final TaskQueue tasks = new TaskQueue();
    private final HeapBlockStore disk = new HeapBlockStore();
    private final List<CacheEvent> events = new ArrayList<>();

    private TierOptions tier(String name, BlockStore store) {
        return TierOptions.of(name, store).withExecutor(tasks).withMisses(null);
    }

    private KvCache.Builder builder(int blocks) {
        return KvCache.builder(LAYOUT)
                .maximumBytes(blocks * BLOCK_BYTES)
                .model("tiny")
                .clock(time::get)
                .epochClock(wall::get)
                .listener(events::add, Runnable::run);
    }

    private KvCache cache(int blocks, TierOptions... tiers) {
        KvCache.Builder builder = builder(blocks);
        for (TierOptions tier : tiers) {
            builder.tier(tier);
        }
        return caches.add(builder.build());
    }

    private KvCache cacheOverDisk(int blocks) {
        return cache(blocks, tier("disk", disk));
    }

    /** Computes a prompt, and lets it be copied. */
    private void store(Namespace namespace, int... prompt) {
        compute(namespace, prompt).close();
        tasks.runAll();
    }

    private static TierStats stats(KvCache cache) {
        return cache.stats().tiers().getFirst();
    }

    // ---- down and up ----

    @Test
    void shouldLoadWhatHasLeftMemory() {
        KvCache cache = cacheOverDisk(5);
        Namespace namespace = cache.namespace("a");
        int[] prompt = prompt(1, 4);
        store(namespace, prompt);
        compute(namespace, prompt(2, 4)).close(); // takes all memory
        assertEquals(0, namespace.probe(prompt));
        try (Sequence sequence = namespace.open(prompt)) {
            assertEquals(0, sequence.cachedTokens(), "it starts with what is in memory");
            assertEquals(MissReason.EVICTED, sequence.missReason());
            assertTrue(sequence.isLoading());
            tasks.runAll();
            assertFalse(sequence.isLoading());
            assertEquals(16, sequence.adopt());
            assertEquals(16, sequence.cachedTokens());
            assertEquals(16, sequence.cachedTokens("disk"));
            assertRows(sequence);
            extend(sequence, prompt[16]);
        }
        assertEquals(4, cache.stats().traffic().loadedBlocks());
        assertEquals(16, cache.stats().traffic().loadedTokens());
        assertEquals(8, cache.stats().traffic().publishedBlocks(), "what is loaded is not computed");
        assertEquals(4, stats(cache).loadedBlocks());
        try (Sequence again = namespace.open(prompt)) {
            assertEquals(16, again.cachedTokens());
            assertEquals(0, again.cachedTokens("disk"), "it is in memory now");
        }
    }

    @Test
    void shouldBeWarmInAnotherProcess() {
        store(cacheOverDisk(10).namespace("a"), prompt(1, 4));
        Namespace namespace = cacheOverDisk(10).namespace("a");
        int[] longer = prompt(1, 6);
        try (Sequence sequence = namespace.open(longer)) {
            tasks.runAll();
            assertEquals(16, sequence.adopt());
            assertFalse(sequence.isFollowing());
            extend(sequence, Arrays.copyOfRange(longer, 16, longer.length));
            assertRows(sequence);
        }
        tasks.runAll();
        assertEquals(6, disk.stores.get(), "what came from there does not go there again");
    }

    @Test
    void shouldTakeWhatArrivesOneBlockAfterTheOther() {
        store(cacheOverDisk(10).namespace("a"), prompt(1, 3));
        KvCache cache = cache(10, tier("disk", disk).withThreads(1));
        List<Integer> lengths = new ArrayList<>();
        try (Sequence sequence = cache.namespace("a").open(prompt(1, 3))) {
            tasks.runOne(); // opens the store
            tasks.runOne(); // finds out what it has
            Runnable look = () -> {
                sequence.adopt();
                lengths.add(sequence.length());
            };
            for (int i = 0; i < 3; i++) {
                disk.next = look::run;
                disk.again = true;
            }
            tasks.runAll();
            look.run();
            assertEquals(List.of(0, 4, 8, 12), lengths);
        }
    }

    @Test
    void shouldNotFindWhatAnotherModelLayoutNamespaceOrIdentityHasStored() {
        int[] prompt = prompt(1, 2);
        store(cacheOverDisk(10).namespace("a"), prompt);
        KvLayout heads = KvLayout.builder()
                .layers(1)
                .kvHeads(2)
                .headSize(1)
                .type(KvType.F32)
                .tokensPerBlock(TOKENS_PER_BLOCK)
                .build();
        assertEquals(BLOCK_BYTES, heads.blockBytes());
        KvCache otherLayout = caches.add(KvCache.builder(heads)
                .maximumBytes(10 * BLOCK_BYTES)
                .model("tiny")
                .tier(tier("disk", disk))
                .build());
        KvCache otherModel =
                caches.add(builder(10).model("tiny 2").tier(tier("disk", disk)).build());
        KvCache same = cacheOverDisk(10);
        OpenOptions adapter = OpenOptions.DEFAULT.withIdentity("adapter", "x");
        assertEquals(0, loaded(otherLayout.namespace("a"), OpenOptions.DEFAULT, prompt));
        assertEquals(0, loaded(otherModel.namespace("a"), OpenOptions.DEFAULT, prompt));
        assertEquals(0, loaded(same.namespace("b"), OpenOptions.DEFAULT, prompt));
        assertEquals(0, loaded(same.namespace("a"), adapter, prompt));
        assertEquals(0, disk.loads.get(), "no room was made for what is not there");
        assertEquals(8, loaded(same.namespace("a"), OpenOptions.DEFAULT, prompt));
    }

    /** How many tokens of a prompt come from tiers. */
    private int loaded(Namespace namespace, OpenOptions options, int[] prompt) {
        try (Sequence sequence = namespace.open(prompt, options)) {
            tasks.runAll();
            return sequence.adopt();
        }
    }

    @Test
    void shouldLoadNothingForSequencesThatCouldNotTakeItUp() {
        int[] prompt = prompt(1, 2);
        store(cacheOverDisk(10).namespace("a"), prompt);
        Namespace namespace = cacheOverDisk(10).namespace("a");
        tasks.runAll();
        namespace.open(prompt, OpenOptions.DEFAULT.withoutLookup()).close();
        namespace.open(prompt, OpenOptions.DEFAULT.withoutPublish()).close();
        namespace.open(Arrays.copyOf(prompt, 3)).close();
        assertEquals(0, tasks.size());
    }

    @Test
    void shouldLoadWhatComesBehindThePrefixInMemory() {
        KvCache cache = cacheOverDisk(5);
        Namespace namespace = cache.namespace("a");
        int[] prompt = prompt(1, 4);
        store(namespace, prompt);
        compute(namespace, prompt(2, 2)).close(); // evicts the end
        int cached = namespace.probe(prompt);
        assertTrue(cached > 0 && cached < 16, () -> "cached=" + cached);
        try (Sequence sequence = namespace.open(prompt)) {
            assertEquals(cached, sequence.cachedTokens());
            tasks.runAll();
            sequence.adopt();
            assertEquals(16, sequence.cachedTokens());
            assertEquals(16 - cached, sequence.cachedTokens("disk"));
            assertRows(sequence);
        }
    }

    @Test
    void shouldGoOnFromTierToTier() {
        HeapBlockStore remote = new HeapBlockStore();
        int[] prompt = prompt(1, 5);
        store(cacheOverDisk(10).namespace("a"), Arrays.copyOf(prompt, 9)); // two blocks
        store(cache(10, tier("remote", remote)).namespace("a"), Arrays.copyOf(prompt, 17)); // four
        KvCache cache = cache(10, tier("disk", disk), tier("remote", remote));
        try (Sequence sequence = cache.namespace("a").open(prompt)) {
            tasks.runAll();
            assertEquals(16, sequence.adopt());
            assertEquals(8, sequence.cachedTokens("disk"));
            assertEquals(8, sequence.cachedTokens("remote"));
            assertRefused("no such tier: name=tape tiers=[disk, remote]", () -> sequence.cachedTokens("tape"));
            assertRows(sequence);
        }
        tasks.runAll();
        assertEquals(4, disk.stores.get(), "what came from below goes into the tiers above");
        assertEquals(4, remote.stores.get());
    }

    @Test
    void shouldLoadABlockOnceForAllWhoNeedIt() {
        int[] prompt = prompt(1, 3);
        store(cacheOverDisk(10).namespace("a"), prompt);
        KvCache cache = cacheOverDisk(10);
        Namespace namespace = cache.namespace("a");
        try (Sequence first = namespace.open(prompt);
                Sequence second = namespace.open(prompt);
                Sequence third = namespace.open(prompt(1, 2))) {
            tasks.runAll();
            assertEquals(12, first.adopt());
            assertEquals(12, second.adopt());
            assertEquals(8, third.adopt());
            assertEquals(3, disk.loads.get());
            assertEquals(8, third.cachedTokens("disk"));
        }
        assertEquals(3, cache.stats().usedBlocks() + cache.stats().cachedBlocks());
    }

    @Test
    void shouldLoadWhileAnOpenWaits() throws InterruptedException {
        int[] prompt = prompt(1, 3);
        store(cacheOverDisk(10).namespace("a"), prompt);
        KvCache cache = caches.add(builder(10)
                .tier(TierOptions.of("disk", disk))
                .clock(System::nanoTime)
                .build());
        try (Sequence sequence = cache.namespace("a").open(prompt, OpenOptions.DEFAULT, LONG)) {
            assertNotNull(sequence);
            assertEquals(12, sequence.cachedTokens());
            assertEquals(12, sequence.cachedTokens("disk"));
            assertEquals(1, sequence.reserved(), "there is room for the rest");
            assertRows(sequence);
            sequence.truncate(12);
        }
        assertTrue(cache.flush(LONG));
    }

    @Test
    void shouldAwaitWhatIsBeingLoaded() throws InterruptedException {
        int[] prompt = prompt(1, 40);
        store(cacheOverDisk(50).namespace("a"), prompt);
        KvCache cache = caches.add(builder(50)
                .tier(TierOptions.of("disk", disk))
                .clock(System::nanoTime)
                .build());
        try (Sequence sequence = cache.namespace("a").open(prompt)) {
            sequence.await(LONG);
            assertEquals(160, sequence.cachedTokens("disk"));
            assertEquals(0, sequence.await(Duration.ZERO));
            assertRows(sequence);
        }
        assertTrue(cache.flush(LONG));
    }

    @Test
    void shouldStopLoadingWhenNobodyNeedsItAnyMore() {
        int[] prompt = prompt(1, 3);
        store(cacheOverDisk(10).namespace("a"), prompt);
        KvCache cache = cacheOverDisk(10);
        cache.namespace("a").open(prompt).close();
        tasks.runAll();
        assertEquals(0, disk.loads.get());
        assertEquals(0, cache.stats().cachedBlocks());
    }

    @Test
    void shouldLoadWhatFitsAndLeaveTheRestToBeComputed() {
        int[] prompt = prompt(1, 4);
        store(cacheOverDisk(10).namespace("a"), prompt);
        KvCache cache = cacheOverDisk(5);
        try (Sequence other = compute(cache.namespace("b"), prompt(2, 2));
                Sequence sequence = cache.namespace("a").open(prompt)) {
            tasks.runAll();
            assertEquals(8, sequence.adopt());
            assertFalse(sequence.isFollowing());
            assertEquals(0, cache.stats().traffic().refusals());
            assertRows(other);
        }
    }

    @Test
    void shouldOvertakeALoadByComputing() {
        int[] prompt = prompt(1, 4);
        store(cacheOverDisk(10).namespace("a"), prompt);
        KvCache cache = cacheOverDisk(12);
        try (Sequence sequence = cache.namespace("a").open(prompt)) {
            extend(sequence, Arrays.copyOf(prompt, 9));
            tasks.runAll();
            assertEquals(7, sequence.adopt(), "the rest of the third block, and the fourth");
            assertRows(sequence);
        }
    }

    // ---- which, and when ----

    @Test
    void shouldStoreByRuleAndMoment() {
        int[] prompt = prompt(1, 2);
        for (StoreRule rule : StoreRule.values()) {
            for (StoreMoment moment : StoreMoment.values()) {
                HeapBlockStore store = new HeapBlockStore();
                KvCache cache = cache(10, tier("disk", store).withRule(rule, moment));
                Namespace namespace = cache.namespace("a");
                boolean now = moment == StoreMoment.COMMIT;
                Sequence first = compute(namespace, prompt);
                assertStored(rule == StoreRule.ALL && now ? 2 : 0, store);
                first.close();
                assertStored(rule == StoreRule.ALL ? 2 : 0, store);
                Sequence second = compute(namespace, prompt);
                boolean secondUse = rule == StoreRule.SECOND_USE;
                assertStored(rule == StoreRule.ALL || (secondUse && now) ? 2 : 0, store);
                second.retain(0, 4, Retention.DEFAULT.withPriority(80));
                boolean retained = rule == StoreRule.RETAINED;
                assertStored(rule == StoreRule.ALL || (secondUse && now) ? 2 : retained && now ? 1 : 0, store);
                second.close();
                assertStored(rule == StoreRule.ALL || secondUse ? 2 : retained ? 1 : 0, store);
            }
        }
    }

    private void assertStored(int blocks, HeapBlockStore store) {
        tasks.runAll();
        assertEquals(blocks, store.stores.get());
    }

    @Test
    void shouldDropWritesWhenTooManyWait() {
        KvCache cache = cache(10, tier("disk", disk).withQueuedBlocks(3));
        compute(cache.namespace("a"), prompt(1, 5)).close();
        assertEquals(3, stats(cache).queuedBlocks());
        tasks.runAll();
        assertEquals(3, disk.stores.get());
        assertEquals(2, stats(cache).droppedBlocks());
        assertEquals(3, stats(cache).storedBlocks());
    }

    @Test
    void shouldHoldNothingThatWaitsToBeStored() {
        KvCache cache = cacheOverDisk(4);
        Namespace namespace = cache.namespace("a");
        compute(namespace, prompt(1, 3)).close();
        compute(namespace, prompt(2, 3)).close();
        tasks.runAll();
        assertEquals(3, stats(cache).storedBlocks());
        assertEquals(3, stats(cache).lostBlocks());
        assertEquals(0, loaded(cacheOverDisk(5).namespace("a"), OpenOptions.DEFAULT, prompt(1, 3)));
        assertEquals(12, loaded(cacheOverDisk(5).namespace("a"), OpenOptions.DEFAULT, prompt(2, 3)));
    }

    @Test
    void shouldKeepNeitherOrderNorTimeOfWhatIsBeingStored() {
        KvCache cache = cacheOverDisk(6);
        Namespace namespace = cache.namespace("a");
        compute(namespace, prompt(1, 2)).close();
        compute(namespace, prompt(2, 2)).close();
        tasks.runAll();
        compute(namespace, prompt(3, 3)).close();
        assertEquals(0, namespace.probe(prompt(1, 1)), "what was released first goes first, as without tiers");
        assertEquals(4, namespace.probe(prompt(2, 1)));
    }

    @Test
    void shouldOfferAgainWhatWasDeclinedOrFailed() {
        KvCache cache = cacheOverDisk(10);
        Namespace namespace = cache.namespace("a");
        disk.full = true;
        store(namespace, prompt(1, 1));
        disk.full = false;
        assertEquals(1, stats(cache).declinedBlocks());
        compute(namespace, prompt(1, 1)).close();
        tasks.runAll();
        assertEquals(1, stats(cache).storedBlocks());
    }

    // ---- retention ----

    @Test
    void shouldCarryRetentionOver() {
        Retention retention =
                Retention.DEFAULT.withPriority(70, Duration.ofMillis(500)).withTtlSinceFirstUse(Duration.ofSeconds(1));
        store(cacheOverDisk(10).namespace("a", NamespaceOptions.DEFAULT.withRetention(retention)), prompt(1, 2));
        wall.addAndGet(600);
        KvCache cache = cacheOverDisk(10);
        Namespace namespace = cache.namespace("a");
        assertEquals(8, loaded(namespace, OpenOptions.DEFAULT, prompt(1, 2)));
        time.addAndGet(399 * MILLISECOND);
        assertEquals(8, namespace.probe(prompt(1, 2)));
        time.addAndGet(2 * MILLISECOND);
        assertEquals(0, namespace.probe(prompt(1, 2)), "a second after it was stored");
    }

    @Test
    void shouldNotLoadWhatIsOver() {
        Retention retention = Retention.DEFAULT.withTtl(Duration.ofSeconds(1));
        store(cacheOverDisk(10).namespace("a", NamespaceOptions.DEFAULT.withRetention(retention)), prompt(1, 2));
        wall.addAndGet(999);
        assertEquals(8, loaded(cacheOverDisk(10).namespace("a"), OpenOptions.DEFAULT, prompt(1, 2)));
        wall.addAndGet(1);
        KvCache cache = cacheOverDisk(10);
        assertEquals(0, loaded(cache.namespace("a"), OpenOptions.DEFAULT, prompt(1, 2)));
        assertTrue(stats(cache).missedBlocks() > 0);
        wall.addAndGet(-500_000);
        Namespace namespace = cacheOverDisk(10).namespace("a");
        assertEquals(8, loaded(namespace, OpenOptions.DEFAULT, prompt(1, 2)));
        time.addAndGet(1000 * MILLISECOND);
        assertEquals(0, namespace.probe(prompt(1, 2)), "a wall clock that was put back prolongs nothing");
    }

    // ---- events ----

    @Test
    void shouldTellOfBlocksThatGoDownAndComeUp() {
        store(cacheOverDisk(10).namespace("a"), prompt(1, 1));
        assertEquals(
                List.of(
                        new CacheEvent.Stored(1, "a", List.of(), 1, 0, List.of(1000, 1001, 1002, 1003)),
                        new CacheEvent.Offloaded(2, "a", 1, "disk")),
                events);
        events.clear();
        loaded(cacheOverDisk(10).namespace("a"), OpenOptions.DEFAULT, prompt(1, 1));
        assertEquals(
                List.of(
                        new CacheEvent.Stored(1, "a", List.of(), 1, 0, List.of(1000, 1001, 1002, 1003)),
                        new CacheEvent.Loaded(2, "a", 1, "disk")),
                events);
    }

    @Test
    void shouldTellWhenATierIsLeftAloneAndUsedAgain() {
        KvCache cache = cacheOverDisk(20);
        Namespace namespace = cache.namespace("a");
        disk.always = () -> {
            throw new IOException("no space left");
        };
        store(namespace, prompt(1, 6));
        disk.always = null;
        time.addAndGet(250 * MILLISECOND);
        cache.maintain(1);
        tasks.runAll();
        String failure = "java.io.IOException: no space left";
        assertEquals(
                List.of(
                        new CacheEvent.TierChanged(7, "disk", true, false, failure),
                        new CacheEvent.TierChanged(8, "disk", true, true, failure)),
                events.stream().filter(CacheEvent.TierChanged.class::isInstance).toList());
    }

    // ---- erase ----

    @Test
    void shouldEraseInAllTiers() {
        HeapBlockStore remote = new HeapBlockStore();
        KvCache cache = caches.add(builder(10)
                .tier(tier("disk", disk).withExecutor(Runnable::run))
                .tier(tier("remote", remote).withExecutor(Runnable::run))
                .build());
        Namespace namespace = cache.namespace("a");
        compute(namespace, prompt(1, 2)).close();
        compute(cache.namespace("b"), prompt(1, 2)).close();
        assertEquals(new Erasure(2, 0), namespace.erase());
        assertEquals(0, loaded(cacheOverDisk(10).namespace("a"), OpenOptions.DEFAULT, prompt(1, 2)));
        assertEquals(8, loaded(cacheOverDisk(10).namespace("b"), OpenOptions.DEFAULT, prompt(1, 2)));
        assertEquals(1, remote.erasures.get());
        namespace.renew();
        assertEquals(2, remote.erasures.get());
    }

    @Test
    void shouldSayWhatAnErasureCouldNotReachAndLoadNothingOfIt() {
        KvCache cache = caches.add(
                builder(10).tier(tier("disk", disk).withExecutor(Runnable::run)).build());
        Namespace namespace = cache.namespace("a");
        compute(namespace, prompt(1, 2)).close();
        disk.next = () -> {
            throw new IOException("no such device");
        };
        disk.before = true;
        assertEquals(new Erasure(2, 0, List.of("disk: java.io.IOException: no such device")), namespace.erase());
        assertEquals(1, stats(cache).unreachedNamespaces());
        disk.next = () -> {
            throw new IOException("still none");
        };
        disk.before = true;
        assertEquals(0, loaded(namespace, OpenOptions.DEFAULT, prompt(1, 2)), "it is there, but was erased");
        assertEquals(1, stats(cache).unreachedNamespaces());
        assertEquals(0, loaded(namespace, OpenOptions.DEFAULT, prompt(1, 2)), "the erasure goes first");
        assertEquals(0, stats(cache).unreachedNamespaces());
        assertEquals(0, disk.size());
    }

    @Test
    void shouldNotPublishWhatArrivesAfterAnErasure() {
        int[] prompt = prompt(1, 2);
        store(cacheOverDisk(10).namespace("a"), prompt);
        KvCache cache = cache(10, tier("disk", disk).withDeadline(Duration.ofMillis(1)));
        Namespace namespace = cache.namespace("a");
        try (Sequence sequence = namespace.open(prompt)) {
            disk.next = () -> assertEquals(
                    List.of("disk: not within its deadline"), namespace.erase().unreached());
            disk.only = disk.loads;
            tasks.runAll();
            assertEquals(0, sequence.adopt());
            assertEquals(0, namespace.probe(prompt));
        }
        assertEquals(0, disk.size(), "the erasure came, late");
        assertEquals(0, loaded(namespace, OpenOptions.DEFAULT, prompt));
    }

    // ---- failure ----

    @Test
    void shouldComputeWhenAStoreFails() {
        int[] prompt = prompt(1, 3);
        store(cacheOverDisk(10).namespace("a"), prompt);
        KvCache cache = cacheOverDisk(10);
        tasks.runAll();
        for (int call = 0; call < 4; call++) { // a look, and the loads
            Namespace namespace = cache.namespace("a");
            AtomicInteger calls = new AtomicInteger();
            int failing = call;
            disk.always = () -> {
                if (calls.getAndIncrement() == failing) {
                    throw call(failing);
                }
            };
            try (Sequence sequence = namespace.open(prompt)) {
                tasks.runAll();
                int expected = Math.max(0, failing - 1) * 4;
                assertEquals(expected, sequence.adopt());
                assertFalse(sequence.isFollowing());
                extend(sequence, Arrays.copyOfRange(prompt, expected, prompt.length));
                assertRows(sequence);
            }
            disk.always = null;
            assertEquals(call + 1, stats(cache).failedLoads());
            cache.verify();
            tasks.runAll();
            namespace.renew();
            tasks.runAll();
            store(cacheOverDisk(10).namespace("a"), prompt);
        }
        assertTrue(stats(cache).loads());
    }

    private static IOException call(int number) throws IOException {
        if (number == 1) {
            throw new IllegalStateException("call " + number);
        }
        if (number == 2) {
            throw new AssertionError("call " + number);
        }
        return new IOException("call " + number);
    }

    @Test
    void shouldStartWithoutAStoreThatCannotBeOpened() {
        AtomicInteger attempts = new AtomicInteger();
        BlockStore.Opener opener = () -> {
            if (attempts.incrementAndGet() < 3) {
                throw new IOException("not mounted");
            }
            return disk;
        };
        KvCache cache =
                cache(10, TierOptions.of("disk", opener).withExecutor(tasks).withMisses(null));
        Namespace namespace = cache.namespace("a");
        tasks.runAll();
        assertEquals("java.io.IOException: not mounted", stats(cache).lastFailure());
        assertEquals(0, loaded(namespace, OpenOptions.DEFAULT, prompt(1, 2)));
        assertEquals(2, attempts.get());
        store(namespace, prompt(1, 2));
        assertEquals(3, attempts.get());
        assertEquals(2, disk.stores.get());
    }

    @Test
    void shouldLeaveATierAloneWhileItFails() {
        int[] prompt = prompt(1, 1);
        store(cacheOverDisk(10).namespace("a"), prompt);
        KvCache cache = cacheOverDisk(10);
        Namespace namespace = cache.namespace("a");
        disk.always = () -> {
            throw new IOException("no");
        };
        for (int i = 0; i < 5; i++) {
            assertTrue(stats(cache).loads());
            assertEquals(0, loaded(namespace, OpenOptions.DEFAULT, prompt));
        }
        assertFalse(stats(cache).loads());
        assertEquals(1, stats(cache).pauses());
        int looks = disk.looks.get();
        try (Sequence sequence = namespace.open(prompt)) {
            assertFalse(sequence.isLoading());
        }
        time.addAndGet(250 * MILLISECOND);
        assertEquals(0, loaded(namespace, OpenOptions.DEFAULT, prompt), "a probe");
        assertEquals(looks + 1, disk.looks.get());
        disk.always = null;
        time.addAndGet(499 * MILLISECOND);
        assertEquals(0, loaded(namespace, OpenOptions.DEFAULT, prompt), "too early for another");
        time.addAndGet(MILLISECOND);
        assertEquals(4, loaded(namespace, OpenOptions.DEFAULT, prompt));
        assertTrue(stats(cache).loads());
    }

    @Test
    void shouldGoOnStoringWhenATierTakesBlocksAgain() {
        KvCache cache = cacheOverDisk(20);
        Namespace namespace = cache.namespace("a");
        disk.always = () -> {
            throw new IOException("no space left");
        };
        store(namespace, prompt(1, 8));
        assertEquals(5, stats(cache).failedStores());
        assertEquals(3, stats(cache).queuedBlocks());
        assertFalse(stats(cache).stores());
        assertTrue(stats(cache).loads(), "a full disk can still be read");
        disk.always = null;
        cache.maintain(1);
        tasks.runAll();
        assertEquals(3, stats(cache).queuedBlocks(), "it is too early for a probe");
        time.addAndGet(250 * MILLISECOND);
        cache.maintain(1);
        tasks.runAll();
        assertEquals(3, stats(cache).storedBlocks());
        assertTrue(stats(cache).stores());
    }

    @Test
    void shouldComputeWhenALoadIsLate() {
        int[] prompt = prompt(1, 3);
        store(cacheOverDisk(10).namespace("a"), prompt);
        KvCache cache = cacheOverDisk(10);
        Namespace namespace = cache.namespace("a");
        try (Sequence sequence = namespace.open(prompt)) {
            tasks.runOne(); // opens the store
            tasks.runOne(); // finds out what it has
            disk.next = () -> { // in the middle of a load
                time.addAndGet(250 * MILLISECOND);
                assertTrue(sequence.isLoading(), "in time");
                time.addAndGet(MILLISECOND);
                assertFalse(sequence.isFollowing(), "late");
                extend(sequence, prompt);
                assertEquals(5, cache.stats().usedBlocks(), "the block that is being read is nobody else's");
                cache.verify();
            };
            tasks.runAll();
            assertEquals(4, cache.stats().usedBlocks());
            assertRows(sequence);
        }
        assertEquals(1, stats(cache).lateLoads());
    }

    @Test
    void shouldWakeAWaitingOpenWhenItsLoadIsLate() throws InterruptedException {
        int[] prompt = prompt(1, 3);
        store(cacheOverDisk(10).namespace("a"), prompt);
        KvCache cache = caches.add(builder(10)
                .clock(System::nanoTime)
                .tier(tier("disk", disk).withDeadline(Duration.ofMillis(5)))
                .build());
        try (Sequence sequence = cache.namespace("a").open(prompt, OpenOptions.DEFAULT, LONG)) {
            assertNotNull(sequence);
            assertEquals(0, sequence.cachedTokens(), "no task has run");
            assertEquals(13, sequence.reserved());
            sequence.truncate(0);
        }
        try (Sequence sequence = cache.namespace("a").open(prompt)) {
            assertEquals(0, sequence.await(LONG));
        }
        tasks.runAll();
        assertEquals(2, stats(cache).lateLoads());
    }

    @Test
    void shouldDoWithoutAnExecutorThatRefuses() {
        store(cacheOverDisk(10).namespace("a"), prompt(1, 2));
        KvCache cache = cacheOverDisk(10);
        tasks.runAll();
        tasks.refuses = true;
        Namespace namespace = cache.namespace("a");
        try (Sequence sequence = namespace.open(prompt(1, 2))) {
            assertFalse(sequence.isFollowing());
            extend(sequence, prompt(1, 2));
        }
        assertEquals(
                List.of("disk: java.util.concurrent.CancellationException"),
                namespace.erase().unreached());
        tasks.refuses = false;
        store(namespace, prompt(2, 2));
        assertEquals(4, disk.stores.get());
    }

    @Test
    void shouldReadFromOneTierWhileAnotherHangs() {
        int[] prompt = prompt(1, 4);
        store(cacheOverDisk(10).namespace("a"), Arrays.copyOf(prompt, 9)); // two blocks
        TaskQueue hanging = new TaskQueue(); // runs nothing
        KvCache cache = cache(
                10, tier("disk", disk), tier("remote", new HeapBlockStore()).withExecutor(hanging));
        Namespace namespace = cache.namespace("a");
        for (int i = 0; i < 6; i++) {
            try (Sequence sequence = namespace.open(prompt)) {
                tasks.runAll();
                assertEquals(i == 0 ? 8 : 0, sequence.adopt());
                assertEquals(i < 5, sequence.isLoading(), cache.stats().tiers()::toString);
                time.addAndGet(251 * MILLISECOND);
                assertFalse(sequence.isFollowing());
            }
        }
        assertTrue(cache.stats().tiers().getFirst().loads(), "what hangs is the other tier");
        assertFalse(cache.stats().tiers().getLast().loads());
        assertTrue(hanging.size() <= 8, () -> "tasks=" + hanging.size());
        hanging.runAll();
    }

    @Test
    void shouldLeaveATierAloneThatAnswersTooLate() {
        int[] prompt = prompt(1, 1);
        store(cacheOverDisk(10).namespace("a"), prompt);
        KvCache cache = cacheOverDisk(10);
        disk.always = () -> time.addAndGet(300 * MILLISECOND);
        for (int i = 0; i < 5; i++) {
            assertTrue(stats(cache).loads());
            loaded(cache.namespace("n" + i), OpenOptions.DEFAULT, prompt);
            loaded(cache.namespace("a"), OpenOptions.DEFAULT, prompt);
            cache.namespace("a").renew();
            store(cacheOverDisk(10).namespace("a"), prompt);
        }
        assertFalse(stats(cache).loads());
    }

    @Test
    void shouldCountOnlyTheTokensThatCameFromATier() {
        int[] prompt = prompt(1, 2);
        store(cacheOverDisk(10).namespace("a"), prompt);
        KvCache cache = cacheOverDisk(10);
        try (Sequence sequence = cache.namespace("a").open(prompt)) {
            extend(sequence, prompt[0], prompt[1], prompt[2]);
            tasks.runAll();
            assertEquals(5, sequence.adopt());
            assertEquals(5, sequence.cachedTokens());
            assertEquals(5, sequence.cachedTokens("disk"));
        }
    }

    @Test
    void shouldNotTakeAnErasureForALaterOne() {
        KvCache cache = caches.add(
                builder(10).tier(tier("disk", disk).withExecutor(Runnable::run)).build());
        Namespace namespace = cache.namespace("a");
        compute(namespace, prompt(1, 2)).close();
        disk.only = disk.erasures;
        disk.next = () -> { // the first erasure is done, and has not returned
            compute(namespace, prompt(1, 2)).close();
            disk.only = disk.erasures;
            disk.again = true;
            disk.next = () -> {
                throw new IOException("no such device");
            };
            namespace.erase();
        };
        namespace.erase();
        assertEquals(1, stats(cache).unreachedNamespaces(), "the second one has failed");
    }

    @Test
    void shouldNotCopyWhatIsErasedMeanwhile() throws IOException {
        KvCache cache = cache(20);
        Namespace namespace = cache.namespace("a");
        compute(namespace, prompt(1, 3)).close();
        disk.next = namespace::erase;
        assertEquals(0, cache.copyTo(disk, List.of(namespace)));
        assertEquals(0, disk.size());
    }

    // ---- configuration ----

    @Test
    void shouldRefuseTiersThatItCannotUse() {
        assertMisuse(
                "a cache with tiers must know its model, say Builder.model: tier=disk",
                () -> KvCache.builder(LAYOUT)
                        .maximumBytes(BLOCK_BYTES)
                        .tier(tier("disk", disk))
                        .build());
        assertRefused(
                "there is a tier with this name: name=disk",
                () -> builder(1)
                        .tier(tier("disk", disk))
                        .tier(tier("disk", disk))
                        .build());
        assertRefused(
                "must be positive: deadlineNanos=0 queuedBlocks=1024 threads=2",
                () -> tier("disk", disk).withDeadline(Duration.ZERO));
        KvCache cache = caches.of(LAYOUT, 1);
        assertMisuse(
                "a cache with tiers must know its model, say Builder.model: tier=disk",
                () -> cache.addTier(tier("disk", disk)));
        assertMisuse(
                "a cache whose blocks are stored must know its model, say Builder.model",
                () -> cache.copyTo(disk, List.of()));
    }

    @Test
    void shouldTakeATierInLater() {
        store(cacheOverDisk(10).namespace("a"), prompt(1, 2));
        KvCache cache = cache(10);
        Namespace namespace = cache.namespace("a");
        compute(namespace, prompt(2, 1)).close();
        cache.addTier(tier("snapshot", disk).withRule(StoreRule.NONE, StoreMoment.COMMIT));
        assertEquals(8, loaded(namespace, OpenOptions.DEFAULT, prompt(1, 2)));
        store(namespace, prompt(3, 1));
        assertEquals(2, disk.stores.get());
    }

    @Test
    void shouldCopyWhatCanBeFound() throws IOException {
        KvCache cache = cache(20);
        compute(cache.namespace("a"), prompt(1, 3)).close();
        compute(cache.namespace("a"), prompt(2, 2)).close();
        compute(cache.namespace("b"), prompt(1, 1)).close();
        compute(cache.namespace("c"), prompt(1, 1)).close();
        assertEquals(6, cache.copyTo(disk, List.of(cache.namespace("a"), cache.namespace("b"))));
        KvCache other = cacheOverDisk(20);
        assertEquals(12, loaded(other.namespace("a"), OpenOptions.DEFAULT, prompt(1, 3)));
        assertEquals(8, loaded(other.namespace("a"), OpenOptions.DEFAULT, prompt(2, 2)));
        assertEquals(4, loaded(other.namespace("b"), OpenOptions.DEFAULT, prompt(1, 1)));
        assertEquals(0, loaded(other.namespace("c"), OpenOptions.DEFAULT, prompt(1, 1)));
    }
}
