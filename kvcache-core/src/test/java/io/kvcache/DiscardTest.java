package io.kvcache;

import static io.kvcache.Prompts.LAYOUT;
import static io.kvcache.Prompts.TOKENS_PER_BLOCK;
import static io.kvcache.Prompts.assertRows;
import static io.kvcache.Prompts.compute;
import static io.kvcache.Prompts.extend;
import static io.kvcache.Prompts.prompt;
import static io.kvcache.Thrown.assertMisuse;
import static io.kvcache.Thrown.assertOutOfBounds;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Objects;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Generation that goes on beyond the context: the first tokens stay, some are dropped, and what follows moves up. */
final class DiscardTest {
    private static final OpenOptions PRIVATE = OpenOptions.DEFAULT.withoutPublish();

    @RegisterExtension
    final Caches caches = new Caches();

    private static int[] tokens(Sequence sequence) {
        return IntStream.range(0, sequence.length()).map(sequence::token).toArray();
    }

    /** Discards and commits again what has moved; rows tell the token, and the position that they were computed for. */
    private static void shift(Sequence sequence, int from, int to) {
        int[] tokens = tokens(sequence);
        assertTrue(sequence.discard(from, to));
        assertEquals(from, sequence.length());
        assertEquals(tokens.length - to, sequence.reserved());
        sequence.commit(tokens, to, tokens.length - to);
    }

    /** Keys of all positions that can be read [positions][token, position]. */
    private static float[] keys(Sequence sequence) {
        int rows = sequence.length() + sequence.reserved();
        float[] keys = new float[2 * rows];
        float[] values = new float[2 * rows];
        sequence.gather(0, 0, rows, keys, 0, values, 0);
        assertArrayEquals(keys, values);
        return keys;
    }

    /** What {@link Prompts} writes for the tokens of a prompt, those from one position to another left out. */
    private static float[] keysWithout(int[] prompt, int from, int to) {
        float[] keys = new float[2 * (prompt.length - to + from)];
        for (int i = 0; i < keys.length / 2; i++) {
            int position = i < from ? i : i + to - from;
            keys[2 * i] = prompt[position];
            keys[2 * i + 1] = position;
        }
        return keys;
    }

    // ---- what moves, and what stays ----

    @Test
    void shouldMoveWhatFollowsIntoPrivateBlocks() {
        KvCache cache = caches.of(LAYOUT, 20);
        int[] prompt = prompt(1, 5); // 21 tokens in 6 blocks
        try (Sequence sequence = compute(cache.namespace("a"), prompt)) {
            int[] before = sequence.blockTable();
            assertTrue(sequence.discard(4, 9));
            assertEquals(4, sequence.length());
            assertEquals(12, sequence.reserved());
            assertArrayEquals(keysWithout(prompt, 4, 9), keys(sequence));
            int[] after = sequence.blockTable();
            assertEquals(4, after.length);
            assertEquals(before[0], after[0]);
            assertTrue(Arrays.stream(after, 1, 4)
                    .noneMatch(block -> Arrays.stream(before).anyMatch(old -> old == block)));
            assertEquals(4, cache.stats().usedBlocks());
            assertEquals(4, cache.stats().cachedBlocks());
            cache.verify();
            sequence.commit(prompt, 9, 12);
            extend(sequence, 7);
            assertEquals(17, sequence.length());
        }
    }

    @ParameterizedTest
    @MethodSource("ranges")
    void shouldKeepTheOrderWhateverIsDropped(int length, int from, int to) {
        KvCache cache = caches.of(LAYOUT, 20);
        int[] prompt = Arrays.copyOf(prompt(1, 4), length);
        for (OpenOptions options : new OpenOptions[] {OpenOptions.DEFAULT, PRIVATE}) {
            try (Sequence sequence = compute(cache.namespace("a"), options, prompt)) {
                assertTrue(sequence.discard(from, to));
                assertArrayEquals(keysWithout(prompt, from, to), keys(sequence));
                cache.verify();
            }
        }
    }

    static Stream<Arguments> ranges() {
        return IntStream.rangeClosed(1, 13)
                .boxed()
                .flatMap(length -> IntStream.range(0, length)
                        .boxed()
                        .flatMap(from -> IntStream.rangeClosed(from + 1, length)
                                .mapToObj(to -> Arguments.of(length, from, to))));
    }

