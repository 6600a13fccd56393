package io.kvcache;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Drives a cache by random calls and compares every answer with {@link CacheModel}. */
final class CacheModelTest {
    private static final int STEPS = 150_000;
    private static final int SEQUENCES = 6;
    private static final int LONGEST = 60;
    private static final int LAYERS = 2;

    @RegisterExtension
    final Caches caches = new Caches();

    /** A pair of sequences, and the prompt that they were opened with. */
    private record Pair(Sequence real, CacheModel.Model model, List<Integer> prompt) {}

    private record Spaces(Namespace real, CacheModel.Space model) {}

    private final List<Pair> pairs = new ArrayList<>();
    private final List<Spaces> spaces = new ArrayList<>();
    private Random random = new Random();
    private int stamp;
    private long nanos;
    private boolean exactReasons;
    private int refusedDiscards;

    /** What is configured of a cache: lengths in tokens and blocks. */
    enum Setting {
        PLAIN(KvType.F32, KvType.F32, 1, 30, 1, ~0L),
        FULL_OFTEN(KvType.F16, KvType.F16, 4, 14, 1, ~0L),
        MINIMUM_PARTIAL_HIT(KvType.INT8, KvType.F32, 3, 20, 2, ~0L),
        FEW_LARGE_BLOCKS(KvType.F16, KvType.F32, 16, 8, 1, ~0L), // tiles
        TILES_WITH_SCALES(KvType.INT8, KvType.INT8, 16, 8, 1, ~0L),
        ONE_BIT_OF_FINGERPRINT(KvType.F32, KvType.F16, 2, 40, 1, 1),
        ONE_BIT_AND_ROOM(KvType.F16, KvType.INT8, 4, 90, 1, 1),
        NO_PARTIAL_HITS(KvType.F32, KvType.F32, 7, 12, 7, ~0L);

        private final KvType keyType;
        private final KvType valueType;

        private final int tokensPerBlock;
        private final int blocks;
        private final int minimumPartialHit;
        private final long fingerprintMask;

        Setting(
                KvType keyType,
                KvType valueType,
                int tokensPerBlock,
                int blocks,
                int minimumPartialHit,
                long fingerprintMask) {
            this.keyType = keyType;
            this.valueType = valueType;
            this.tokensPerBlock = tokensPerBlock;
            this.blocks = blocks;
            this.minimumPartialHit = minimumPartialHit;
            this.fingerprintMask = fingerprintMask;
        }
    }

