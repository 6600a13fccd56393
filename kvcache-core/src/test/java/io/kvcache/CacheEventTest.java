package io.kvcache;

import static io.kvcache.Prompts.BLOCK_BYTES;
import static io.kvcache.Prompts.LAYOUT;
import static io.kvcache.Prompts.TOKENS_PER_BLOCK;
import static io.kvcache.Prompts.compute;
import static io.kvcache.Prompts.extend;
import static io.kvcache.Prompts.prompt;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Queue;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.RejectedExecutionException;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** What a listener is told, and that it cannot hurt the cache. */
final class CacheEventTest {
    private static final Duration MINUTE = Duration.ofMinutes(1);

    @RegisterExtension
    final Caches caches = new Caches();

    private final List<CacheEvent> events = new ArrayList<>();
    private long nanos;

    private KvCache cache(int blocks, CacheListener listener, Executor executor) {
        return caches.add(KvCache.builder(LAYOUT)
                .maximumBytes(blocks * BLOCK_BYTES)
                .clock(() -> nanos)
                .seed(1)
                .listener(listener, executor)
                .build());
    }

    /** A cache that tells the list of events. */
    private KvCache cache(int blocks) {
        return cache(blocks, events::add, Runnable::run);
    }

    private static List<Integer> tokens(int seed, int block) {
        int from = seed * 1000 + block * TOKENS_PER_BLOCK;
        return IntStream.range(from, from + TOKENS_PER_BLOCK).boxed().toList();
    }

    private List<CacheEvent> take() {
        List<CacheEvent> taken = List.copyOf(events);
        events.clear();
        return taken;
    }

    /** Runs what it is given when it is told to. */
    private static final class HeldBack implements Executor {
        private final Queue<Runnable> tasks = new ArrayDeque<>();

        @Override
        public void execute(Runnable task) {
            tasks.add(task);
        }

        int run() {
            int run = 0;
            for (Runnable task = tasks.poll(); task != null; task = tasks.poll()) {
                task.run();
                run++;
            }
            return run;
        }
    }

    // ---- what is told ----

    @Test
    void shouldTellWhatIsStoredAndRemovedWithItsParent() {
        KvCache cache = cache(4);
        Namespace namespace = cache.namespace("a");
        OpenOptions adapter = OpenOptions.DEFAULT.withIdentity("adapter", "x");
        compute(namespace, adapter, prompt(1, 2)).close();
        List<Identity> identities = List.of(new Identity("adapter", "x"));
        assertEquals(
                List.of(
                        new CacheEvent.Stored(1, "a", identities, 1, CacheEvent.NO_PARENT, tokens(1, 0)),
                        new CacheEvent.Stored(2, "a", identities, 2, 1, tokens(1, 1))),
                take());
        compute(cache.namespace("b"), prompt(2, 2)).close();
        assertEquals(
                List.of(
                        new CacheEvent.Removed(3, "a", 2, 1, RemovalCause.CAPACITY),
                        new CacheEvent.Stored(4, "b", List.of(), 3, CacheEvent.NO_PARENT, tokens(2, 0)),
                        new CacheEvent.Stored(5, "b", List.of(), 4, 3, tokens(2, 1))),
                take());
        namespace.erase();
        cache.namespace("b").renew();
        assertEquals(
                List.of(
                        new CacheEvent.Removed(6, "a", 1, CacheEvent.NO_PARENT, RemovalCause.EXPLICIT),
                        new CacheEvent.Removed(7, "b", 4, 3, RemovalCause.EXPLICIT),
                        new CacheEvent.Removed(8, "b", 3, CacheEvent.NO_PARENT, RemovalCause.EXPLICIT)),
                take());
        compute(namespace, prompt(1, 1)).close();
        assertEquals(List.of(new CacheEvent.Stored(9, "a", List.of(), 5, CacheEvent.NO_PARENT, tokens(1, 0))), take());
    }

    @Test
    void shouldTellWhatExpires() {
        KvCache cache = cache(10);
        Retention minute = Retention.DEFAULT.withTtl(MINUTE);
        Namespace namespace = cache.namespace("a", NamespaceOptions.DEFAULT.withRetention(minute));
        compute(namespace, prompt(1, 2)).close();
        take();
        nanos += MINUTE.toNanos();
        assertEquals(0, namespace.probe(prompt(1, 2)));
        assertEquals(List.of(), take(), "probing changes nothing");
        namespace.open(prompt(1, 2)).close();
        List<CacheEvent> expired = List.of(
                new CacheEvent.Removed(3, "a", 2, 1, RemovalCause.EXPIRED),
                new CacheEvent.Removed(4, "a", 1, CacheEvent.NO_PARENT, RemovalCause.EXPIRED));
        assertEquals(expired, take());
        compute(namespace, prompt(1, 1)).close();
        take();
        nanos += MINUTE.toNanos() + 2 * ExpiryWheel.TICK_NANOS;
        cache.maintain(10);
        assertEquals(List.of(new CacheEvent.Removed(6, "a", 3, CacheEvent.NO_PARENT, RemovalCause.EXPIRED)), take());
    }