    @Test
    void shouldCopyKeptTokensOfABlockThatOthersShare() {
        KvCache cache = caches.of(LAYOUT, 20);
        int[] prompt = prompt(1, 3);
        try (Sequence sequence = compute(cache.namespace("a"), prompt);
                Sequence other = compute(cache.namespace("a"), prompt)) {
            shift(sequence, 6, 8);
            assertArrayEquals(keysWithout(prompt, 6, 8), keys(sequence));
            assertEquals(other.blockTable()[0], sequence.blockTable()[0]);
            assertNotEquals(other.blockTable()[1], sequence.blockTable()[1]);
            float[] row = {-1, -1};
            assertTrue(sequence.discard(5, 6));
            sequence.write(0, 5, row, row);
            assertRows(other);
        }
    }

    @Test
    void shouldDropTheTailWithoutMovingAnything() {
        KvCache cache = caches.of(LAYOUT, 4);
        int[] prompt = prompt(1, 3);
        try (Sequence sequence = compute(cache.namespace("a"), prompt)) {
            int[] before = sequence.blockTable();
            assertTrue(sequence.discard(6, 13), "needs no memory");
            assertEquals(6, sequence.length());
            assertEquals(0, sequence.reserved());
            assertArrayEquals(Arrays.copyOf(before, 2), sequence.blockTable());
            extend(sequence, 1, 2);
            extend(sequence, 3, 4, 5, 6);
        }
        assertEquals(8, cache.namespace("a").probe(new int[] {1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007, 1}));
        assertEquals(6, cache.namespace("a").probe(new int[] {1000, 1001, 1002, 1003, 1004, 1005, 1, 2, 3}));
    }

    // ---- types and orders ----

    static Stream<Arguments> storage() {
        return Stream.of(KvType.values())
                .flatMap(key -> Stream.of(KvType.values())
                        .flatMap(
                                value -> Stream.of(BlockOrder.values()).map(order -> Arguments.of(key, value, order))));
    }

    @ParameterizedTest
    @MethodSource("storage")
    void shouldMoveElementsAndScalesAsTheyAre(KvType key, KvType value, BlockOrder order) {
        KvLayout layout = KvLayout.builder()
                .layers(2)
                .kvHeads(2)
                .headSizes(7, 80)
                .layer(1, 3, 16, 5)
                .types(key, value)
                .order(order)
                .tokensPerBlock(32)
                .build();
        Random random = new Random(key.hashCode());
        KvCache cache = caches.of(layout, 20);
        for (int[] range : new int[][] {{0, 1}, {1, 33}, {5, 38}, {32, 64}, {37, 90}, {16, 32}, {33, 40}, {2, 129}}) {
            for (OpenOptions options :
                    new OpenOptions[] {OpenOptions.DEFAULT.withoutLookup(), PRIVATE.withoutLookup()}) {
                try (Sequence sequence = cache.namespace("a").open(new int[1], options)) {
                    fill(sequence, 130, random);
                    int[][] before = stored(sequence, 130);
                    assertTrue(sequence.discard(range[0], range[1]));
                    int[][] after = stored(sequence, 130 - range[1] + range[0]);
                    for (int position = 0; position < after.length; position++) {
                        int source = position < range[0] ? position : position + range[1] - range[0];
                        assertArrayEquals(before[source], after[position], "position " + position + " of " + range[0]);
                    }
                }
            }
        }
    }

    /** Magnitudes far apart, and some that are not numbers. */
    private static void fill(Sequence sequence, int tokens, Random random) {
        assertTrue(sequence.tryReserve(tokens));
        KvLayout layout = sequence.layout();
        for (int layer = 0; layer < layout.layers(); layer++) {
            float[] keys = elements(tokens * layout.keyWidth(layer), random);
            float[] values = elements(tokens * layout.valueWidth(layer), random);
            sequence.write(layer, 0, tokens, keys, 0, values, 0);
        }
        sequence.commit(random.ints(tokens).toArray());
    }

    private static float[] elements(int count, Random random) {
        float[] elements = new float[count];
        for (int i = 0; i < count; i++) {
            float magnitude = Math.scalb(1f, random.nextInt(-149, 20));
            elements[i] = switch (random.nextInt(100)) {
                case 0 -> Float.NaN;
                case 1 -> Float.NEGATIVE_INFINITY;
                default -> (float) random.nextGaussian() * magnitude;
            };
        }
        return elements;
    }