    @ParameterizedTest
    @EnumSource(Setting.class)
    void shouldAgreeWithTheModel(Setting setting) {
        random = new Random(setting.name().hashCode());
        KvLayout layout = KvLayout.builder()
                .layers(LAYERS)
                .kvHeads(2)
                .headSizes(3, 5)
                .layer(1, 1, 4, 4)
                .types(setting.keyType, setting.valueType)
                .tokensPerBlock(setting.tokensPerBlock)
                .build();
        KvCache cache = caches.add(KvCache.builder(layout)
                .maximumBytes(layout.blockBytes() * setting.blocks)
                .minimumPartialHit(setting.minimumPartialHit)
                .fingerprintMask(setting.fingerprintMask)
                .clock(() -> nanos)
                .build());
        CacheModel model = new CacheModel(setting.tokensPerBlock, setting.blocks, setting.minimumPartialHit);
        makeSpaces(cache, model, setting.blocks);
        exactReasons = setting.fingerprintMask == ~0L;
        int refused = 0;
        long hitTokens = 0;
        int adopted = 0;
        int warmed = 0;
        int discarded = 0;
        for (int step = 0; step < STEPS; step++) {
            if (pairs.isEmpty() || (pairs.size() < SEQUENCES && random.nextInt(12) == 0)) {
                hitTokens += open(model);
            }
            Pair pair = pairs.get(random.nextInt(pairs.size()));
            switch (random.nextInt(20)) {
                case 0, 1, 2 -> refused += reserve(pair, setting.tokensPerBlock) ? 0 : 1;
                case 3, 4, 5 -> write(pair, layout);
                case 6, 7, 8, 9 -> commit(pair, layout);
                case 10 -> truncate(pair, setting.tokensPerBlock);
                case 11 -> fork(pair);
                case 12 -> retain(pair);
                case 13 -> passTime(cache, model);
                case 14 -> put(pair);
                case 15 -> useSession(model);
                case 16 -> adopted += adopt(pair);
                case 17 -> {
                    switch (random.nextInt(8)) {
                        case 0, 1 -> warmed += warm(model, layout);
                        case 2, 3 -> discarded += discard(pair, layout);
                        default -> {}
                    }
                }
                default -> closeSometimes(pair);
            }
            if (random.nextInt(2000) == 0) {
                erase(model);
            }
            assertCounts(cache, model);
            assertTogether(model);
            if (step % 8 == 0) {
                cache.verify();
                assertKeys();
                assertSame(pairs, layout);
            }
        }
        assertTrue(hitTokens > STEPS / 500, "prefixes were found often enough: " + hitTokens);
        assertTrue(setting.blocks > 50 || refused > STEPS / 1000, "memory was full often enough: " + refused);
        long evicted = cache.stats().traffic().evictedBlocks();
        assertTrue(setting.blocks > 50 || evicted > STEPS / 500, "blocks were evicted: " + evicted);
        assertTrue(cache.stats().traffic().expiredBlocks() > STEPS / 3000, "blocks expired: " + cache.stats());
        Traffic traffic = cache.stats().traffic();
        assertTrue(adopted > 100, "tokens were adopted: " + adopted);
        assertTrue(warmed > STEPS / 500, "prompts were warmed: " + warmed);
        assertTrue(discarded > STEPS / 200, "tokens were discarded: " + discarded);
        assertTrue(setting.blocks > 50 || refusedDiscards > STEPS / 2000, "refused: " + refusedDiscards);
        assertTrue(traffic.sessionHits() > STEPS / 500, () -> "sessions were found: " + traffic);
        assertTrue(setting.blocks > 50 || traffic.droppedSessions() > STEPS / 2000, () -> "were given up: " + traffic);
        pairs.forEach(pair -> pair.real.close());
    }

    /** One with pins and times to live from the last use, one with quotas and times from the first use, one plain. */
    private void makeSpaces(KvCache cache, CacheModel model, int blocks) {
        long blockBytes = cache.stats().blockBytes();
        Retention fading = Retention.DEFAULT.withTtl(ttl(60));
        Retention shortLived = Retention.DEFAULT.withPriority(40).withTtlSinceFirstUse(ttl(30));
        int floor = blocks / 4;
        int ceiling = blocks / 2 + 1;
        int pinnable = blocks / 4;
        spaces.add(new Spaces(
                cache.namespace(
                        "pins",
                        NamespaceOptions.DEFAULT
                                .withPinnedBytes(blockBytes * pinnable)
                                .withRetention(fading)),
                model.new Space(0, Integer.MAX_VALUE, pinnable, fading)));
        spaces.add(new Spaces(
                cache.namespace(
                        "quotas",
                        NamespaceOptions.DEFAULT
                                .withFloorBytes(blockBytes * floor)
                                .withCeilingBytes(blockBytes * ceiling)
                                .withRetention(shortLived)),
                model.new Space(floor, ceiling, 0, shortLived)));
        spaces.add(new Spaces(cache.namespace("plain"), model.new Space(0, Integer.MAX_VALUE, 0, Retention.DEFAULT)));
    }

    /** Never a whole number of ticks, so that no deadline falls on the end of a tick. */
    private static Duration ttl(int ticks) {
        return Duration.ofNanos(ticks * ExpiryWheel.TICK_NANOS + 12_345);
    }

    private void assertCounts(KvCache cache, CacheModel model) {
        assertEquals(model.used(), cache.stats().usedBlocks());
        assertEquals(model.cached(), cache.stats().cachedBlocks());
        for (Spaces space : spaces) {
            NamespaceStats stats = space.real.stats();
            assertEquals(space.model.evicted, stats.traffic().evictedBlocks());
            assertEquals(space.model.expired, stats.traffic().expiredBlocks());
            assertEquals(space.model.erased, stats.traffic().erasedBlocks());
            assertEquals(space.model.pinned(), stats.pinnedBlocks());
            assertEquals(space.model.adopted, stats.traffic().adoptedTokens());
            assertEquals(space.model.sessions(), stats.sessions());
            assertEquals(space.model.sessionHits, stats.traffic().sessionHits());
            assertEquals(space.model.sessionMisses, stats.traffic().sessionMisses());
            assertEquals(space.model.droppedSessions, stats.traffic().droppedSessions());
        }
    }

