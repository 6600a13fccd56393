package io.kvcache.demo;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.kvcache.KvCache;
import io.kvcache.KvLayout;
import io.kvcache.KvType;
import io.kvcache.Sequence;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** The shipped model continues prompts as its reference implementation did, and stops where it should. */
final class DecoderTest {
    private static final int CONTEXT = 512;
    private static final GgufFile FILE = ShippedModel.open();
    private static final Tokenizer TOKENIZER = new Tokenizer(FILE.metadata());

    private long nanos;

    @AfterAll
    static void close() {
        FILE.close();
    }

    /** Takes a millisecond for each step. */
    private final class SlowModel implements Model {
        private final Model model;

        SlowModel(Model model) {
            this.model = model;
        }

        @Override
        public int vocabularySize() {
            return model.vocabularySize();
        }

        @Override
        public int contextTokens() {
            return model.contextTokens();
        }

        @Override
        public int maximumRows() {
            return model.maximumRows();
        }

        @Override
        public void forward(StepBatch batch, float[] logits) {
            nanos += 1_000_000;
            model.forward(batch, logits);
        }

        @Override
        public void moveKeys(Sequence sequence, int by) {
            model.moveKeys(sequence, by);
        }
    }

    /** Runs requests on a fresh cache, and checks that nothing is left in use. */
    private List<Generation> generate(KvType type, int cacheBlocks, DecodeRequest.Builder... requests) {
        return generate(TOKENIZER, type, cacheBlocks, requests);
    }

    private List<Generation> generate(
            Tokenizer tokenizer, KvType type, int cacheBlocks, DecodeRequest.Builder... requests) {
        KvLayout layout = LlamaShape.of(FILE.metadata()).kvLayout(type, 16);
        try (Llama model = new Llama(FILE, layout, 64);
                KvCache cache = KvCache.builder(layout)
                        .maximumBytes(cacheBlocks * layout.blockBytes())
                        .build()) {
            Decoder decoder = new Decoder(new SlowModel(model), tokenizer, cache, () -> nanos);
            try {
                return Arrays.stream(requests)
                        .map(request -> decoder.generate(request, text -> {}))
                        .toList();
            } finally {
                cache.verify();
                assertEquals(0, cache.stats().usedBlocks());
            }
        }
    }

    private static DecodeRequest.Builder greedy(int[] prompt, int maxTokens) {
        return DecodeRequest.builder(prompt).maxTokens(maxTokens);
    }

    static Stream<Arguments> goldenGenerations() {
        JsonNode generations =
                DemoResources.json(DemoResources.TRAINED_REFERENCE).get("generations");
        return StreamSupport.stream(generations.spliterator(), false)
                .flatMap(node -> Stream.of(KvType.F32, KvType.F16).map(type -> Arguments.of(node, type)));
    }

    @ParameterizedTest
    @MethodSource("goldenGenerations")
    void shouldGiveTheGoldenTokensAndText(JsonNode golden, KvType type) {
        int[] prompt = TOKENIZER.encode(golden.get("prompt").textValue());
        assertArrayEquals(DemoResources.ints(golden.get("prompt_ids")), prompt);
        Generation generation = generate(type, 32, greedy(prompt, 128)).getFirst();
        assertArrayEquals(
                DemoResources.ints(golden.get("greedy_ids")),
                generation.tokens().stream().mapToInt(id -> id).toArray());
        assertEquals(golden.get("greedy_text").textValue(), generation.text());
    }

    /** Prompts that share beginnings of many lengths, and some that share nothing, more than a cache holds. */
    private static List<DecodeRequest.Builder> overlappingPrompts() {
        List<int[]> texts = new ArrayList<>();
        for (JsonNode golden :
                DemoResources.json(DemoResources.TRAINED_REFERENCE).get("generations")) {
            texts.add(DemoResources.ints(golden.get("prompt_ids")));
        }
        Random random = new Random(5);
        List<DecodeRequest.Builder> requests = new ArrayList<>();
        for (int i = 0; i < 30; i++) {
            int[] text = texts.get(texts.size() - 1 - random.nextInt(5)); // the last three begin alike
            int[] other = texts.get(random.nextInt(texts.size()));
            int shared = 1 + random.nextInt(Math.min(text.length, 100));
            int rest = Math.min(other.length, 10);
            int[] prompt = Arrays.copyOf(text, shared + rest);
            System.arraycopy(other, 0, prompt, shared, rest);
            requests.add(greedy(prompt, 12));
        }
        return requests;
    }

    @ParameterizedTest
    @EnumSource
    void shouldGiveTheSameTokensWithAndWithoutSharing(KvType type) {
        KvLayout layout = LlamaShape.of(FILE.metadata()).kvLayout(type, 16);
        int fullBlockHits = 0;
        int partialHits = 0;
        try (Llama model = new Llama(FILE, layout, 64);
                KvCache shared = KvCache.builder(layout)
                        .maximumBytes(12 * layout.blockBytes())
                        .build();
                KvCache fresh = KvCache.builder(layout)
                        .maximumBytes(12 * layout.blockBytes())
                        .build()) {
            Decoder sharing = new Decoder(model, TOKENIZER, shared, () -> 0);
            Decoder computing = new Decoder(model, TOKENIZER, fresh, () -> 0);
            for (DecodeRequest.Builder request : overlappingPrompts()) {
                Generation generation = sharing.generate(request, text -> {});
                fullBlockHits += generation.cachedTokens() / 16;
                partialHits += generation.cachedTokens() % 16 > 0 ? 1 : 0;
                fresh.namespace("default").renew();
                Generation alone = computing.generate(request, text -> {});
                assertEquals(0, alone.cachedTokens());
                assertEquals(alone.tokens(), generation.tokens());
            }
            shared.verify();
            assertTrue(
                    fullBlockHits > 20
                            && partialHits > 20
                            && shared.stats().traffic().evictedBlocks() > 20,
                    fullBlockHits + " blocks hit, " + partialHits + " partial hits, " + shared.stats());
        }
    }

