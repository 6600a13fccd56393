package io.kvcache.demo;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.kvcache.KvCache;
import io.kvcache.KvLayout;
import io.kvcache.KvType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Scores are those of the model's definition and of the shipped model's reference, whatever the cache's type within bounds. */
final class ScorerTest {
    /** By how much of its perplexity with F32 a type may change that of the shipped model. */
    private static final Map<String, Double> BOUNDS = Map.of("F16", .001, "BF16", .001, "INT8", .005);

    private static final GgufFile TRAINED = ShippedModel.open();
    private static final GgufFile RANDOM = GgufFile.open(DemoResources.path(DemoResources.RANDOM_MODEL));
    private static final int RANDOM_CONTEXT = 1024;

    @AfterAll
    static void close() {
        TRAINED.close();
        RANDOM.close();
    }

    private static Score score(GgufFile file, KvType type, int tokensPerBlock, int chunk, int[] tokens) {
        KvLayout layout = LlamaShape.of(file.metadata()).kvLayout(type, tokensPerBlock);
        try (KvCache cache = KvCache.builder(layout).maximumBytes(16L << 20).build();
                Llama model = new Llama(file, layout, chunk)) {
            Score score = new Scorer(model, cache).score(tokens);
            cache.verify();
            assertEquals(0, cache.stats().usedBlocks() + cache.stats().cachedBlocks());
            return score;
        }
    }

    private static double[] logprobs(Score score) {
        return score.logprobs().stream().mapToDouble(logprob -> logprob).toArray();
    }

    private static int[] randomTokens(int count) {
        return new Random(11).ints(count, 0, 320).toArray();
    }

    // ---- against the definition ----

    @ParameterizedTest
    @CsvSource({"16,128", "7,33", "1,1", "32,1024"})
    void shouldScoreAsTheModelIsDefined(int tokensPerBlock, int chunk) {
        int[] tokens = randomTokens(200);
        Score score = score(RANDOM, KvType.F32, tokensPerBlock, chunk, tokens);
        double[] expected = new SlowLlama(RANDOM).logprobs(tokens);
        assertArrayEquals(expected, logprobs(score), 1e-4);
        assertEquals(199, score.tokens());
        assertEquals(-Arrays.stream(expected).average().orElseThrow(), score.meanLoss(), 1e-4);
        assertEquals(Math.exp(score.meanLoss()), score.perplexity());
    }

    @Test
    void shouldScoreWindowsOfTheContextLengthEachByItself() {
        int[] tokens = randomTokens(2 * RANDOM_CONTEXT + 30);
        double[] expected = IntStream.of(0, RANDOM_CONTEXT, 2 * RANDOM_CONTEXT)
                .mapToObj(from -> Arrays.copyOfRange(tokens, from, Math.min(from + RANDOM_CONTEXT, tokens.length)))
                .map(window -> new SlowLlama(RANDOM).logprobs(window))
                .flatMapToDouble(Arrays::stream)
                .toArray();
        assertEquals(tokens.length - 3, expected.length);
        assertArrayEquals(expected, logprobs(score(RANDOM, KvType.F32, 16, 100, tokens)), 1e-4);
    }

    @Test
    void shouldLeaveALastTokenAloneInItsWindowWithoutAScore() {
        int[] tokens = randomTokens(RANDOM_CONTEXT + 1);
        Score whole = score(RANDOM, KvType.F16, 16, 128, tokens);
        assertEquals(score(RANDOM, KvType.F16, 16, 128, Arrays.copyOf(tokens, RANDOM_CONTEXT)), whole);
        assertEquals(RANDOM_CONTEXT - 1, whole.tokens());
    }

    @Test
    void shouldScoreEveryTokenOfATextThatItHasScoredBefore() {
        int[] tokens = randomTokens(100);
        KvLayout layout = LlamaShape.of(RANDOM.metadata()).kvLayout(KvType.F16, 16);
        try (KvCache cache = KvCache.builder(layout).maximumBytes(16L << 20).build();
                Llama model = new Llama(RANDOM, layout, 32)) {
            Scorer scorer = new Scorer(model, cache);
            assertEquals(scorer.score(tokens), scorer.score(tokens));
            cache.verify();
        }
    }

    // ---- against the reference of the shipped model ----

    @Test
    void shouldGiveTheGoldenLossWithF32() {
        JsonNode golden = DemoResources.json(DemoResources.TRAINED_REFERENCE).get("perplexity");
        Score score = score(TRAINED, KvType.F32, 16, 128, DemoResources.goldenSlice());
        assertEquals(golden.get("scored").intValue(), score.tokens());
        assertEquals(golden.get("mean_nll").doubleValue(), score.meanLoss(), 5e-4);
        assertEquals(golden.get("perplexity").doubleValue(), score.perplexity(), 5e-3);
        for (int window = 0; window < 4; window++) {
            List<Double> logprobs = score.logprobs().subList(window * 511, (window + 1) * 511);
            double loss = -logprobs.stream().mapToDouble(logprob -> logprob).sum();
            assertEquals(golden.get("nll").get(window).doubleValue(), loss, 511 * 5e-4);
        }
    }