    @Test
    @SuppressWarnings("try") // closes before the end
    void shouldSayNothingOfACopyWhileAnotherIsServed() {
        Namespace namespace = cache(10).namespace("a");
        try (Sequence first = namespace.open(prompt(1, 2));
                Sequence second = namespace.open(prompt(1, 2), OpenOptions.DEFAULT.withoutLookup())) {
            extend(first, prompt(1, 2));
            assertEquals(2, take().size());
            extend(second, prompt(1, 2)); // its copies go back at commit
            assertEquals(List.of(), take());
            first.close();
            try (Sequence fork = second.fork()) {
                second.close();
                assertEquals(9, fork.length());
            }
        }
        assertEquals(List.of(), take(), "still found");
        assertEquals(8, namespace.probe(prompt(1, 2)));
    }

    @Test
    void shouldTellNothingOfWhatIsNotPublished() {
        Namespace namespace = cache(10).namespace("a");
        try (Sequence secret = compute(namespace, OpenOptions.DEFAULT.withoutPublish(), prompt(1, 2))) {
            assertTrue(namespace.put("chat", secret, Retention.DEFAULT));
        }
        assertTrue(namespace.remove("chat"));
        assertEquals(List.of(), take());
    }

    // ---- a mirror ----

    /** What can be found, as the events tell it. */
    private static final class Mirror {
        private record Node(String namespace, long parent, List<Integer> tokens) {}

        final Map<Long, Node> nodes = new HashMap<>();
        final Map<Node, Long> numbers = new HashMap<>();
        final Map<Long, Integer> children = new HashMap<>();
        final Set<Long> seen = new HashSet<>(Set.of(CacheEvent.NO_PARENT));
        long last;

        void apply(CacheEvent event) {
            assertEquals(last + 1, event.number(), "gap-free, in order");
            last = event.number();
            switch (event) {
                case CacheEvent.Stored stored -> store(stored);
                case CacheEvent.Removed removed -> remove(removed);
                case CacheEvent.Loaded loaded -> throw new AssertionError(loaded.toString());
                case CacheEvent.TierChanged changed -> throw new AssertionError(changed.toString());
                case CacheEvent.Offloaded offloaded -> throw new AssertionError(offloaded.toString());
                case CacheEvent.Lost lost -> throw new AssertionError(lost.toString());
            }
        }

        private void store(CacheEvent.Stored stored) {
            assertTrue(seen.add(stored.block()), "a number is never used again");
            assertTrue(
                    stored.parent() == CacheEvent.NO_PARENT || nodes.containsKey(stored.parent()),
                    "a parent comes before its child");
            Node node = new Node(stored.namespace(), stored.parent(), stored.tokens());
            assertNull(nodes.put(stored.block(), node));
            assertNull(numbers.put(node, stored.block()), "equal blocks are one block");
            children.merge(stored.parent(), 1, Integer::sum);
        }

        private void remove(CacheEvent.Removed removed) {
            Node node = Objects.requireNonNull(nodes.remove(removed.block()), "what was stored is removed, once");
            assertEquals(removed.parent(), node.parent);
            assertEquals(removed.namespace(), node.namespace);
            assertEquals(0, children.getOrDefault(removed.block(), 0), "children go before their parent");
            numbers.remove(node);
            children.merge(removed.parent(), -1, Integer::sum);
        }

        /** Tokens of a prompt that full blocks of the mirror hold, at least one token left. */
        int find(String namespace, int[] prompt) {
            long parent = CacheEvent.NO_PARENT;
            int position = 0;
            while (position + TOKENS_PER_BLOCK < prompt.length) {
                List<Integer> tokens = Arrays.stream(prompt, position, position + TOKENS_PER_BLOCK)
                        .boxed()
                        .toList();
                Long number = numbers.get(new Node(namespace, parent, tokens));
                if (number == null) {
                    return position;
                }
                parent = number;
                position += TOKENS_PER_BLOCK;
            }
            return position;
        }
    }

    private static int[] randomPrompt(Random random) {
        return random.ints(2 + random.nextInt(22), 0, 2).toArray();
    }