    private void assertKeys() {
        for (Spaces space : spaces) {
            assertEquals(space.model.keys(), space.real.keys());
        }
    }

    /** Of those that need the same block next, one computes it and the others follow. */
    private void assertTogether(CacheModel model) {
        Set<Sequence> listed = new HashSet<>();
        for (List<CacheModel.Model> together : model.together().values()) {
            List<Sequence> group = pairs.stream()
                    .filter(pair -> together.contains(pair.model))
                    .map(Pair::real)
                    .toList();
            assertEquals(
                    group.size() - 1,
                    group.stream().filter(Sequence::isFollowing).count());
            listed.addAll(group);
        }
        for (Pair pair : pairs) {
            assertTrue(listed.contains(pair.real) || !pair.real.isFollowing());
        }
    }

    /** Opens with a prompt that begins like a sequence of before, more often than not. */
    private int open(CacheModel model) {
        List<Integer> prompt = prompt();
        Spaces space = spaces.get(random.nextInt(spaces.size()));
        OpenOptions options = openOptions(space);
        int[] tokens = toArray(prompt);
        assertEquals(model.probe(space.model, prompt, options), space.real.probe(tokens, options));
        Sequence real = space.real.open(tokens, options);
        Pair pair = new Pair(real, model.open(space.model, prompt, options), prompt);
        pairs.add(pair);
        assertEquals(pair.model.tokens().size(), real.cachedTokens());
        assertReason(pair);
        return real.cachedTokens();
    }

    private List<Integer> prompt() {
        List<Integer> prompt = new ArrayList<>();
        if (!pairs.isEmpty() && random.nextInt(4) > 0) {
            Pair pair = pairs.get(random.nextInt(pairs.size()));
            List<Integer> other = random.nextBoolean() ? pair.prompt : pair.model.tokens();
            prompt.addAll(other.subList(0, random.nextInt(other.size() + 1)));
        }
        int more = 1 + random.nextInt(random.nextInt(4) == 0 ? 30 : 10);
        for (int i = 0; i < more; i++) {
            prompt.add(token());
        }
        return prompt;
    }

    private static int[] toArray(List<Integer> tokens) {
        return tokens.stream().mapToInt(token -> token).toArray();
    }

    /** Fingerprints that collide make the cache remember what never was there. */
    private void assertReason(Pair pair) {
        assertEquals(pair.model.missedAt(), pair.real.missedAt());
        if (exactReasons) {
            Set<MissReason> reasons = pair.model.missReasons();
            assertTrue(reasons.contains(pair.real.missReason()), () -> pair.real.missReason() + " " + reasons);
        }
    }

    // ---- sessions, what others compute, warm-up ----

    private void put(Pair pair) {
        truncateTo(pair, pair.real.length()); // cancels the reservation
        Spaces space = spaceOf(pair);
        Retention retention = retention(space, false);
        String key = key();
        assertEquals(pair.model.put(key, retention), space.real.put(key, pair.real, retention));
    }

    private String key() {
        return "key " + random.nextInt(4);
    }

    private void useSession(CacheModel model) {
        Spaces space = spaces.get(random.nextInt(spaces.size()));
        String key = key();
        if (random.nextInt(6) == 0) {
            assertEquals(model.remove(space.model, key), space.real.remove(key));
        } else if (pairs.size() < SEQUENCES) {
            Sequence real = space.real.get(key);
            CacheModel.Model expected = model.get(space.model, key);
            assertEquals(expected == null, real == null);
            if (real != null && expected != null) {
                assertEquals(expected.tokens().size(), real.cachedTokens());
                assertEquals(MissReason.NONE, real.missReason());
                pairs.add(new Pair(real, expected, List.of()));
            }
        }
    }

