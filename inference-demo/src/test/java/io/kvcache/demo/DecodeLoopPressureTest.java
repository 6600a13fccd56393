package io.kvcache.demo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.KvCache;
import io.kvcache.KvLayout;
import io.kvcache.KvType;
import io.kvcache.OpenOptions;
import io.kvcache.Sequence;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/**
 * 200 requests with 20 shared prefixes in a cache of a quarter of the blocks that they need at once: all of them, or the 32 that run at a
 * time. Each gives what it gives alone, but for rounding.
 */
final class DecodeLoopPressureTest {
    private static final int REQUESTS = 200;
    private static final int PREFIXES = 20;
    private static final float NARROW_MARGIN = 1e-3f;

    private static final GgufFile FILE = ShippedModel.open();
    private static final KvLayout LAYOUT = LlamaShape.of(FILE.metadata()).kvLayout(KvType.F16, 16);
    private static final Llama MODEL = new Llama(FILE, LAYOUT, 128);
    private static final List<int[]> PROMPTS = new ArrayList<>();
    private static final List<Integer> LIMITS = new ArrayList<>();
    private static final List<int[]> ALONE = new ArrayList<>();
    private static final List<float[]> MARGINS = new ArrayList<>(); // [requests][tokens] of the two best logits, alone

    /** Makes the requests, 300 tokens and more on average, and computes each alone. */
    @BeforeAll
    static void computeAlone() {
        Random random = new Random(6);
        int[] text = DemoResources.goldenSlice();
        List<int[]> prefixes = new ArrayList<>();
        for (int i = 0; i < PREFIXES; i++) {
            int from = random.nextInt(text.length - 300);
            prefixes.add(Arrays.copyOfRange(text, from, from + 60 + random.nextInt(160)));
        }
        for (int i = 0; i < REQUESTS; i++) {
            int[] prefix = prefixes.get(random.nextInt(PREFIXES));
            int own = 10 + random.nextInt(90);
            int[] prompt = Arrays.copyOf(prefix, prefix.length + own);
            System.arraycopy(text, random.nextInt(text.length - own), prompt, prefix.length, own);
            PROMPTS.add(prompt);
            LIMITS.add(Math.min(40 + random.nextInt(200), MODEL.contextTokens() - prompt.length + 1));
            computeAlone(prompt, LIMITS.get(i));
        }
    }

    private static void computeAlone(int[] prompt, int limit) {
        float[] logits = new float[MODEL.vocabularySize()];
        StepBatch batch = new StepBatch();
        int[] text = Arrays.copyOf(prompt, prompt.length + limit);
        float[] margins = new float[limit];
        try (KvCache cache = KvCache.builder(LAYOUT)
                        .maximumBytes(40 * LAYOUT.blockBytes())
                        .build();
                Sequence sequence = cache.namespace("alone").open(prompt, OpenOptions.DEFAULT)) {
            for (int length = prompt.length; length < text.length; length++) {
                while (sequence.length() < length) {
                    int rows = Math.min(MODEL.maximumRows(), length - sequence.length());
                    assertTrue(sequence.tryReserve(rows));
                    MODEL.forward(batch.clear().add(sequence, text, sequence.length(), rows, 1), logits);
                    sequence.commit(text, sequence.length(), rows);
                }
                text[length] = best(logits, -1);
                margins[length - prompt.length] = logits[text[length]] - logits[best(logits, text[length])];
            }
        }
        ALONE.add(Arrays.copyOfRange(text, prompt.length, text.length));
        MARGINS.add(margins);
    }

    private static int best(float[] logits, int except) {
        int best = except == 0 ? 1 : 0;
        for (int id = 0; id < logits.length; id++) {
            best = id != except && logits[id] > logits[best] ? id : best;
        }
        return best;
    }

    @AfterAll
    static void close() {
        MODEL.close();
        FILE.close();
    }

    /** What a run came to. */
    private record Outcome(int exact, int diverged, LoopStats stats) {}

    @Test
    void shouldGiveEveryRequestWhatItGivesAlone() {
        assertGivesAll(DecodeOptions.DEFAULT);
    }

    @Test
    void shouldDoSoWithAllAtOnce() {
        assertGivesAll(DecodeOptions.DEFAULT.withConcurrency(MODEL.maximumRows()));
    }

    private static void assertGivesAll(DecodeOptions options) {
        Outcome outcome = run(Disturbance.NONE, options);
        assertEquals(REQUESTS, outcome.exact + outcome.diverged);
        assertTrue(outcome.stats.preemptions() > 10, outcome::toString);
        assertTrue(outcome.stats.wasteRatio() < 0.04, outcome::toString);
    }

    @Test
    void shouldDoSoWithGuesses() {
        Outcome outcome = run(Disturbance.NONE, DecodeOptions.DEFAULT.withDraftTokens(4));
        assertEquals(REQUESTS, outcome.exact + outcome.diverged);
        assertTrue(outcome.stats.acceptanceRatio() > 0.1, outcome::toString);
    }

