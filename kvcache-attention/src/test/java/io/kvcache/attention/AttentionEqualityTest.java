package io.kvcache.attention;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.BlockOrder;
import io.kvcache.KvCache;
import io.kvcache.KvLayout;
import io.kvcache.KvType;
import io.kvcache.Sequence;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Random shapes, types, orders, options and batches, on every kind of loops, against {@link Reference}. */
class AttentionEqualityTest {
    // Rounding: a score of n products errs by about sqrt(n) x 2^-24 of the sum of their sizes, an exponential by 4e-7
    // besides; both
    // are errors of weights, relative to them. Elements are what gather returns, so that their type does not matter
    // here;
    // KvTypeErrorTest has what the types lose.
    private static final double WEIGHT_ERROR = 2e-6;
    private static final double SCORE_ERROR = 1e-6;

    private final Random random = new Random(42);

    @ParameterizedTest
    @CsvSource({"scalar, 700", "vector128, 700", "vector256, 700", "vector512, 250", "auto, 900"})
    void shouldEqualADoublePrecisionReference(String kernels, int cases) {
        KernelProvider provider = KernelLookup.choose(kernels);
        try (ExecutorService executor = Executors.newFixedThreadPool(2)) {
            for (int i = 0; i < cases; i++) {
                new Case(provider, executor, i).run();
            }
        }
    }

    private <T> T any(List<T> choices) {
        return choices.get(random.nextInt(choices.size()));
    }

    /** One random model, cache and batch. */
    private final class Case {
        private final KernelProvider provider;
        private final ExecutorService executor;
        private final String name;
        private final KvLayout layout;
        private final int queryHeads;
        private final AttentionOptions options;
        private final int layer;

        Case(KernelProvider provider, ExecutorService executor, int number) {
            this.provider = provider;
            this.executor = executor;
            int kvHeads = any(List.of(1, 2, 3, 4));
            queryHeads = kvHeads * any(List.of(1, 1, 2, 3, 4, 5, 8));
            int headSize = any(List.of(1, 7, 16, 30, 32, 64, 80, 96, 100, 128, 256));
            int valueSize = random.nextInt(4) == 0 ? any(List.of(5, 33, 64, 128)) : headSize;
            List<KvType> types = List.of(KvType.values());
            BlockOrder order = any(List.of(BlockOrder.TILES, BlockOrder.TILES, BlockOrder.ROWS));
            int tokens =
                    order == BlockOrder.TILES ? any(List.of(16, 32, 48, 64, 128)) : any(List.of(1, 5, 16, 64, 100));
            KvType keyType = any(types);
            layout = KvLayout.builder()
                    .layers(2)
                    .kvHeads(kvHeads)
                    .headSizes(headSize, valueSize)
                    .types(keyType, random.nextBoolean() ? keyType : any(types))
                    .order(order)
                    .tokensPerBlock(tokens)
                    .build();
            layer = random.nextInt(2);
            options = options();
            name = "case=" + number + " kernels=" + provider + " layout=" + layout + " queryHeads=" + queryHeads
                    + " options=" + options;
        }

        private AttentionOptions options() {
            AttentionOptions some = AttentionOptions.DEFAULT;
            if (random.nextInt(4) == 0) {
                some = some.withScale(random.nextFloat() + .01f);
            }
            if (random.nextInt(4) == 0) {
                some = some.withSoftCap(random.nextFloat() * 3 + .1f);
            }
            if (random.nextInt(3) == 0) {
                some = some.withWindow(1 + random.nextInt(150), any(List.of(0, 1, 4, 20)));
            }
            return some;
        }

        void run() {
            try (KvCache cache = KvCache.builder(layout).maximumBytes(64L << 20).build()) {
                List<Sequence> sequences = new ArrayList<>();
                try {
                    fill(cache, sequences);
                    attend(sequences);
                } finally {
                    sequences.forEach(Sequence::close);
                }
                cache.verify();
            }
        }