    @Test
    void shouldShipTheSliceOfTheReference() {
        JsonNode golden = DemoResources.json(DemoResources.TRAINED_REFERENCE).get("perplexity");
        int[] windows = golden.get("windows")
                .valueStream()
                .flatMapToInt(window -> Arrays.stream(DemoResources.ints(window)))
                .toArray();
        assertArrayEquals(windows, DemoResources.goldenSlice());
    }

    @ParameterizedTest
    @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "F32")
    void shouldLoseLittleQualityWithSmallerTypes(KvType type) {
        double bound = Objects.requireNonNull(BOUNDS.get(type.name()), () -> "state what may be lost with " + type);
        int[] slice = DemoResources.goldenSlice();
        double exact = score(TRAINED, KvType.F32, 16, 128, slice).perplexity();
        double change = score(TRAINED, type, 16, 128, slice).perplexity() / exact - 1;
        assertTrue(Math.abs(change) < bound, () -> "perplexity changes with " + type + ": " + change);
        assertTrue(change != 0, () -> "the type does not matter: " + type);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 33, 512})
    void shouldNotDependOnTheChunk(int chunk) {
        int[] tokens = Arrays.copyOf(DemoResources.goldenSlice(), 700);
        assertArrayEquals(
                logprobs(score(TRAINED, KvType.F32, 16, 128, tokens)),
                logprobs(score(TRAINED, KvType.F32, 16, chunk, tokens)),
                1e-4);
        // The last bit of a sum can turn the rounding of a key or value: single tokens differ by more.
        assertEquals(
                score(TRAINED, KvType.F16, 16, 128, tokens).meanLoss(),
                score(TRAINED, KvType.F16, 16, chunk, tokens).meanLoss(),
                1e-4);
    }

    // ---- refusals ----

    private static void assertRefused(String message, int[] tokens) {
        assertEquals(
                message,
                assertThrows(IllegalArgumentException.class, () -> score(TRAINED, KvType.F16, 16, 128, tokens))
                        .getMessage());
    }

    @Test
    void shouldRefuseWhatHasNoSecondToken() {
        assertRefused("scoring takes two tokens in a window: tokens=0 contextTokens=512", new int[0]);
        assertRefused("scoring takes two tokens in a window: tokens=1 contextTokens=512", new int[1]);
        assertEquals(
                "score has no token: logprobs=0",
                assertThrows(IllegalArgumentException.class, () -> new Score(List.of()))
                        .getMessage());
    }

    @Test
    void shouldRefuseTokensOutsideTheVocabularyAlsoTheLast() {
        String message = "token id outside the vocabulary: token=%d vocabularySize=1024";
        assertRefused(message.formatted(-1), new int[] {-1, 1});
        assertRefused(message.formatted(1024), new int[] {1, 1024});
    }

    @Test
    void shouldSayWhenTheCacheIsTooSmall() {
        KvLayout layout = LlamaShape.of(TRAINED.metadata()).kvLayout(KvType.F16, 16);
        try (KvCache cache = KvCache.builder(layout)
                        .maximumBytes(layout.blockBytes())
                        .build();
                Llama model = new Llama(TRAINED, layout, 8)) {
            Scorer scorer = new Scorer(model, cache);
            assertEquals(16, scorer.score(new int[17]).tokens());
            String message = ""
                    + assertThrows(IllegalStateException.class, () -> scorer.score(new int[18]))
                            .getMessage();
            assertTrue(message.startsWith("cache is full: wanted=17 CacheStats"), message);
            cache.verify();
            assertEquals(0, cache.stats().usedBlocks());
        }
    }

    @Test
    void shouldSayWhenAModelGivesNoNumbers(@TempDir Path directory) throws IOException {
        byte[] bytes = Files.readAllBytes(RANDOM.path());
        Arrays.fill(bytes, bytes.length - 4, bytes.length, (byte) 0xff); // a weight that is not a number, in any type
        Path copy = Files.write(directory.resolve("nan.gguf"), bytes);
        try (GgufFile file = GgufFile.open(copy)) {
            assertEquals(
                    "model gives no number for a probability: token=7",
                    assertThrows(IllegalStateException.class, () -> score(file, KvType.F32, 16, 8, new int[] {319, 7}))
                            .getMessage());
        }
    }
}
