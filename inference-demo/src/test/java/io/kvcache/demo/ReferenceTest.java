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
import java.util.List;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** The decoder gives the tokens and logits that llama.cpp computed from the same random-weight model. */
final class ReferenceTest {
    private static final int LONGEST_PROMPT = 700;

    private static final GgufFile FILE = GgufFile.open(DemoResources.path(DemoResources.RANDOM_MODEL));

    @AfterAll
    static void close() {
        FILE.close();
    }

    private static List<JsonNode> greedyCases(String kvType) {
        JsonNode cases = DemoResources.json(DemoResources.RANDOM_REFERENCE).get("cases");
        return StreamSupport.stream(cases.spliterator(), false)
                .filter(node -> node.get("kind").textValue().equals("greedy"))
                .filter(node -> node.get("kv").textValue().equals(kvType))
                .toList();
    }

    static Stream<Arguments> modes() {
        return Stream.of(1, 7, 16, 32)
                .flatMap(tokensPerBlock ->
                        Stream.of(LONGEST_PROMPT, 33, 1).map(chunk -> Arguments.of(KvType.F32, tokensPerBlock, chunk)));
    }

    static Stream<Arguments> halfPrecisionModes() {
        return Stream.of(Arguments.of(KvType.F16, 16, LONGEST_PROMPT), Arguments.of(KvType.F16, 7, 1));
    }

    @ParameterizedTest
    @MethodSource({"modes", "halfPrecisionModes"})
    void shouldGiveTheReferenceTokensAndLogits(KvType type, int tokensPerBlock, int chunk) {
        KvLayout layout = LlamaShape.of(FILE.metadata()).kvLayout(type, tokensPerBlock);
        try (KvCache cache = KvCache.builder(layout).maximumBytes(64L << 20).build();
                Llama model = new Llama(FILE, layout, chunk)) {
            List<JsonNode> cases = greedyCases(type == KvType.F32 ? "f32" : "f16");
            assertEquals(type == KvType.F32 ? 4 : 8, cases.size());
            for (JsonNode reference : cases) {
                assertCase(reference, cache, model, type == KvType.F32 ? 1e-3f : 5e-2f);
                cache.verify();
            }
            assertEquals(0, cache.stats().usedBlocks());
        }
    }

    private static void assertCase(JsonNode reference, KvCache cache, Llama model, float tolerance) {
        String name = reference.get("name").textValue();
        int[] prompt = DemoResources.ints(reference.get("prompt"));
        int[] expected = DemoResources.ints(reference.get("tokens"));
        List<Integer> tokens = new ArrayList<>();
        float[] logits = new float[model.vocabularySize()];
        try (Sequence sequence = cache.namespace(name).open(prompt)) {
            assertEquals(0, sequence.cachedTokens(), "every case computes its prompt");
            while (sequence.length() < prompt.length) {
                int position = sequence.length();
                append(
                        sequence,
                        model,
                        prompt,
                        position,
                        Math.min(model.maximumRows(), prompt.length - position),
                        logits);
            }
            for (int step = 0; step < expected.length; step++) {
                assertLogits(reference.get("logits16").get("" + step), logits, tolerance, name + " step " + step);
                tokens.add(best(logits));
                append(sequence, model, new int[] {tokens.getLast()}, 0, 1, logits);
            }
        }
        assertArrayEquals(expected, tokens.stream().mapToInt(token -> token).toArray(), name);
    }

    private static void append(Sequence sequence, Llama model, int[] tokens, int from, int rows, float[] logits) {
        assertTrue(sequence.tryReserve(rows));
        model.forward(new StepBatch().add(sequence, tokens, from, rows, 1), logits);
        sequence.commit(tokens, from, rows);
    }

    private static void assertLogits(@Nullable JsonNode expected, float[] logits, float tolerance, String where) {
        if (expected == null) {
            return;
        }
        for (int i = 0; i < expected.size(); i++) {
            assertEquals(expected.get(i).floatValue(), logits[i], tolerance, where);
        }
    }

    private static int best(float[] logits) {
        int best = 0;
        for (int i = 1; i < logits.length; i++) {
            best = logits[i] > logits[best] ? i : best;
        }
        return best;
    }
}