    /** The bits of all elements and scales of each position. */
    private static int[][] stored(Sequence sequence, int positions) {
        return IntStream.range(0, positions)
                .mapToObj(at -> stored(sequence, at, sequence.layout()))
                .toArray(int[][]::new);
    }

    private static int[] stored(Sequence sequence, int position, KvLayout layout) {
        IntStream.Builder bits = IntStream.builder();
        int block = position / layout.tokensPerBlock();
        int slot = position % layout.tokensPerBlock();
        long start = sequence.blockOffset(block);
        for (int layer = 0; layer < layout.layers(); layer++) {
            for (int head = 0; head < layout.kvHeads(layer); head++) {
                for (int i = 0; i < layout.keyHeadSize(layer); i++) {
                    long at = start + layout.keyElementOffset(layer, head, slot, i);
                    bits.add(StoredElements.rawAt(layout.keyType(), sequence.segment(block), at));
                }
                for (int i = 0; i < layout.valueHeadSize(layer); i++) {
                    long at = start + layout.valueElementOffset(layer, head, slot, i);
                    bits.add(StoredElements.rawAt(layout.valueType(), sequence.segment(block), at));
                }
                long scale = start + 4L * (head * layout.tokensPerBlock() + slot);
                if (layout.keyType() == KvType.INT8) {
                    long at = scale + layout.keyScalesOffset(layer);
                    bits.add(StoredElements.rawAt(KvType.F32, sequence.segment(block), at));
                }
                if (layout.valueType() == KvType.INT8) {
                    long at = scale + layout.valueScalesOffset(layer);
                    bits.add(StoredElements.rawAt(KvType.F32, sequence.segment(block), at));
                }
            }
        }
        return bits.build().toArray();
    }

    @ParameterizedTest
    @MethodSource("privacy")
    void shouldSayWhereElementsAreNotFinite(OpenOptions options) {
        KvLayout layout = KvLayout.builder()
                .layers(1)
                .kvHeads(1)
                .headSize(4)
                .type(KvType.F16)
                .tokensPerBlock(16)
                .build();
        try (Sequence sequence = caches.of(layout, 20).namespace("a").open(new int[1], options)) {
            assertTrue(sequence.tryReserve(64));
            float[] zeros = new float[64 * 4];
            sequence.write(0, 0, 64, zeros, 0, zeros, 0);
            sequence.write(0, 40, new float[] {0, Float.NaN, 0, 0}, new float[4]);
            sequence.commit(new int[64]);
            assertTrue(sequence.discard(0, 16));
            assertTrue(sequence.isFinite(0));
            assertFalse(sequence.isFinite(1));
        }
    }

    static Stream<OpenOptions> privacy() {
        return Stream.of(OpenOptions.DEFAULT, PRIVATE);
    }

    // ---- who shares ----

    @Test
    void shouldLeaveToOthersWhatTheyShareOrFindCached() {
        KvCache cache = caches.of(LAYOUT, 20);
        Namespace namespace = cache.namespace("a");
        int[] prompt = prompt(1, 4);
        try (Sequence other = compute(namespace, Arrays.copyOf(prompt, 9));
                Sequence sequence = compute(namespace, prompt)) {
            shift(sequence, 4, 8);
            assertRows(other);
            assertEquals(16, namespace.probe(prompt));
            try (Sequence again = namespace.open(prompt)) {
                assertEquals(16, again.cachedTokens());
                assertRows(again);
                assertEquals(again.blockTable()[0], sequence.blockTable()[0]);
            }
            assertArrayEquals(keysWithout(prompt, 4, 8), keys(sequence));
        }
        assertEquals(16, namespace.probe(prompt));
    }

    @Test
    void shouldPublishNothingAnyMore() {
        Namespace namespace = caches.of(LAYOUT, 30).namespace("a");
        int[] prompt = prompt(1, 4);
        try (Sequence sequence = compute(namespace, prompt)) {
            shift(sequence, 4, 5);
            extend(sequence, prompt(2, 2));
            int[] tokens = tokens(sequence);
            assertEquals(4, namespace.probe(tokens));
            try (Sequence fork = sequence.fork()) {
                extend(fork, prompt(3, 2));
                assertEquals(4, namespace.probe(tokens(fork)));
                assertEquals(0, fork.adopt());
            }
            sequence.truncate(4);
            extend(sequence, prompt(4, 2));
            assertEquals(4, namespace.probe(tokens(sequence)), "nor after a truncate");
        }
        assertEquals(4, namespace.stats().traffic().publishedBlocks());
    }