    @Test
    void shouldLetAMirrorFindWhatTheCacheFinds() throws Exception {
        Mirror mirror = new Mirror();
        ExecutorService ownThread = Executors.newSingleThreadExecutor();
        KvCache cache = caches.add(KvCache.builder(LAYOUT)
                .maximumBytes(60 * BLOCK_BYTES)
                .minimumPartialHit(TOKENS_PER_BLOCK)
                .seed(3)
                .listener(mirror::apply, ownThread)
                .build());
        List<Namespace> namespaces = List.of(cache.namespace("a"), cache.namespace("b"));
        try (ExecutorService threads = Executors.newFixedThreadPool(4)) {
            for (int round = 0; round < 20; round++) {
                List<Future<?>> futures = new ArrayList<>();
                for (int i = 0; i < 4; i++) {
                    Random random = new Random(round * 4L + i);
                    futures.add(threads.submit(() -> work(namespaces, random, 200)));
                }
                for (Future<?> future : futures) {
                    future.get();
                }
                ownThread.submit(() -> {}).get(); // behind the delivery that was under way
                ownThread.submit(() -> {}).get(); // and the one that this may have asked for
                assertEquals(0, cache.stats().listenerFailures(), "the mirror has refused an event");
                assertSame(mirror, namespaces, new Random(round));
                CacheStats stats = cache.stats();
                assertEquals(stats.cachedBlocks() + stats.sharedBlocks(), mirror.nodes.size());
            }
        } finally {
            ownThread.shutdown();
        }
        Traffic traffic = cache.stats().traffic();
        assertEquals(
                traffic.publishedBlocks() + traffic.evictedBlocks() + traffic.erasedBlocks(),
                mirror.last,
                "an event for each block that came or went");
        assertTrue(traffic.evictedBlocks() > 1000, () -> "blocks were evicted: " + traffic);
    }

    private static void work(List<Namespace> namespaces, Random random, int operations) {
        for (int i = 0; i < operations; i++) {
            Namespace namespace = namespaces.get(random.nextInt(namespaces.size()));
            if (random.nextInt(500) == 0) {
                namespace.renew();
            }
            int[] prompt = randomPrompt(random);
            try (Sequence sequence = namespace.open(prompt)) {
                while (sequence.length() < prompt.length && sequence.tryReserve(1)) {
                    sequence.commit(prompt[sequence.length()]);
                }
                if (random.nextInt(10) == 0) {
                    namespace.put("key " + random.nextInt(3), cut(sequence), Retention.DEFAULT);
                }
            }
            if (random.nextInt(20) == 0) {
                namespace.remove("key " + random.nextInt(3));
            }
        }
    }

    private static Sequence cut(Sequence sequence) {
        sequence.truncate(sequence.length());
        return sequence;
    }

    private static void assertSame(Mirror mirror, List<Namespace> namespaces, Random random) {
        int found = 0;
        for (int i = 0; i < 500; i++) {
            int[] prompt = randomPrompt(random);
            for (Namespace namespace : namespaces) {
                int expected = mirror.find(namespace.name(), prompt);
                assertEquals(expected, namespace.probe(prompt));
                found += expected;
            }
        }
        assertTrue(found > 1000, "prefixes are found: " + found);
    }

    // ---- listeners that misbehave ----

    @Test
    void shouldGoOnWhenAListenerThrows() {
        KvCache cache = cache(
                10,
                event -> {
                    events.add(event);
                    if (event.number() == 1) {
                        throw new IllegalStateException("a listener's own affair");
                    }
                    throw new AssertionError("even an error");
                },
                Runnable::run);
        Namespace namespace = cache.namespace("a");
        compute(namespace, prompt(1, 3)).close();
        assertEquals(12, namespace.probe(prompt(1, 3)));
        assertEquals(3, events.size());
        assertEquals(3, cache.stats().listenerFailures());
        assertEquals(0, cache.stats().lostEvents());
    }

    @Test
    void shouldNotWaitForAListenerThatIsHeldBack() {
        HeldBack executor = new HeldBack();
        KvCache cache = cache(10, events::add, executor);
        Namespace namespace = cache.namespace("a");
        compute(namespace, prompt(1, 3)).close();
        namespace.renew();
        assertEquals(List.of(), events);
        assertEquals(1, executor.tasks.size(), "one task, whatever is to be told");
        assertEquals(1, executor.run());
        assertEquals(List.of(1L, 2L, 3L, 4L, 5L, 6L), numbers());
        compute(namespace, prompt(1, 1)).close();
        assertEquals(1, executor.run(), "and one more for what comes later");
        assertEquals(7, events.getLast().number());
    }

