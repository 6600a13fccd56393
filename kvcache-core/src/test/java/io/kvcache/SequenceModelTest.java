package io.kvcache;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Drives sequences by random calls and compares every answer with an obvious model: lists of tokens with their values. */
final class SequenceModelTest {
    private static final int STEPS = 30_000;
    private static final int BLOCKS = 14;

    @RegisterExtension
    final Caches caches = new Caches();

    /** A block as the model sees it: whoever lists the same object shares it. */
    private static final class Block {}

    /** What a sequence holds: a token and a stamp per position, from which all its rows follow. */
    private static final class Model {
        final List<Integer> tokens = new ArrayList<>();
        final List<Integer> stamps = new ArrayList<>(); // committed and reserved positions; null: not yet written
        final List<Block> blocks = new ArrayList<>();

        int reserved() {
            return stamps.size() - tokens.size();
        }

        Model copy() {
            Model copy = new Model();
            copy.tokens.addAll(tokens);
            copy.stamps.addAll(stamps);
            copy.blocks.addAll(blocks);
            return copy;
        }
    }

    private record Pair(Sequence real, Model model) {}

    private final List<Pair> pairs = new ArrayList<>();
    private Random random = new Random();
    private KvLayout layout =
            KvLayout.builder().layers(1).kvHeads(1).headSize(1).build();
    private int stamp;

    @ParameterizedTest
    @CsvSource({"F32, 1, 1", "F32, 2, 4", "F16, 3, 3", "F16, 4, 16", "F32, 5, 7"})
    void shouldAgreeWithListsOfTokens(KvType type, long seed, int tokensPerBlock) {
        random = new Random(seed);
        layout = KvLayout.builder()
                .layers(2)
                .kvHeads(2)
                .headSizes(3, 5)
                .layer(1, 1, 4, 4)
                .type(type)
                .tokensPerBlock(tokensPerBlock)
                .build();
        KvCache cache = caches.of(layout, BLOCKS);
        int refused = 0;
        int copies = 0;
        for (int step = 0; step < STEPS; step++) {
            if (pairs.isEmpty() || (pairs.size() < 6 && random.nextInt(20) == 0)) {
                pairs.add(new Pair(cache.namespace("model").open(new int[] {1}), new Model()));
            }
            Pair pair = pairs.get(random.nextInt(pairs.size()));
            switch (random.nextInt(12)) {
                case 0, 1, 2 -> {
                    int before = distinctBlocks();
                    int count = pair.model.blocks.size();
                    refused += reserve(pair) ? 0 : 1;
                    copies += distinctBlocks() - before > pair.model.blocks.size() - count ? 1 : 0;
                }
                case 3, 4, 5 -> write(pair);
                case 6, 7, 8 -> commit(pair);
                case 9 -> truncate(pair);
                case 10 -> fork(pair);
                default -> closeSometimes(pair);
            }
            assertEquals(distinctBlocks(), cache.stats().usedBlocks());
            if (!pairs.isEmpty()) {
                assertSame(pairs.get(random.nextInt(pairs.size())));
            }
            cache.verify();
        }
        assertTrue(refused > STEPS / 100, "memory was full often enough: " + refused);
        assertTrue(tokensPerBlock == 1 || copies > STEPS / 1000, "blocks were copied often enough: " + copies);
        pairs.forEach(pair -> pair.real.close());
    }

    private int distinctBlocks() {
        Set<Block> blocks = Collections.newSetFromMap(new IdentityHashMap<>());
        pairs.forEach(pair -> blocks.addAll(pair.model.blocks));
        return blocks.size();
    }

    private boolean isShared(Block block) {
        return pairs.stream().filter(pair -> pair.model.blocks.contains(block)).count() > 1;
    }

    private boolean reserve(Pair pair) {
        Model model = pair.model;
        int slots = random.nextInt(layout.tokensPerBlock() * 3 + 2);
        int more = slots - model.reserved();
        int wanted = (model.tokens.size() + slots + layout.tokensPerBlock() - 1) / layout.tokensPerBlock();
        boolean partial = model.tokens.size() % layout.tokensPerBlock() != 0;
        boolean copy = more > 0 && model.reserved() == 0 && partial && isShared(model.blocks.getLast());
        int needed = wanted - model.blocks.size() + (copy ? 1 : 0);
        boolean fits = more <= 0 || distinctBlocks() + needed <= BLOCKS;
        assertEquals(fits, pair.real.tryReserve(slots));
        if (fits && more > 0) {
            if (copy) {
                model.blocks.set(model.blocks.size() - 1, new Block());
            }
            while (model.blocks.size() < wanted) {
                model.blocks.add(new Block());
            }
            model.stamps.addAll(Collections.nCopies(more, null));
        }
        return fits;
    }