    @Test
    void shouldNotServeAPromptThatLooksLikeWhatIsLeft() {
        Namespace namespace = caches.of(LAYOUT, 30).namespace("a");
        int[] prompt = prompt(1, 3);
        try (Sequence sequence = compute(namespace, prompt)) {
            shift(sequence, 0, 4);
            assertEquals(0, namespace.probe(tokens(sequence)));
        }
    }

    @Test
    void shouldEndItsClaimAndAdoptNothing() {
        Namespace namespace = caches.of(LAYOUT, 30).namespace("a");
        int[] prompt = prompt(1, 4);
        try (Sequence leader = namespace.open(prompt);
                Sequence follower = namespace.open(prompt)) {
            assertTrue(follower.isFollowing());
            extend(leader, Arrays.copyOf(prompt, 6));
            shift(leader, 2, 4);
            assertFalse(follower.isFollowing(), "the next one leads");
            assertEquals(4, follower.adopt());
            extend(follower, Arrays.copyOfRange(prompt, 4, prompt.length));
            assertEquals(0, leader.adopt());
            assertFalse(leader.isFollowing());
        }
    }

    @Test
    void shouldLeaveAForkFromBefore() {
        KvCache cache = caches.of(LAYOUT, 20);
        int[] prompt = Arrays.copyOf(prompt(1, 3), 11);
        try (Sequence sequence = compute(cache.namespace("a"), prompt);
                Sequence fork = sequence.fork()) {
            shift(sequence, 1, 6);
            assertRows(fork);
            extend(sequence, 1);
            extend(fork, 2);
            assertRows(fork);
            assertEquals(12, cache.namespace("a").probe(Arrays.copyOf(tokens(fork), 13)), "it still publishes");
        }
    }

    @Test
    void shouldCopyAgainWhatAForkSharesSince() {
        KvCache cache = caches.of(LAYOUT, 20);
        int[] prompt = prompt(1, 3);
        try (Sequence sequence = compute(cache.namespace("a"), prompt)) {
            shift(sequence, 4, 5);
            float[] before = keys(sequence);
            try (Sequence fork = sequence.fork()) {
                shift(sequence, 5, 6);
                assertArrayEquals(before, keys(fork));
                shift(fork, 4, 6);
                assertEquals(sequence.blockTable()[0], fork.blockTable()[0]);
                assertNotEquals(sequence.blockTable()[1], fork.blockTable()[1]);
                cache.verify();
            }
        }
    }

    @Test
    void shouldGoOnFromASession() {
        KvCache cache = caches.of(LAYOUT, 20);
        Namespace namespace = cache.namespace("a");
        int[] prompt = prompt(1, 3);
        float[] stored;
        try (Sequence sequence = compute(namespace, prompt)) {
            shift(sequence, 3, 6);
            stored = keys(sequence);
            assertTrue(namespace.put("chat", sequence, Retention.DEFAULT));
            shift(sequence, 4, 5); // must not write where the session reads
        }
        try (Sequence sequence = Objects.requireNonNull(namespace.get("chat"))) {
            assertArrayEquals(stored, keys(sequence));
            extend(sequence, prompt(2, 2));
            assertEquals(0, namespace.probe(Arrays.copyOf(tokens(sequence), 10)) / TOKENS_PER_BLOCK);
            shift(sequence, 1, 9);
            cache.verify();
        }
        assertTrue(namespace.remove("chat"));
    }

    // ---- memory ----

    @Test
    void shouldNeedNoMemoryForALaterShift() {
        KvCache cache = caches.of(LAYOUT, 8);
        int[] prompt = prompt(1, 3); // 4 blocks
        try (Sequence sequence = compute(cache.namespace("a"), prompt);
                Sequence other = cache.namespace("b").open(new int[1])) {
            shift(sequence, 5, 6); // copies 3 blocks
            int[] blocks = sequence.blockTable();
            assertTrue(other.tryReserve(5 * TOKENS_PER_BLOCK));
            assertFalse(other.tryReserve(6 * TOKENS_PER_BLOCK), "memory is full");
            cache.namespace(
                    "c", NamespaceOptions.DEFAULT.withFloorBytes(2 * LAYOUT.blockBytes())); // less than none left
            for (int next = 0; next < 100; next++) {
                float[] before = keys(sequence);
                shift(sequence, 4, 5);
                float[] after = keys(sequence);
                assertArrayEquals(Arrays.copyOf(before, 8), Arrays.copyOf(after, 8));
                assertArrayEquals(
                        Arrays.copyOfRange(before, 10, before.length), Arrays.copyOfRange(after, 8, after.length));
                extend(sequence, next);
            }
            assertArrayEquals(blocks, sequence.blockTable());
            assertArrayEquals(new int[] {95, 96, 97, 98, 99}, Arrays.copyOfRange(tokens(sequence), 7, 12));
        }
    }