    private int adopt(Pair pair) {
        truncateTo(pair, pair.real.length());
        int cached = pair.real.cachedTokens();
        int gained = pair.model.adopt();
        assertEquals(gained, pair.real.adopt());
        assertEquals(cached + gained, pair.real.cachedTokens());
        return gained;
    }

    /** Opens, computes, retains and closes, as the model does step by step. */
    private int warm(CacheModel model, KvLayout layout) {
        Spaces space = spaces.get(random.nextInt(spaces.size()));
        List<Integer> prompt = prompt();
        OpenOptions options = openOptions(space);
        Retention retention = retention(space, true);
        List<Integer> longer = new ArrayList<>(prompt);
        longer.add(0); // so that all of the prompt can be found
        boolean hasRoom = space.real.hasRoom(toArray(longer), options);
        CacheModel.Model expected = model.openWithRoom(space.model, longer, options);
        assertEquals(expected != null, hasRoom);
        int cached = expected == null ? 0 : expected.tokens().size();
        Prefill prefill = (sequence, tokens) -> {
            Pair pair = new Pair(sequence, Objects.requireNonNull(expected), prompt);
            assertEquals(cached, sequence.length());
            assertReason(pair);
            assertEquals(expected.reserved(), sequence.reserved());
            write(pair, layout, cached, tokens.length - cached);
            sequence.commit(tokens, cached, tokens.length - cached);
            expected.commit(prompt.subList(cached, prompt.size()));
        };
        WarmupOptions how =
                WarmupOptions.DEFAULT.withOpen(options).withRetention(retention).withPatience(Duration.ZERO);
        WarmedPrompt warmed = space.real
                .warm(List.of(toArray(prompt)), prefill, how)
                .prompts()
                .getFirst();
        if (expected == null) {
            assertEquals(WarmedPrompt.Status.FAILED, warmed.status());
            return 0;
        }
        assertNull(warmed.failure());
        int full = prompt.size() / layout.tokensPerBlock() * layout.tokensPerBlock();
        RetentionOutcome outcome = expected.retain(0, full, retention);
        int computed = expected.tokens().size() - cached;
        expected.close(true);
        WarmedPrompt.Status status = cached < full ? WarmedPrompt.Status.COMPUTED : WarmedPrompt.Status.CACHED;
        assertEquals(new WarmedPrompt(0, status, cached, computed, outcome, null), warmed);
        return 1;
    }

    private OpenOptions openOptions(Spaces space) {
        return switch (random.nextInt(12)) {
            case 0 -> OpenOptions.DEFAULT.withoutLookup();
            case 1 -> OpenOptions.DEFAULT.withoutPublish();
            case 2, 3 -> OpenOptions.DEFAULT.withIdentity("adapter", "x");
            case 4 -> OpenOptions.DEFAULT.withIdentity("salt", "x");
            case 5 -> OpenOptions.DEFAULT.withRetention(retention(space, false));
            default -> OpenOptions.DEFAULT;
        };
    }

    /** Pins and times from the first use are not mixed: which of two pins ends first then decides what is evicted later. */
    private Retention retention(Spaces space, boolean pins) {
        boolean pinning = space.model.pinnable() > 0;
        Retention retention = Retention.DEFAULT.withPriority(random.nextInt(3) * 40);
        return switch (random.nextInt(5)) {
            case 0 -> retention.withPriority(90, ttl(20));
            case 1 -> retention.withTtl(ttl(40));
            case 2 -> pinning ? retention : retention.withTtlSinceFirstUse(ttl(20));
            case 3 -> pinning && pins ? retention.withPin() : retention;
            default -> retention;
        };
    }

    private void retain(Pair pair) {
        int length = pair.real.length();
        int from = random.nextInt(length + 1);
        int to = from + random.nextInt(length - from + 1);
        Retention retention = retention(spaceOf(pair), true);
        assertEquals(pair.model.retain(from, to, retention), pair.real.retain(from, to, retention));
    }

    private Spaces spaceOf(Pair pair) {
        return spaces.stream()
                .filter(space -> space.model == pair.model.space())
                .findFirst()
                .orElseThrow();
    }