    private List<Long> numbers() {
        return events.stream().map(CacheEvent::number).toList();
    }

    @Test
    void shouldTellExactlyWhichEventsWereLost() {
        HeldBack executor = new HeldBack();
        KvCache cache = cache(4, events::add, executor);
        Namespace namespace = cache.namespace("a");
        int lost = 10;
        publish(namespace, EventQueue.CAPACITY + lost);
        assertEquals(lost, cache.stats().lostEvents());
        executor.run();
        assertEquals(EventQueue.CAPACITY + 1, events.size());
        assertNumbered(events.subList(0, EventQueue.CAPACITY), 1);
        assertEquals(new CacheEvent.Lost(EventQueue.CAPACITY + 1, EventQueue.CAPACITY + lost), events.getLast());
        publish(namespace, 2);
        executor.run();
        assertNumbered(events.subList(EventQueue.CAPACITY + 1, events.size()), EventQueue.CAPACITY + lost + 1);
        assertEquals(EventQueue.CAPACITY + 3, events.size());
        assertEquals(lost, cache.stats().lostEvents());
    }

    @Test
    void shouldTellOfTheLossBeforeWhatFollowsIt() {
        HeldBack executor = new HeldBack();
        List<Namespace> namespaces = new ArrayList<>();
        KvCache cache = cache(
                4,
                event -> {
                    events.add(event);
                    if (event.number() == EventQueue.CAPACITY / 2) {
                        publish(namespaces.getFirst(), 2); // there is room again
                    }
                },
                executor);
        namespaces.add(cache.namespace("a"));
        publish(namespaces.getFirst(), EventQueue.CAPACITY + 6);
        executor.run();
        assertEquals(EventQueue.CAPACITY + 3, events.size());
        assertNumbered(events.subList(0, EventQueue.CAPACITY), 1);
        CacheEvent lost = events.get(EventQueue.CAPACITY);
        assertEquals(new CacheEvent.Lost(EventQueue.CAPACITY + 1, EventQueue.CAPACITY + 6), lost);
        assertNumbered(events.subList(EventQueue.CAPACITY + 1, events.size()), EventQueue.CAPACITY + 7);
        assertEquals(6, cache.stats().lostEvents());
    }

    /** Causes so many events, an even number. */
    private static void publish(Namespace namespace, int count) {
        for (int i = 0; i < count; i += 2) {
            compute(namespace, 1, 2, 3, 4).close();
            namespace.renew();
        }
    }

    private static void assertNumbered(List<CacheEvent> list, long first) {
        for (int i = 0; i < list.size(); i++) {
            assertEquals(first + i, list.get(i).number());
        }
    }

    @Test
    void shouldTryAgainWhenTheExecutorRejects() {
        boolean[] rejects = {true};
        KvCache cache = cache(10, events::add, task -> {
            if (rejects[0]) {
                throw new RejectedExecutionException("busy");
            }
            task.run();
        });
        Namespace namespace = cache.namespace("a");
        compute(namespace, prompt(1, 2)).close();
        assertEquals(List.of(), events);
        assertTrue(cache.stats().listenerFailures() > 0);
        rejects[0] = false;
        compute(namespace, prompt(2, 1)).close();
        assertEquals(List.of(1L, 2L, 3L), numbers());
    }

    @Test
    void shouldTryAgainWhateverTheExecutorThrows() {
        boolean[] fails = {true};
        KvCache cache = cache(10, events::add, task -> {
            if (fails[0]) {
                throw new IllegalStateException("shut down");
            }
            task.run();
        });
        Namespace namespace = cache.namespace("a");
        compute(namespace, prompt(1, 2)).close();
        assertTrue(cache.stats().listenerFailures() > 0);
        fails[0] = false;
        compute(namespace, prompt(2, 1)).close();
        assertEquals(List.of(1L, 2L, 3L), numbers());
    }

    @Test
    void shouldLetTheListenerCallTheCache() {
        int[] found = new int[3];
        Namespace[] namespace = new Namespace[1];
        KvCache cache = cache(
                10,
                event -> {
                    events.add(event);
                    found[(int) event.number() - 1] = namespace[0].probe(prompt(1, 1));
                    if (event.number() == 1) {
                        compute(namespace[0], prompt(2, 2)).close(); // causes two more events
                    }
                },
                Runnable::run);
        namespace[0] = cache.namespace("a");
        compute(namespace[0], prompt(1, 1)).close();
        assertEquals(List.of(1L, 2L, 3L), numbers());
        assertEquals(List.of(4, 4, 4), Arrays.stream(found).boxed().toList());
        assertEquals(0, cache.stats().listenerFailures());
    }
}