    @Test
    void shouldChangeNothingWhenRefused() {
        KvCache cache = caches.of(LAYOUT, 7);
        Namespace namespace = cache.namespace("a");
        int[] prompt = prompt(1, 3);
        compute(cache.namespace("b"), prompt(2, 2)).close(); // two cached blocks
        try (Sequence sequence = compute(namespace, prompt)) {
            int[] blocks = sequence.blockTable();
            long version = sequence.tableVersion();
            CacheStats before = cache.stats();
            try (Sequence other = cache.namespace("c").open(new int[1])) {
                assertTrue(other.tryReserve(1));
                before = cache.stats();
                assertFalse(sequence.discard(0, 1), "needs 3 blocks, and there are 2");
                assertEquals(1, namespace.stats().traffic().refusals());
                assertEquals(before.cachedBlocks(), cache.stats().cachedBlocks());
                assertEquals(0, cache.stats().traffic().evictedBlocks());
                assertArrayEquals(blocks, sequence.blockTable());
                assertEquals(version, sequence.tableVersion());
                assertEquals(13, sequence.length());
                assertRows(sequence);
                extend(sequence, 1, 2, 3);
                assertEquals(16, namespace.probe(Arrays.copyOf(tokens(sequence), 17)), "it still publishes");
                cache.verify();
            }
            assertTrue(sequence.discard(0, 5));
        }
    }

    @Test
    void shouldEvictAndGiveUpSessionsForItsBlocks() {
        KvCache cache = caches.of(LAYOUT, 8);
        Namespace namespace = cache.namespace("a");
        try (Sequence stored = compute(namespace, PRIVATE, 1, 2, 3, 4, 5)) {
            assertTrue(namespace.put("chat", stored, Retention.DEFAULT));
        }
        compute(namespace, prompt(2, 1)).close();
        int[] prompt = prompt(1, 3);
        try (Sequence sequence = compute(namespace, prompt)) {
            shift(sequence, 0, 1); // 3 of 8 blocks: 4 its own, one cached, 2 of the session
            assertArrayEquals(keysWithout(prompt, 0, 1), keys(sequence));
            assertEquals(1, namespace.stats().traffic().evictedBlocks());
            assertEquals(1, namespace.stats().traffic().droppedSessions());
            cache.verify();
        }
    }

    @Test
    void shouldKeepToTheCeilingAndToTheFloorsOfOthers() {
        KvCache cache = caches.of(LAYOUT, 9);
        long bytes = LAYOUT.blockBytes();
        Namespace bounded = cache.namespace("a", NamespaceOptions.DEFAULT.withCeilingBytes(6 * bytes));
        Namespace free = cache.namespace("b");
        int[] prompt = prompt(1, 3);
        try (Sequence sequence = compute(bounded, prompt)) {
            assertFalse(sequence.discard(0, 1));
            assertTrue(sequence.discard(0, 5));
        }
        cache.namespace("c", NamespaceOptions.DEFAULT.withFloorBytes(3 * bytes));
        try (Sequence sequence = compute(free, prompt)) {
            assertFalse(sequence.discard(0, 1));
            assertTrue(sequence.discard(0, 5));
        }
    }

    @Test
    void shouldGrowMemoryOnDemand() {
        KvLayout large = KvLayout.builder()
                .layers(1)
                .kvHeads(1)
                .headSize(1 << 16)
                .type(KvType.F32)
                .tokensPerBlock(4)
                .build();
        KvCache cache = caches.of(large, 40);
        try (Sequence sequence = cache.namespace("a").open(new int[1])) {
            assertTrue(sequence.tryReserve(16));
            sequence.commit(IntStream.range(0, 16).toArray());
            int allocated = cache.stats().allocatedBlocks();
            assertTrue(sequence.discard(0, 4));
            assertTrue(cache.stats().allocatedBlocks() > allocated);
            assertEquals(0, cache.stats().traffic().evictedBlocks());
        }
    }