    @Test
    void shouldDoSoWhereEveryTenthIsCancelled() {
        Outcome outcome = run(Disturbance.CANCEL, DecodeOptions.DEFAULT);
        assertEquals(REQUESTS - REQUESTS / 10, outcome.exact + outcome.diverged);
        assertEquals(REQUESTS / 10, outcome.stats.cancelled());
    }

    @Test
    void shouldDoSoWhereEveryTenthListenerThrows() {
        Outcome outcome = run(Disturbance.THROW, DecodeOptions.DEFAULT);
        assertEquals(REQUESTS - REQUESTS / 10, outcome.exact + outcome.diverged);
        assertEquals(REQUESTS / 10, outcome.stats.failed());
    }

    private enum Disturbance {
        NONE,
        CANCEL,
        THROW
    }

    private static Outcome run(Disturbance disturbance, DecodeOptions options) {
        int blocks = blocksAtOnce(options.concurrency()) / 4;
        try (KvCache cache = KvCache.builder(LAYOUT)
                        .maximumBytes(blocks * LAYOUT.blockBytes())
                        .build();
                DecodeLoop loop = new DecodeLoop(MODEL, cache, -1, options, System::nanoTime)) {
            List<CompletableFuture<DecodeResult>> results = submit(loop, disturbance);
            Slots slots = new Slots();
            for (int step = 0; loop.step(); step++) {
                if (disturbance == Disturbance.CANCEL && step % 9 == 0 && step / 9 < REQUESTS / 10) {
                    results.get(step / 9 * 10).cancel(false);
                }
                slots.look(cache, loop);
                if (step % 50 == 0) {
                    cache.verify();
                }
            }
            cache.verify();
            assertEquals(0, cache.stats().usedBlocks(), "no block is lost");
            Outcome outcome = compare(results, loop.stats());
            System.out.printf(
                    "%s, guesses %d, %d blocks: %d exact, %d differ from a narrow margin on; %d preemptions,"
                            + " %d tokens recomputed, %d of %d prompt tokens hit, acceptance %.3f,"
                            + " waste %.4f by sequence, %.4f by block, bookkeeping %.4f%n",
                    disturbance,
                    options.draftTokens(),
                    blocks,
                    outcome.exact,
                    outcome.diverged,
                    outcome.stats.preemptions(),
                    outcome.stats.recomputedTokens(),
                    cache.stats().traffic().hitTokens(),
                    cache.stats().traffic().promptTokens(),
                    outcome.stats.acceptanceRatio(),
                    outcome.stats.wasteRatio(),
                    slots.wasteRatio(),
                    outcome.stats.bookkeepingRatio());
            return outcome;
        }
    }

    /** The blocks of all requests, prefixes counted once for each; or the part of it for those that the default lets run. */
    private static int blocksAtOnce(int concurrency) {
        int all = 0;
        for (int i = 0; i < REQUESTS; i++) {
            all += LAYOUT.blocksFor(PROMPTS.get(i).length + LIMITS.get(i) - 1);
        }
        boolean some = concurrency == DecodeOptions.DEFAULT.concurrency();
        return some ? (int) ((long) all * concurrency / REQUESTS) : all;
    }

    private static List<CompletableFuture<DecodeResult>> submit(DecodeLoop loop, Disturbance disturbance) {
        List<CompletableFuture<DecodeResult>> results = new ArrayList<>();
        for (int i = 0; i < REQUESTS; i++) {
            boolean throwing = disturbance == Disturbance.THROW && i % 10 == 0;
            int[] left = {i % 40};
            results.add(loop.submit(DecodeRequest.builder(PROMPTS.get(i))
                    .maxTokens(LIMITS.get(i))
                    .ignoreEndOfSequence(true)
                    .listener((sample, token) -> {
                        if (throwing && left[0]-- == 0) {
                            throw new IllegalStateException("listener is asked to throw");
                        }
                    })
                    .build()));
        }
        return results;
    }

    /** Blocks in use against the tokens in them: shared blocks, which are full, count once. */
    private static final class Slots {
        private long held;
        private long unused;

        void look(KvCache cache, DecodeLoop loop) {
            held += (long) cache.stats().usedBlocks() * LAYOUT.tokensPerBlock();
            unused += loop.unusedSlots();
        }

        double wasteRatio() {
            return (double) unused / held;
        }
    }

    private static Outcome compare(List<CompletableFuture<DecodeResult>> results, LoopStats stats) {
        int exact = 0;
        int diverged = 0;
        for (int i = 0; i < REQUESTS; i++) {
            if (results.get(i).isCompletedExceptionally()) {
                continue;
            }
            int[] tokens = results.get(i).join().samples().getFirst().tokens();
            int at = Arrays.mismatch(ALONE.get(i), tokens);
            if (at < 0) {
                exact++;
            } else {
                assertTrue(at < tokens.length, "request " + i + " has too few tokens");
                float margin = MARGINS.get(i)[at];
                assertTrue(margin < NARROW_MARGIN, "request " + i + " differs at " + at + " with margin " + margin);
                diverged++;
            }
        }
        return new Outcome(exact, diverged, stats);
    }
}