    private void passTime(KvCache cache, CacheModel model) {
        nanos += random.nextInt(4) * ExpiryWheel.TICK_NANOS;
        model.advanceTo(nanos);
        if (random.nextInt(4) == 0) {
            int limit = 1 + random.nextInt(20);
            int handled;
            do {
                handled = cache.maintain(limit);
            } while (handled == limit);
            model.maintain();
        }
    }

    private void erase(CacheModel model) {
        Spaces space = spaces.get(random.nextInt(spaces.size()));
        Erasure expected = model.erase(space.model);
        if (random.nextBoolean()) {
            assertEquals(expected, space.real.erase());
        } else {
            space.real.renew();
        }
    }

    /** One of few, so that sequences meet again and again. */
    private int token() {
        return random.nextInt(10) == 0 ? random.nextInt() : random.nextInt(2);
    }

    private boolean reserve(Pair pair, int tokensPerBlock) {
        int most = Math.max(0, LONGEST - pair.model.tokens().size());
        int slots = Math.min(most, random.nextInt(tokensPerBlock * 3 + 2));
        boolean reserved = pair.model.reserve(slots);
        assertEquals(reserved, pair.real.tryReserve(slots));
        return reserved;
    }

    private void write(Pair pair, KvLayout layout) {
        int reserved = pair.model.reserved();
        if (reserved > 0) {
            int first = random.nextInt(reserved);
            write(pair, layout, pair.real.length() + first, 1 + random.nextInt(reserved - first));
        }
    }

    private void write(Pair pair, KvLayout layout, int position, int rows) {
        int first = stamp;
        stamp += rows;
        for (int layer = 0; layer < LAYERS; layer++) {
            float[] keys = new float[rows * layout.keyWidth(layer)];
            float[] values = new float[rows * layout.valueWidth(layer)];
            for (int row = 0; row < rows; row++) {
                fill(keys, row, layout.keyWidth(layer), element(first + row, layer, false));
                fill(values, row, layout.valueWidth(layer), element(first + row, layer, true));
            }
            writeSomehow(pair.real, layer, position, rows, keys, values);
        }
        for (int row = 0; row < rows; row++) {
            pair.model.write(position + row, first + row);
        }
    }

    private void writeSomehow(Sequence real, int layer, int position, int rows, float[] keys, float[] values) {
        switch (random.nextInt(hasWritableRows(real.layout()) ? 3 : 2)) {
            case 0 -> real.write(layer, position, rows, keys, 0, values, 0);
            case 1 ->
                real.write(layer, position, rows, MemorySegment.ofArray(keys), 0, MemorySegment.ofArray(values), 0);
            default -> {
                for (int row = 0; row < rows; row++) {
                    store(real.layout().keyType(), real.keyRow(layer, position + row), keys, row);
                    store(real.layout().valueType(), real.valueRow(layer, position + row), values, row);
                }
            }
        }
    }

    private static boolean hasWritableRows(KvLayout layout) {
        return layout.order() == BlockOrder.ROWS
                && layout.keyType() != KvType.INT8
                && layout.valueType() != KvType.INT8;
    }

    private static void store(KvType type, MemorySegment destination, float[] rows, int row) {
        int width = (int) (destination.byteSize() / type.bytes());
        for (int i = 0; i < width; i++) {
            float element = rows[row * width + i];
            switch (type) {
                case F32 -> destination.setAtIndex(ValueLayout.JAVA_FLOAT, i, element);
                case F16 -> destination.setAtIndex(ValueLayout.JAVA_SHORT, i, Float.floatToFloat16(element));
                default -> throw new IllegalArgumentException("no setting writes rows of this type: " + type);
            }
        }
    }

    /** Different elements for neighbouring stamps, layers, K and V: integers up to 2,047, exact in F16, and nearly so in INT8. */
    private static float element(int stamp, int layer, boolean value) {
        return (stamp * 4 + layer * 2 + (value ? 1 : 0)) % 2048;
    }

    private static void fill(float[] rows, int row, int width, float element) {
        for (int i = 0; i < width; i++) {
            rows[row * width + i] = i == 0 ? element : -element;
        }
    }

