package io.kvcache.demo;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.kvcache.KvCache;
import io.kvcache.KvLayout;
import io.kvcache.KvType;
import io.kvcache.Sequence;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The loop gives the reference tokens in every mode, with the trained model and with the random one. */
final class DecodeLoopModesTest {
    private static final GgufFile TRAINED = ShippedModel.open();
    private static final GgufFile RANDOM = GgufFile.open(DemoResources.path(DemoResources.RANDOM_MODEL));

    /** How the loop is driven. */
    enum Mode {
        ONE_BY_ONE(256, 1, 400, 0, 1),
        BATCHED(256, 16, 400, 0, 1),
        CHUNKED(17, 16, 400, 0, 1),
        PREEMPTED(64, 16, 52, 0, 1),
        FORKED(128, 32, 400, 0, 3),
        SPECULATIVE(128, 16, 400, 4, 1),
        ALL_AT_ONCE(40, 12, 56, 3, 2);

        private final int maximumRows;
        private final int concurrency;
        private final int blocks;
        private final int draftTokens;
        private final int samples;

        Mode(int maximumRows, int concurrency, int blocks, int draftTokens, int samples) {
            this.maximumRows = maximumRows;
            this.concurrency = concurrency;
            this.blocks = blocks;
            this.draftTokens = draftTokens;
            this.samples = samples;
        }
    }

    @AfterAll
    static void close() {
        TRAINED.close();
        RANDOM.close();
    }

    @ParameterizedTest
    @EnumSource
    void shouldGiveTheGoldenTokensOfTheTrainedModel(Mode mode) {
        List<int[]> prompts = new ArrayList<>();
        List<int[]> expected = new ArrayList<>();
        for (JsonNode golden :
                DemoResources.json(DemoResources.TRAINED_REFERENCE).get("generations")) {
            prompts.add(DemoResources.ints(golden.get("prompt_ids")));
            expected.add(DemoResources.ints(golden.get("greedy_ids")));
        }
        LoopStats stats = assertTokens(TRAINED, mode, mode.blocks, prompts, expected);
        assertEquals(mode == Mode.PREEMPTED || mode == Mode.ALL_AT_ONCE, stats.preemptions() > 0, stats::toString);
        assertEquals(mode.draftTokens > 0, stats.acceptedTokens() > 50, stats::toString);
    }

    @ParameterizedTest
    @EnumSource
    void shouldGiveTheReferenceTokensOfTheRandomModel(Mode mode) {
        List<int[]> prompts = new ArrayList<>();
        List<int[]> expected = new ArrayList<>();
        for (JsonNode reference : cases("greedy")) {
            prompts.add(DemoResources.ints(reference.get("prompt")));
            expected.add(DemoResources.ints(reference.get("tokens")));
        }
        assertTokens(RANDOM, mode, 4 * mode.blocks, prompts, expected);
    }

    private static List<JsonNode> cases(String kind) {
        JsonNode cases = DemoResources.json(DemoResources.RANDOM_REFERENCE).get("cases");
        return StreamSupport.stream(cases.spliterator(), false)
                .filter(node -> node.get("kind").textValue().equals(kind)
                        && node.get("kv").textValue().equals("f32"))
                .toList();
    }

    private static LoopStats assertTokens(
            GgufFile file, Mode mode, int blocks, List<int[]> prompts, List<int[]> expected) {
        KvLayout layout = LlamaShape.of(file.metadata()).kvLayout(KvType.F32, 16);
        DecodeOptions options = DecodeOptions.DEFAULT
                .withConcurrency(mode.concurrency)
                .withDraftTokens(mode.draftTokens)
                .withWatermark(0);
        try (Llama model = new Llama(file, layout, mode.maximumRows);
                KvCache cache = KvCache.builder(layout)
                        .maximumBytes(blocks * layout.blockBytes())
                        .build();
                DecodeLoop loop = new DecodeLoop(model, cache, -1, options, System::nanoTime)) {
            List<CompletableFuture<DecodeResult>> results = new ArrayList<>();
            for (int i = 0; i < prompts.size(); i++) {
                results.add(loop.submit(DecodeRequest.builder(prompts.get(i))
                        .maxTokens(expected.get(i).length)
                        .samples(mode.samples)
                        .build()));
            }
            loop.run();
            for (int i = 0; i < prompts.size(); i++) {
                for (Sample sample : results.get(i).join().samples()) {
                    assertArrayEquals(expected.get(i), sample.tokens(), "prompt " + i);
                }
            }
            cache.verify();
            assertEquals(0, cache.stats().usedBlocks());
            return loop.stats();
        }
    }