        private void fill(KvCache cache, List<Sequence> sequences) {
            int edge = layout.tokensPerBlock() * (1 + random.nextInt(2));
            int length = any(List.of(1, 2, edge - 1, edge, edge + 1, 1 + random.nextInt(300)));
            Sequence first = cache.namespace("test").open(new int[] {1});
            sequences.add(first);
            append(first, Math.max(1, length));
            while (random.nextInt(3) != 0 && sequences.size() < 6) {
                Sequence fork = any(sequences).fork();
                sequences.add(fork);
                if (random.nextBoolean()) {
                    append(fork, 1 + random.nextInt(80));
                }
            }
        }

        private void append(Sequence sequence, int tokens) {
            assertTrue(sequence.tryReserve(tokens));
            for (int of = 0; of < layout.layers(); of++) {
                float[] keys = floats(tokens * layout.keyWidth(of));
                float[] values = floats(tokens * layout.valueWidth(of));
                sequence.write(of, sequence.length(), tokens, keys, 0, values, 0);
            }
            sequence.commit(new int[tokens]);
        }

        private float[] floats(int count) {
            float[] floats = new float[count];
            for (int i = 0; i < count; i++) {
                floats[i] = (float) random.nextGaussian() * (random.nextInt(50) == 0 ? 1e-6f : 1);
            }
            return floats;
        }

        private void attend(List<Sequence> sequences) {
            AttentionBatch batch = new AttentionBatch();
            List<int[]> rows = new ArrayList<>(); // sequence, position, from, to
            for (int i = 0; i < sequences.size(); i++) {
                int length = sequences.get(i).length();
                int count = random.nextInt(3) == 0 ? 1 + random.nextInt(Math.min(length, 40)) : 1;
                int position = random.nextBoolean() ? length - count : random.nextInt(length - count + 1);
                boolean ranged = random.nextInt(6) == 0;
                int from = ranged ? random.nextInt(length + 1) : 0;
                int to = ranged ? from + random.nextInt(length + 1) : Integer.MAX_VALUE;
                batch.add(sequences.get(i), position, count, from, to);
                for (int row = 0; row < count; row++) {
                    rows.add(new int[] {i, position + row, from, to});
                }
            }
            int width = queryHeads * layout.keyHeadSize(layer);
            int outputWidth = queryHeads * layout.valueHeadSize(layer);
            float[] queries = floats(3 + rows.size() * width);
            float[] output = floats(2 + rows.size() * outputWidth);
            float[] logSumExp = floats(rows.size() * queryHeads);
            PagedAttention attention = PagedAttention.builder(layout, queryHeads)
                    .options(layer, options)
                    .threads(executor, 1 + random.nextInt(3))
                    .provider(provider)
                    .build();
            attention.attend(batch, layer, queries, 3, output, 2, logSumExp, 0);
            Reference reference = new Reference(layout, layer, queryHeads, options);
            for (int row = 0; row < rows.size(); row++) {
                int[] of = rows.get(row);
                reference.attend(sequences.get(of[0]), layer, of[1], of[2], of[3], queries, 3 + row * width);
                compare(reference, row, output, 2 + row * outputWidth, logSumExp);
            }
        }

        private void compare(Reference reference, int row, float[] output, int at, float[] logSumExp) {
            double weightError = WEIGHT_ERROR + SCORE_ERROR * reference.scoreSize;
            for (int i = 0; i < reference.output.length; i++) {
                double bound = 2 * weightError * reference.valueSize + 1e-30;
                int element = i;
                assertEquals(reference.output[i], output[at + i], bound, () -> name + " row=" + row + " i=" + element);
            }
            for (int head = 0; head < queryHeads; head++) {
                double expected = reference.logSumExp[head];
                double bound = weightError + 1e-6 * Math.abs(expected);
                int of = head;
                float actual = logSumExp[row * queryHeads + head];
                if (Double.isInfinite(expected)) {
                    assertEquals((float) expected, actual, () -> name + " row=" + row + " head=" + of);
                } else {
                    assertEquals(expected, actual, bound, () -> name + " row=" + row + " head=" + of);
                }
            }
        }
    }
}