    @Test
    void shouldNotShowTheMemoryOfAnotherNamespace() {
        KvCache cache = caches.of(LAYOUT, 10);
        compute(cache.namespace("b"), PRIVATE, prompt(2, 9)).close();
        Namespace namespace = cache.namespace("a");
        try (Sequence sequence = compute(namespace, Arrays.copyOf(prompt(1, 2), 8))) {
            shift(sequence, 0, 3); // 5 tokens in 2 blocks
            int moved = sequence.length();
            assertTrue(sequence.tryReserve(3));
            float[] keys = keys(sequence);
            assertArrayEquals(new float[6], Arrays.copyOfRange(keys, 2 * moved, keys.length));
        }
    }

    @Test
    void shouldGoOnAfterAnErase() {
        KvCache cache = caches.of(LAYOUT, 10);
        Namespace namespace = cache.namespace("a");
        int[] prompt = prompt(1, 3);
        try (Sequence sequence = compute(namespace, prompt)) {
            assertEquals(new Erasure(0, 3), namespace.erase());
            shift(sequence, 2, 5);
            assertArrayEquals(keysWithout(prompt, 2, 5), keys(sequence));
            cache.verify();
            shift(sequence, 0, 1);
            extend(sequence, 1, 2, 3, 4);
            assertEquals(0, namespace.probe(tokens(sequence)));
        }
        assertEquals(0, cache.stats().usedBlocks());
    }

    @Test
    void shouldHaveWhatWasErasedOverwrittenWhereItHasMoved() {
        KvCache cache = caches.of(LAYOUT, 10);
        Namespace namespace = cache.namespace("a");
        try (Sequence sequence = compute(namespace, prompt(1, 3));
                Sequence fork = sequence.fork()) {
            namespace.erase();
            shift(sequence, 2, 5);
            assertTrue(fork.length() > 0);
        }
        try (Sequence reader = namespace.open(new int[1])) {
            assertTrue(reader.tryReserve(10 * TOKENS_PER_BLOCK));
            float[] keys = keys(reader);
            assertTrue(
                    IntStream.range(0, keys.length).filter(i -> keys[i] != 0).count() <= 2, "one was never published");
        }
    }

    // ---- views and misuse ----

    @Test
    void shouldSayThatTheTableHasChanged() {
        KvCache cache = caches.of(LAYOUT, 10);
        try (Sequence sequence = compute(cache.namespace("a"), PRIVATE, prompt(1, 3))) {
            for (int i = 0; i < 3; i++) {
                long version = sequence.tableVersion();
                shift(sequence, 5, 6); // in place
                assertNotEquals(version, sequence.tableVersion());
            }
        }
    }

    @Test
    void shouldLetViewsDieWhenGuarded() {
        System.setProperty(SequencePool.GUARD_PROPERTY, "true");
        KvCache cache;
        try {
            cache = caches.of(LAYOUT, 10);
        } finally {
            System.clearProperty(SequencePool.GUARD_PROPERTY);
        }
        try (Sequence sequence = compute(cache.namespace("a"), PRIVATE, prompt(1, 3))) {
            MemorySegment view = sequence.keys(0, 2);
            assertTrue(sequence.discard(1, 2)); // in place
            assertThrows(IllegalStateException.class, () -> view.get(ValueLayout.JAVA_FLOAT, 0));
        }
    }

    @Test
    void shouldRefuseMisuse() {
        KvCache cache = caches.of(LAYOUT, 10);
        Sequence sequence = compute(cache.namespace("a"), prompt(1, 1));
        String rule = "discard drops at least one position, committed ones only: ";
        assertOutOfBounds(rule + "from=-1 to=2 committed=5", () -> sequence.discard(-1, 2));
        assertOutOfBounds(rule + "from=2 to=2 committed=5", () -> sequence.discard(2, 2));
        assertOutOfBounds(rule + "from=3 to=2 committed=5", () -> sequence.discard(3, 2));
        assertOutOfBounds(rule + "from=2 to=6 committed=5", () -> sequence.discard(2, 6));
        assertTrue(sequence.tryReserve(2));
        assertMisuse("cannot discard while slots are reserved: reserved=2 length=5", () -> sequence.discard(1, 2));
        assertEquals(2, sequence.reserved());
        sequence.close();
        assertMisuse("sequence is closed: id=1 namespace=a", () -> sequence.discard(1, 2));
    }
}