    /** The reference drops 20 tokens behind the first 20 once its prompt of 100 is computed. */
    @Test
    void shouldDiscardTokensAsTheReferenceDoes() {
        JsonNode reference = cases("shift").getFirst();
        int[] prompt = DemoResources.ints(reference.get("prompt"));
        int[] expected = DemoResources.ints(reference.get("tokens"));
        int from = reference.get("rm").get(0).intValue();
        int to = reference.get("rm").get(1).intValue();
        KvLayout layout = LlamaShape.of(RANDOM.metadata()).kvLayout(KvType.F32, 16);
        int[] tokens = new int[expected.length];
        try (Llama llama = new Llama(RANDOM, layout, 128);
                KvCache cache = KvCache.builder(layout)
                        .maximumBytes(32 * layout.blockBytes())
                        .build()) {
            float[] logits = new float[llama.vocabularySize()];
            Sampler best = new Sampler(SamplingOptions.greedy());
            try (Sequence sequence = cache.namespace("shift").open(prompt)) {
                compute(llama, sequence, prompt, logits);
                assertTrue(sequence.discard(from, to));
                llama.moveKeys(sequence, to - from);
                sequence.commit(prompt, to, prompt.length - to);
                for (int i = 0; i < tokens.length; i++) {
                    tokens[i] = best.sample(logits, 0, logits.length);
                    compute(llama, sequence, new int[] {tokens[i]}, logits);
                }
                cache.verify();
            }
            assertArrayEquals(expected, tokens);
        }
    }

    private static void compute(Llama llama, Sequence sequence, int[] tokens, float[] logits) {
        assertTrue(sequence.tryReserve(tokens.length));
        llama.forward(new StepBatch().add(sequence, tokens, 0, tokens.length, 1), logits);
        sequence.commit(tokens);
    }

    /** The same where the loop has a context of 100 tokens; with the 21st token it is full again. */
    @Test
    void shouldShiftTheContextAsTheReferenceDoes() {
        JsonNode reference = cases("shift").getFirst();
        int[] prompt = DemoResources.ints(reference.get("prompt"));
        int[] expected = Arrays.copyOf(DemoResources.ints(reference.get("tokens")), 21);
        KvLayout layout = LlamaShape.of(RANDOM.metadata()).kvLayout(KvType.F32, 16);
        try (Llama llama = new Llama(RANDOM, layout, 32);
                KvCache cache = KvCache.builder(layout)
                        .maximumBytes(32 * layout.blockBytes())
                        .build();
                DecodeLoop loop = new DecodeLoop(
                        new ShortContext(llama, prompt.length), cache, -1, DecodeOptions.DEFAULT, System::nanoTime)) {
            CompletableFuture<DecodeResult> result = loop.submit(DecodeRequest.builder(prompt)
                    .maxTokens(expected.length)
                    .shift(new ContextShift(20, 60))
                    .build());
            loop.run();
            assertArrayEquals(expected, result.join().samples().getFirst().tokens());
            assertEquals(1, loop.stats().shifts());
            cache.verify();
            assertEquals(0, cache.stats().usedBlocks());
            assertEquals(96, cache.namespace("default").probe(prompt), "the prompt's blocks are cached as they were");
        }
    }
}
