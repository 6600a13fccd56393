package io.kvcache;

import static io.kvcache.Prompts.BLOCK_BYTES;
import static io.kvcache.Prompts.LAYOUT;
import static io.kvcache.Prompts.TOKENS_PER_BLOCK;
import static io.kvcache.Prompts.compute;
import static io.kvcache.Prompts.prompt;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** The contents of a cache are what its events up to their number tell, whatever happens meanwhile. */
final class CacheContentsTest {
    @RegisterExtension
    final Caches caches = new Caches();

    private final EventJournal journal = new EventJournal(1 << 20);
    private long nanos;

    private KvCache cache(int blocks) {
        return caches.add(KvCache.builder(LAYOUT)
                .maximumBytes(blocks * BLOCK_BYTES)
                .clock(() -> nanos)
                .seed(1)
                .listener(journal, Runnable::run)
                .build());
    }

    /** What the events of a journal tell, one after the other. */
    private static final class Replay {
        private final EventJournal journal;
        private final TreeMap<Long, CachedBlock> blocks = new TreeMap<>();
        private long number;

        Replay(EventJournal journal) {
            this.journal = journal;
        }

        CacheContents upTo(long last) {
            if (last > number) {
                for (CacheEvent event : Objects.requireNonNull(journal.after(number, (int) (last - number)))) {
                    apply(event);
                }
            }
            return new CacheContents(number, List.copyOf(blocks.values()));
        }

        private void apply(CacheEvent event) {
            number = event.number();
            switch (event) {
                case CacheEvent.Stored stored ->
                    blocks.put(
                            stored.block(),
                            new CachedBlock(
                                    stored.namespace(),
                                    stored.identities(),
                                    stored.block(),
                                    stored.parent(),
                                    stored.tokens()));
                case CacheEvent.Removed removed -> blocks.remove(removed.block());
                default -> throw new AssertionError(event.toString());
            }
        }
    }

    private static List<Integer> tokens(int seed, int block) {
        int from = seed * 1000 + block * TOKENS_PER_BLOCK;
        return IntStream.range(from, from + TOKENS_PER_BLOCK).boxed().toList();
    }

    @Test
    void shouldListWhatCanBeFoundParentsFirst() {
        KvCache cache = cache(10);
        assertEquals(new CacheContents(0, List.of()), cache.contents());
        OpenOptions adapter = OpenOptions.DEFAULT.withIdentity("adapter", "x");
        List<Identity> identities = List.of(new Identity("adapter", "x"));
        compute(cache.namespace("a"), adapter, prompt(1, 2)).close();
        compute(cache.namespace("b"), prompt(2, 1)).close();
        CacheContents expected = new CacheContents(
                3,
                List.of(
                        new CachedBlock("a", identities, 1, CacheEvent.NO_PARENT, tokens(1, 0)),
                        new CachedBlock("a", identities, 2, 1, tokens(1, 1)),
                        new CachedBlock("b", List.of(), 3, CacheEvent.NO_PARENT, tokens(2, 0))));
        assertEquals(expected, cache.contents());
        cache.namespace("a").renew();
        assertEquals(new CacheContents(5, expected.blocks().subList(2, 3)), cache.contents());
        compute(cache.namespace("a"), prompt(1, 1)).close();
        assertEquals(
                new CachedBlock("a", List.of(), 4, CacheEvent.NO_PARENT, tokens(1, 0)),
                cache.contents().blocks().getLast());
    }

    @Test
    void shouldBeANumberOnlyWhereSomebodyListens() {
        KvCache deaf = caches.of(LAYOUT, 4);
        assertEquals(
                "contents are numbered by the events of a listener, say Builder.listener",
                assertThrows(IllegalStateException.class, deaf::contents).getMessage());
        KvCache cache = cache(4);
        cache.close();
        assertEquals(
                "cache is closed",
                assertThrows(IllegalStateException.class, cache::contents).getMessage());
    }

