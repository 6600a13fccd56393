package io.kvcache;

import static io.kvcache.Prompts.BLOCK_BYTES;
import static io.kvcache.Prompts.LAYOUT;
import static io.kvcache.Prompts.TOKENS_PER_BLOCK;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Two namespaces compute the same prompts to different keys and values, over two tiers, while everything that tells them apart by
 * hashing is forced to one bit. Random calls, in any order with the tasks of the tiers and with failures of theirs; whatever a
 * sequence holds must be what its own namespace has computed for its tokens.
 */
final class TierModelTest {
    private static final int STEPS = 100_000;
    private static final int BLOCKS = 14;
    private static final int MOST_OPEN = 4;
    private static final int MOST_TOKENS = 5 * TOKENS_PER_BLOCK;
    private static final List<StoreRule> RULES = List.of(StoreRule.ALL, StoreRule.SECOND_USE, StoreRule.RETAINED);
    private static final String[] NAMES = {"a", "b"};

    private final TaskQueue tasks = new TaskQueue();
    private long nanos;
    private long millis = 1_000_000;

    /** A store whose digests are forced to one bit. */
    private record OneBitStore(HeapBlockStore store) implements BlockStore {
        private static BlockKey narrow(BlockKey key) {
            byte[] digest = new byte[BlockKey.DIGEST_BYTES];
            digest[0] = (byte) (key.digest()[0] & 1);
            return BlockKey.of(key.namespace(), digest, key.tokens());
        }

        @Override
        public int held(List<BlockKey> path) throws IOException {
            return store.held(path.stream().map(OneBitStore::narrow).toList());
        }

        @Override
        public @Nullable BlockNote load(BlockKey key, MemorySegment target) throws IOException {
            return store.load(narrow(key), target);
        }

        @Override
        public boolean store(BlockKey key, BlockNote note, MemorySegment block) throws IOException {
            return store.store(narrow(key), note, block);
        }

        @Override
        public void remove(BlockKey key) throws IOException {
            store.remove(narrow(key));
        }

        @Override
        public void erase(String namespace) throws IOException {
            store.erase(namespace);
        }

        @Override
        public void close() throws IOException {
            store.close();
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3})
    void shouldNeverFindWhatAnotherNamespaceHasComputed(int seed) {
        Random random = new Random(seed);
        HeapBlockStore disk = new HeapBlockStore();
        HeapBlockStore remote = new HeapBlockStore();
        long loaded = 0;
        int left = STEPS;
        while (left > 0) { // a process after the other, over the same stores
            int steps = Math.min(left, 2000 + random.nextInt(4000));
            loaded += new Run(random, disk, remote).run(steps);
            left -= steps;
        }
        assertTrue(loaded > STEPS / 100, "loaded=" + loaded);
    }

    /** A sequence, with what it was opened for and whose it is. */
    private static final class Opened {
        final Sequence sequence;
        final int[] prompt;
        final int owner;

        Opened(Sequence sequence, int[] prompt, int owner) {
            this.sequence = sequence;
            this.prompt = prompt;
            this.owner = owner;
        }
    }

    /** A cache, from its start to its end. */
    private final class Run {
        private final Random random;
        private final HeapBlockStore[] stores;
        private final KvCache cache;
        private final List<Opened> open = new ArrayList<>();

        Run(Random random, HeapBlockStore... stores) {
            this.random = random;
            this.stores = stores;
            StoreRule rule = RULES.get(random.nextInt(RULES.size()));
            StoreMoment moment = random.nextBoolean() ? StoreMoment.COMMIT : StoreMoment.RELEASE;
            MissOptions misses = random.nextBoolean() ? null : MissOptions.DEFAULT;
            this.cache = KvCache.builder(LAYOUT)
                    .maximumBytes(BLOCKS * BLOCK_BYTES)
                    .model("tiny")
                    .clock(() -> nanos)
                    .epochClock(() -> millis)
                    .seed(random.nextLong())
                    .fingerprintMask(1)
                    .tier(TierOptions.of("disk", new OneBitStore(stores[0]))
                            .withRule(StoreRule.ALL, moment)
                            .withMisses(misses)
                            .withQueuedBlocks(8)
                            .withExecutor(tasks))
                    .tier(TierOptions.of("remote", new OneBitStore(stores[1]))
                            .withRule(rule, StoreMoment.COMMIT)
                            .withMisses(misses)
                            .withThreads(1)
                            .withExecutor(tasks))
                    .build();
        }