    @Test
    void shouldReportWhatItTook() {
        int[] prompt = TOKENIZER.encode("In the beginning"); // 8 tokens
        Generation generation = generate(KvType.F16, 32, greedy(prompt, 11)).getFirst();
        assertEquals(8, generation.promptTokens());
        assertEquals(0, generation.cachedTokens());
        assertEquals(11, generation.tokens().size());
        assertEquals(
                1.0, generation.ttftMillis()); // a step takes a millisecond: one for the prompt, one for each token
        assertEquals(1_000.0, generation.decodeTokensPerSecond());
        // 8 + 10 tokens have K/V, the last one needs none: 2 blocks of 16
        assertEquals(new KvUsage(1280, 2, 2 * 16 * 1280, 1 - 18 / 32.0), generation.kv());
    }

    @Test
    void shouldStreamTheTextInPieces() {
        KvLayout layout = LlamaShape.of(FILE.metadata()).kvLayout(KvType.F32, 16);
        List<String> pieces = new ArrayList<>();
        try (Llama model = new Llama(FILE, layout, 64);
                KvCache cache = KvCache.builder(layout)
                        .maximumBytes(32 * layout.blockBytes())
                        .build()) {
            Generation generation = new Decoder(model, TOKENIZER, cache, () -> 0)
                    .generate(greedy(TOKENIZER.encode("In the beginning"), 20), pieces::add);
            assertEquals(generation.text(), String.join("", pieces));
            assertTrue(pieces.size() >= 20, () -> "" + pieces);
            cache.verify();
        }
    }

    @Test
    void shouldStopAtTheEndOfTheSequenceUnlessToldNotTo(@TempDir Path directory) throws IOException {
        int[] prompt = TOKENIZER.encode("In the beginning");
        List<Integer> tokens =
                generate(KvType.F16, 32, greedy(prompt, 20)).getFirst().tokens();
        int end = tokens.get(9);
        Path copy = directory.resolve("other-end.gguf");
        try (GgufFile other = GgufFile.open(withEndOfSequence(end, copy))) {
            Tokenizer tokenizer = new Tokenizer(other.metadata());
            assertEquals(
                    tokens.subList(0, tokens.indexOf(end)),
                    generate(tokenizer, KvType.F16, 32, greedy(prompt, 20))
                            .getFirst()
                            .tokens());
            DecodeRequest.Builder ignoring = greedy(prompt, 20).ignoreEndOfSequence(true);
            assertEquals(
                    tokens,
                    generate(tokenizer, KvType.F16, 32, ignoring).getFirst().tokens());
        }
    }

    /** Copies the shipped model with another id as its end-of-sequence token. */
    private static Path withEndOfSequence(int id, Path copy) throws IOException {
        byte[] bytes = Files.readAllBytes(FILE.path());
        String key = "tokenizer.ggml.eos_token_id";
        int value = new String(bytes, StandardCharsets.ISO_8859_1).indexOf(key) + key.length() + Integer.BYTES;
        ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).putInt(value, id);
        return Files.write(copy, bytes);
    }

    @Test
    void shouldStopAtTheContextLength() {
        int[] almost = IntStream.range(0, CONTEXT - 2).map(i -> 300 + i % 500).toArray();
        int[] full = IntStream.range(0, CONTEXT).map(i -> 300 + i % 500).toArray();
        List<Generation> generations = generate(KvType.F16, 32, greedy(almost, 100), greedy(full, 100));
        assertEquals(3, generations.get(0).tokens().size());
        assertEquals(1, generations.get(1).tokens().size());
        assertEquals(32, generations.get(1).kv().blocksUsed());
    }

    @Test
    void shouldRefuseAPromptBeyondTheContext() {
        assertRefused("prompt is longer than the context: promptTokens=513 contextTokens=512", 32, new int[513]);
    }

    @Test
    void shouldRefuseWhatCannotFitIntoTheCache() {
        assertRefused(
                "cache too small for prompt and continuation: promptTokens=16 newTokens=18 samples=1 blocksNeeded=3"
                        + " blocks=2 blockBytes=20480",
                2,
                new int[16]);
    }

    @Test
    void shouldRefuseTokensOutsideTheVocabulary() {
        assertRefused("token id outside the vocabulary: token=1024 vocabularySize=1024", 8, new int[] {1, 1024});
        assertRefused("token id outside the vocabulary: token=-1 vocabularySize=1024", 8, new int[] {-1});
    }

    @Test
    void shouldRefuseATokenizerOfAnotherModel() throws IOException {
        Tokenizer other = TokenizerModel.withControls().build();
        assertEquals(
                "model and tokenizer have different vocabularies: model=1024 tokenizer=3",
                assertThrows(
                                IllegalArgumentException.class,
                                () -> generate(other, KvType.F16, 8, greedy(new int[] {1}, 1)))
                        .getMessage());
    }

    private void assertRefused(String message, int cacheBlocks, int[] prompt) {
        DecodeRequest.Builder request = greedy(prompt, 18);
        assertEquals(
                message,
                assertThrows(IllegalArgumentException.class, () -> generate(KvType.F16, cacheBlocks, request))
                        .getMessage());
    }

    @Test
    void shouldRefuseRequestsForNothing() {
        assertThrows(IllegalArgumentException.class, () -> greedy(new int[0], 1));
        assertThrows(IllegalArgumentException.class, () -> greedy(new int[1], 0));
    }
}