    private void write(Pair pair) {
        Model model = pair.model;
        if (model.reserved() == 0) {
            return;
        }
        int position = model.tokens.size() + random.nextInt(model.reserved());
        int rows = 1 + random.nextInt(model.stamps.size() - position);
        int first = stamp;
        stamp += rows;
        for (int layer = 0; layer < layout.layers(); layer++) {
            float[] keys = new float[rows * layout.keyWidth(layer)];
            float[] values = new float[rows * layout.valueWidth(layer)];
            for (int row = 0; row < rows; row++) {
                fill(keys, row, layout.keyWidth(layer), element(first + row, layer, false));
                fill(values, row, layout.valueWidth(layer), element(first + row, layer, true));
            }
            writeSomehow(pair.real, layer, position, rows, keys, values);
        }
        for (int row = 0; row < rows; row++) {
            model.stamps.set(position + row, first + row);
        }
    }

    private void writeSomehow(Sequence real, int layer, int position, int rows, float[] keys, float[] values) {
        switch (random.nextInt(3)) {
            case 0 -> real.write(layer, position, rows, keys, 0, values, 0);
            case 1 ->
                real.write(layer, position, rows, MemorySegment.ofArray(keys), 0, MemorySegment.ofArray(values), 0);
            default -> {
                for (int row = 0; row < rows; row++) {
                    store(real.keyRow(layer, position + row), keys, row * layout.keyWidth(layer));
                    store(real.valueRow(layer, position + row), values, row * layout.valueWidth(layer));
                }
            }
        }
    }

    private void store(MemorySegment row, float[] elements, int from) {
        for (int i = 0; i < row.byteSize() / layout.type().bytes(); i++) {
            switch (layout.type()) {
                case F32 -> row.setAtIndex(ValueLayout.JAVA_FLOAT, i, elements[from + i]);
                case F16 -> row.setAtIndex(ValueLayout.JAVA_SHORT, i, Float.floatToFloat16(elements[from + i]));
            }
        }
    }

    /** Different elements for neighbouring stamps, layers, K and V, exact in every type: integers up to 2,047. */
    private static float element(int stamp, int layer, boolean value) {
        return (stamp * 4 + layer * 2 + (value ? 1 : 0)) % 2048;
    }

    private static void fill(float[] rows, int row, int width, float element) {
        for (int i = 0; i < width; i++) {
            rows[row * width + i] = i == 0 ? element : -element;
        }
    }

    private void commit(Pair pair) {
        Model model = pair.model;
        int ready = 0;
        while (ready < model.reserved() && model.stamps.get(model.tokens.size() + ready) != null) {
            ready++;
        }
        if (ready == 0) {
            return;
        }
        int[] tokens = random.ints(1 + random.nextInt(ready)).toArray();
        if (tokens.length == 1) {
            pair.real.commit(tokens[0]);
        } else {
            pair.real.commit(tokens);
        }
        for (int token : tokens) {
            model.tokens.add(token);
        }
    }

    private void truncate(Pair pair) {
        Model model = pair.model;
        int length = model.tokens.size();
        if (random.nextBoolean()) {
            length -= random.nextInt(Math.min(length, 2 * layout.tokensPerBlock()) + 1);
        }
        truncate(pair, length);
    }

    private void truncate(Pair pair, int length) {
        Model model = pair.model;
        pair.real.truncate(length);
        model.tokens.subList(length, model.tokens.size()).clear();
        model.stamps.subList(length, model.stamps.size()).clear();
        int kept = (length + layout.tokensPerBlock() - 1) / layout.tokensPerBlock();
        model.blocks.subList(kept, model.blocks.size()).clear();
    }

    private void fork(Pair pair) {
        if (pairs.size() < 6) {
            truncate(pair, pair.model.tokens.size()); // cancels the reservation
            pairs.add(new Pair(pair.real.fork(), pair.model.copy()));
        }
    }

    private void closeSometimes(Pair pair) {
        if (random.nextInt(8) == 0) {
            pair.real.close();
            pairs.remove(pair);
        }
    }

    private void assertSame(Pair pair) {
        Sequence real = pair.real;
        Model model = pair.model;
        assertEquals(model.tokens.size(), real.length());
        assertEquals(model.reserved(), real.reserved());
        assertEquals(model.blocks.size(), real.blocks());
        for (int position = 0; position < model.tokens.size(); position++) {
            assertEquals(model.tokens.get(position), real.token(position));
        }
        for (int layer = 0; layer < layout.layers(); layer++) {
            assertRows(real, model, layer);
        }
    }

    private void assertRows(Sequence real, Model model, int layer) {
        int keyWidth = layout.keyWidth(layer);
        int valueWidth = layout.valueWidth(layer);
        int rows = model.stamps.size();
        float[] keys = new float[rows * keyWidth];
        float[] values = new float[rows * valueWidth];
        real.gather(layer, 0, rows, keys, 0, values, 0);
        for (int position = 0; position < rows; position++) {
            Integer written = model.stamps.get(position);
            if (written != null) {
                assertRow(element(written, layer, false), keys, position, keyWidth);
                assertRow(element(written, layer, true), values, position, valueWidth);
            }
        }
    }

    private static void assertRow(float element, float[] rows, int position, int width) {
        for (int i = 0; i < width; i++) {
            assertEquals(i == 0 ? element : -element, rows[position * width + i], 0f);
        }
    }
}