        /** Returns how many blocks were loaded. */
        long run(int steps) {
            for (int step = 0; step < steps; step++) {
                step();
                if (step % 20 == 0) {
                    cache.verify();
                }
            }
            for (HeapBlockStore store : stores) {
                store.next = null;
            }
            while (!open.isEmpty()) {
                close(0);
            }
            tasks.runAll();
            cache.verify();
            CacheStats stats = cache.stats();
            assertEquals(0, stats.usedBlocks());
            cache.close();
            return stats.traffic().loadedBlocks();
        }

        private void step() {
            switch (random.nextInt(24)) {
                case 0, 1, 2, 3 -> open();
                case 4, 5 -> {
                    if (!open.isEmpty()) {
                        close(random.nextInt(open.size()));
                    }
                }
                case 6, 7, 8 -> extend();
                case 9, 10 -> adopt();
                case 11 -> truncate();
                case 12 -> retain();
                case 13 -> passTime();
                case 14 -> disturb();
                case 15 -> forget();
                default -> tasks.runAny(random);
            }
        }

        private void open() {
            if (open.size() == MOST_OPEN) {
                return;
            }
            int owner = random.nextInt(NAMES.length);
            int family = random.nextInt(3);
            int[] prompt = new int[1 + random.nextInt(MOST_TOKENS)];
            for (int i = 0; i < prompt.length; i++) {
                prompt[i] = 100 * family + i;
            }
            if (random.nextInt(4) == 0) {
                prompt[random.nextInt(prompt.length)] = 7;
            }
            Sequence sequence = cache.namespace(NAMES[owner]).open(prompt);
            open.add(new Opened(sequence, prompt, owner));
            check(open.getLast());
        }

        private void close(int at) {
            check(open.get(at));
            open.remove(at).sequence.close();
        }

        private void extend() {
            if (open.isEmpty()) {
                return;
            }
            Opened any = any();
            Sequence sequence = any.sequence;
            int[] prompt = any.prompt;
            int count = Math.min(1 + random.nextInt(6), prompt.length - sequence.length());
            if (count <= 0 || !sequence.tryReserve(count)) {
                return;
            }
            for (int i = 0; i < count; i++) {
                int token = prompt[sequence.length()];
                float[] row = {token, any.owner};
                sequence.write(0, sequence.length(), row, row);
                sequence.commit(token);
            }
            check(any);
        }

        private Opened any() {
            return open.get(random.nextInt(open.size()));
        }

        private void adopt() {
            if (!open.isEmpty()) {
                Opened any = any();
                any.sequence.adopt();
                check(any);
            }
        }

        private void truncate() {
            if (!open.isEmpty()) {
                Opened any = any();
                any.sequence.truncate(random.nextInt(any.sequence.length() + 1));
                check(any);
            }
        }

        private void retain() {
            if (!open.isEmpty()) {
                Sequence sequence = any().sequence;
                Retention wanted = Retention.DEFAULT.withPriority(random.nextInt(101));
                sequence.retain(
                        0,
                        sequence.length(),
                        random.nextBoolean() ? wanted : wanted.withTtl(Duration.ofMillis(1 + random.nextInt(2000))));
            }
        }

        private void passTime() {
            nanos += random.nextLong(200_000_000);
            millis += random.nextInt(300) - 50;
            cache.maintain(10);
        }

        /** Something goes wrong in the middle of the next call of a store. */
        private void disturb() {
            HeapBlockStore store = stores[random.nextInt(stores.length)];
            store.next = switch (random.nextInt(4)) {
                case 0 ->
                    () -> {
                        throw new IOException("broken");
                    };
                case 1 ->
                    () -> {
                        throw new IllegalStateException("broken");
                    };
                case 2 -> () -> nanos += 300_000_000; // late
                default -> this::step; // while it is on its way
            };
            store.full = random.nextInt(4) == 0;
        }

        private void forget() {
            if (random.nextInt(50) == 0) {
                Namespace namespace = cache.namespace(NAMES[random.nextInt(NAMES.length)]);
                tasks.refuses = true; // nobody would run it while this thread waits
                namespace.erase();
                tasks.refuses = false;
            }
        }

        private void check(Opened opened) {
            Sequence sequence = opened.sequence;
            int length = sequence.length();
            float[] keys = new float[2 * length];
            float[] values = new float[2 * length];
            sequence.gather(0, 0, length, keys, 0, values, 0);
            for (int position = 0; position < length; position++) {
                float[] expected = {opened.prompt[position], opened.owner};
                assertTrue(
                        Arrays.equals(expected, Arrays.copyOfRange(keys, 2 * position, 2 * position + 2))
                                && Arrays.equals(expected, Arrays.copyOfRange(values, 2 * position, 2 * position + 2)),
                        () -> sequence + " owner=" + opened.owner + " keys=" + Arrays.toString(keys));
            }
        }
    }
}