    @Test
    void shouldNotListWhatIsErasedWhileSequencesHoldIt() {
        KvCache cache = cache(10);
        Namespace namespace = cache.namespace("a");
        compute(cache.namespace("b"), prompt(3, 1)).close();
        try (Sequence holder = compute(namespace, prompt(1, 2))) {
            Erasure erasure = namespace.erase();
            assertEquals(2, erasure.deferredBlocks());
            assertEquals(9, holder.length());
            List<CachedBlock> left = cache.contents().blocks();
            assertEquals(List.of("b"), left.stream().map(CachedBlock::namespace).toList());
            assertEquals(5, cache.contents().number());
        }
        assertEquals(5, cache.contents().number());
    }

    @Test
    void shouldListWhatIsExpiredUntilAnEventSaysThatItHasLeft() {
        KvCache cache = cache(10);
        Retention minute = Retention.DEFAULT.withTtl(Duration.ofMinutes(1));
        Namespace namespace = cache.namespace("a", NamespaceOptions.DEFAULT.withRetention(minute));
        compute(namespace, prompt(1, 2)).close();
        nanos += Duration.ofMinutes(1).toNanos() + 2 * ExpiryWheel.TICK_NANOS;
        assertEquals(0, namespace.probe(prompt(1, 2)));
        assertEquals(2, cache.contents().blocks().size());
        cache.maintain(10);
        assertEquals(new CacheContents(4, List.of()), cache.contents());
    }

    @Test
    void shouldNotListWhatIsNotPublished() {
        KvCache cache = cache(10);
        Namespace namespace = cache.namespace("a");
        try (Sequence secret = compute(namespace, OpenOptions.DEFAULT.withoutPublish(), prompt(1, 2))) {
            assertEquals(9, secret.length());
            assertEquals(new CacheContents(0, List.of()), cache.contents());
        }
    }

    @Test
    void shouldCopyTheTokensAsTheyAre() {
        KvCache cache = cache(2);
        Namespace namespace = cache.namespace("a");
        compute(namespace, prompt(1, 1)).close();
        CacheContents before = cache.contents();
        namespace.erase();
        compute(namespace, prompt(2, 1)).close(); // in the same memory
        assertEquals(tokens(1, 0), before.blocks().getFirst().tokens());
        assertNotEquals(before, cache.contents());
    }

    @Test
    void shouldBeExactAtItsNumberWhileOthersWork() throws Exception {
        KvCache cache = cache(60);
        List<Namespace> namespaces = List.of(cache.namespace("a"), cache.namespace("b"));
        List<CacheContents> taken = new ArrayList<>();
        try (ExecutorService threads = Executors.newFixedThreadPool(4)) {
            List<Future<?>> futures = new ArrayList<>();
            for (int i = 0; i < 4; i++) {
                Random random = new Random(i);
                futures.add(threads.submit(() -> work(namespaces, random)));
            }
            while (!futures.stream().allMatch(Future::isDone)) {
                taken.add(cache.contents());
            }
            for (Future<?> future : futures) {
                future.get();
            }
        }
        taken.add(cache.contents());
        assertEquals(journal.last(), taken.getLast().number());
        Replay replay = new Replay(journal);
        for (CacheContents contents : taken) {
            assertEquals(replay.upTo(contents.number()), contents);
        }
        assertTrue(taken.size() > 50, () -> "contents were taken on the way: " + taken.size());
        assertTrue(taken.getLast().number() > 5000, "blocks came and went");
    }

    private static void work(List<Namespace> namespaces, Random random) {
        for (int i = 0; i < 1000; i++) {
            Namespace namespace = namespaces.get(random.nextInt(namespaces.size()));
            int[] prompt = random.ints(2 + random.nextInt(22), 0, 2).toArray();
            OpenOptions options = random.nextInt(3) == 0
                    ? OpenOptions.DEFAULT.withIdentity("adapter", "x" + random.nextInt(3))
                    : OpenOptions.DEFAULT;
            try (Sequence sequence = namespace.open(prompt, options)) {
                if (random.nextInt(200) == 0) {
                    namespace.erase();
                }
                int[] rest = Arrays.copyOfRange(prompt, sequence.length(), prompt.length);
                if (sequence.tryReserve(rest.length)) {
                    sequence.commit(rest);
                }
            }
        }
    }
}