    /** Commits some of what is reserved; what was not written yet is written first. */
    private void commit(Pair pair, KvLayout layout) {
        if (pair.model.reserved() == 0) {
            return;
        }
        int count = 1 + random.nextInt(pair.model.reserved());
        int position = pair.real.length();
        for (int i = 0; i < count; i++) {
            if (pair.model.stamp(position + i) == null) {
                write(pair, layout, position + i, 1);
            }
        }
        boolean asAnnounced = random.nextInt(8) > 0;
        int[] tokens = IntStream.range(position, position + count)
                .map(at -> asAnnounced && at < pair.prompt.size() ? pair.prompt.get(at) : token())
                .toArray();
        if (count == 1) {
            pair.real.commit(tokens[0]);
        } else {
            pair.real.commit(tokens);
        }
        pair.model.commit(Arrays.stream(tokens).boxed().toList());
    }

    private void truncate(Pair pair, int tokensPerBlock) {
        int length = pair.real.length();
        truncateTo(
                pair, length - (random.nextBoolean() ? 0 : random.nextInt(Math.min(length, 2 * tokensPerBlock) + 1)));
    }

    private static void truncateTo(Pair pair, int length) {
        pair.real.truncate(length);
        pair.model.truncate(length);
    }

    /** Returns how many tokens were dropped. Those behind are committed again, some of them written again. */
    private int discard(Pair pair, KvLayout layout) {
        int length = pair.real.length();
        truncateTo(pair, length); // cancels the reservation
        int from = random.nextInt(length + 1);
        int to = Math.min(length, from + 1 + random.nextInt(2 * layout.tokensPerBlock()));
        if (from == length) {
            return 0;
        }
        List<Integer> moving = List.copyOf(pair.model.tokens().subList(to, length));
        long version = pair.real.tableVersion();
        boolean discarded = pair.model.discard(from, to);
        assertEquals(discarded, pair.real.discard(from, to));
        assertEquals(discarded, version != pair.real.tableVersion());
        if (!discarded) {
            refusedDiscards++;
            return 0;
        }
        assertSame(List.of(pair), layout);
        if (random.nextBoolean()) {
            write(pair, layout);
        }
        pair.real.commit(toArray(moving));
        pair.model.commit(moving);
        return to - from;
    }

    private void fork(Pair pair) {
        if (pairs.size() < SEQUENCES) {
            truncateTo(pair, pair.real.length()); // cancels the reservation
            pairs.add(new Pair(pair.real.fork(), pair.model.fork(), pair.prompt));
        }
    }

    private void closeSometimes(Pair pair) {
        if (random.nextInt(4) == 0) {
            boolean continued = random.nextInt(3) > 0;
            if (continued) {
                pair.real.close();
            } else {
                pair.real.closeForGood();
            }
            pair.model.close(continued);
            pairs.remove(pair);
        }
    }

    private static void assertSame(List<Pair> pairs, KvLayout layout) {
        for (Pair pair : pairs) {
            List<Integer> tokens = pair.model.tokens();
            assertEquals(tokens.size(), pair.real.length());
            assertEquals(pair.model.reserved(), pair.real.reserved());
            assertEquals(pair.model.blocks(), pair.real.blocks());
            for (int position = 0; position < tokens.size(); position++) {
                assertEquals(tokens.get(position), pair.real.token(position));
            }
            for (int layer = 0; layer < LAYERS; layer++) {
                assertRows(pair, layout, layer);
            }
        }
    }

    private static void assertRows(Pair pair, KvLayout layout, int layer) {
        int keyWidth = layout.keyWidth(layer);
        int valueWidth = layout.valueWidth(layer);
        int rows = pair.real.length() + pair.real.reserved();
        float[] keys = new float[rows * keyWidth];
        float[] values = new float[rows * valueWidth];
        pair.real.gather(layer, 0, rows, keys, 0, values, 0);
        for (int position = 0; position < rows; position++) {
            Integer written = pair.model.stamp(position);
            if (written != null) {
                assertRow(element(written, layer, false), keys, position, keyWidth);
                assertRow(element(written, layer, true), values, position, valueWidth);
            }
        }
    }

    private static void assertRow(float element, float[] rows, int position, int width) {
        for (int i = 0; i < width; i++) {
            assertEquals(i == 0 ? element : -element, rows[position * width + i], 0.001f);
        }
    }
}
