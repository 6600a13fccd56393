package io.kvcache.demo;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

final class TokenizerTest {
    private static final String EMOJI = "\uD83D\uDE00";

    static Stream<JsonNode> goldenTexts() {
        return stream("tokenizer");
    }

    static Stream<JsonNode> goldenGenerations() {
        return stream("generations");
    }

    private static Stream<JsonNode> stream(String field) {
        JsonNode cases = DemoResources.json(DemoResources.TRAINED_REFERENCE).path(field);
        return IntStream.range(0, cases.size()).mapToObj(cases::get);
    }

    @ParameterizedTest
    @MethodSource("goldenTexts")
    void shouldGiveTheIdsAndTextsOfTheReference(JsonNode expected) {
        Tokenizer tokenizer = trained();
        String text = expected.path("text").textValue();
        int[] ids = DemoResources.ints(expected.path("ids"));
        assertArrayEquals(ids, tokenizer.encode(text));
        assertEquals(text.replace('\u2581', ' '), tokenizer.decode(ids));
    }

    @ParameterizedTest
    @MethodSource("goldenGenerations")
    void shouldGiveTheIdsAndTextsOfTheReferencesPrompts(JsonNode expected) {
        Tokenizer tokenizer = trained();
        assertArrayEquals(
                DemoResources.ints(expected.path("prompt_ids")),
                tokenizer.encode(expected.path("prompt").textValue()));
        TextStream stream = tokenizer.continuedText();
        StringBuilder text = new StringBuilder();
        for (int id : DemoResources.ints(expected.path("greedy_ids"))) {
            text.append(stream.append(id));
        }
        assertEquals(
                expected.path("greedy_text").textValue(),
                text.append(stream.finish()).toString());
    }

    @Test
    void shouldSayWhatTheFileSaysOfItsTokens() {
        Tokenizer tokenizer = trained();
        assertEquals(1024, tokenizer.vocabularySize());
        assertEquals(OptionalInt.of(1), tokenizer.bos());
        assertEquals(OptionalInt.of(2), tokenizer.eos());
        assertFalse(tokenizer.isControl(0));
        assertTrue(tokenizer.isControl(1));
        assertTrue(tokenizer.isControl(2));
        assertFalse(tokenizer.isControl(3));
    }

    @Test
    void shouldAgreeWithASlowMergeOfTheTrainedPieces() {
        try (GgufFile file = GgufFile.open(DemoResources.path(DemoResources.TRAINED_MODEL))) {
            GgufMetadata metadata = file.metadata();
            List<String> pieces = metadata.strings("tokenizer.ggml.tokens");
            SlowMerger slow = new SlowMerger(
                    pieces, metadata.floats("tokenizer.ggml.scores"), metadata.ints("tokenizer.ggml.token_type"));
            Tokenizer tokenizer = new Tokenizer(metadata);
            Random random = new Random(11);
            for (int round = 0; round < 3000; round++) {
                String text = randomText(random, pieces);
                List<Integer> expected = new ArrayList<>(List.of(1));
                expected.addAll(slow.encode(text));
                assertEquals(expected, boxed(tokenizer.encode(text)), text);
                assertEquals(text.replace('\u2581', ' '), tokenizer.decode(tokenizer.encode(text)));
            }
        }
    }

    private static String randomText(Random random, List<String> pieces) {
        StringBuilder text = new StringBuilder();
        for (int part = random.nextInt(20); part > 0; part--) {
            switch (random.nextInt(5)) {
                case 0 -> text.appendCodePoint(random.nextInt(0xD800));
                case 1 -> text.appendCodePoint(0x1F600 + random.nextInt(50));
                case 2 -> text.append((char) ('a' + random.nextInt(26)));
                default -> text.append(pieces.get(random.nextInt(pieces.size())));
            }
        }
        return text.toString();
    }

    /** Few letters and scores, so that pairs overlap and scores are equal all the time. */
    @Test
    void shouldAgreeWithASlowMergeWhereScoresAreEqual() throws IOException {
        Random random = new Random(12);
        for (int vocabulary = 0; vocabulary < 100; vocabulary++) {
            List<String> pieces = Stream.generate(() -> randomLetters(random, 1 + random.nextInt(6)))
                    .limit(25)
                    .distinct()
                    .toList();
            float[] scores = new float[pieces.size()];
            TokenizerModel model = new TokenizerModel().model("llama").plain();
            for (int id = 0; id < scores.length; id++) {
                scores[id] = -random.nextInt(3);
                model.normal(pieces.get(id), scores[id]);
            }
            List<String> all = new ArrayList<>(pieces);
            IntStream.range(0, 256).forEach(value -> all.add("<0x%02X>".formatted(value)));
            int[] types = IntStream.range(0, all.size())
                    .map(id -> id < scores.length ? 1 : 6)
                    .toArray();
            SlowMerger slow = new SlowMerger(all, scores, types);
            Tokenizer tokenizer = model.bytes().build();
            for (int round = 0; round < 100; round++) {
                String text = randomLetters(random, random.nextInt(40));
                assertEquals(slow.encode(text), boxed(tokenizer.encode(text)), text + " with " + pieces);
            }
        }
    }

    private static String randomLetters(Random random, int length) {
        StringBuilder text = new StringBuilder();
        for (int index = 0; index < length; index++) {
            text.append("abc".charAt(random.nextInt(3)));
        }
        return text.toString();
    }

    @Test
    void shouldJoinTheLeftmostOfEqualPairs() throws IOException {
        Tokenizer tokenizer = TokenizerModel.withControls()
                .plain()
                .normal("a", -2)
                .normal("aa", -1)
                .build();
        assertArrayEquals(new int[] {4, 3}, tokenizer.encode("aaa"));
    }

    @Test
    void shouldEncodeALongTextInReasonableTime() throws IOException {
        TokenizerModel model = TokenizerModel.withControls().plain();
        for (int length = 1; length <= 64; length *= 2) {
            model.normal("a".repeat(length), length);
        }
        Tokenizer tokenizer = model.build();
        String text = "a".repeat(1 << 19);
        int[] ids = assertTimeoutPreemptively(Duration.ofSeconds(30), () -> tokenizer.encode(text));
        assertEquals(1 << 13, ids.length);
        assertEquals(text, tokenizer.decode(ids));
    }

    @Test
    void shouldNeverMakeControlTokensFromText() throws IOException {
        Tokenizer tokenizer = TokenizerModel.withControls().plain().bytes().build();
        assertArrayEquals(
                "<s></s><unk>".chars().map(character -> 3 + character).toArray(), tokenizer.encode("<s></s><unk>"));
    }

    /** Joining may lead up to a control piece, an unknown one or one that is not in use, but not to it. */
    @ParameterizedTest
    @ValueSource(ints = {2, 3, 4, 5})
    void shouldJoinNormalPiecesOnly(int type) throws IOException {
        Tokenizer tokenizer = TokenizerModel.withControls()
                .plain()
                .normal("a", -2)
                .normal("b", -3)
                .normal("ab", -1)
                .piece("abc", 0, type)
                .piece("c", 0, type)
                .build();
        assertArrayEquals(new int[] {5, 0}, tokenizer.encode("abc"));
    }

    @Test
    void shouldAddASpaceAndTheFirstTokenUnlessTheFileForbidsIt() throws IOException {
        Tokenizer tokenizer = TokenizerModel.withControls()
                .normal("\u2581", -2)
                .normal("a", -3)
                .normal("\u2581a", -1)
                .build();
        assertArrayEquals(new int[] {1, 5}, tokenizer.encode("a"));
        assertArrayEquals(new int[] {1, 3, 5}, tokenizer.encode(" a"));
        assertArrayEquals(new int[] {1}, tokenizer.encode(""));
    }

    @Test
    void shouldDropTheAddedSpaceWhenDecodingFromTheStartOnly() throws IOException {
        Tokenizer tokenizer = TokenizerModel.withControls()
                .normal("\u2581", -2)
                .normal("a", -3)
                .normal("\u2581a", -1)
                .build();
        for (String text : List.of("", "a", " a", "  ", "a a", " ")) {
            assertEquals(text, tokenizer.decode(tokenizer.encode(text)));
        }
        assertEquals(" a", tokenizer.continuedText().append(5));
        assertEquals("aa", tokenizer.decode(new int[] {4, 4}));
        assertEquals("a a", tokenizer.decode(new int[] {4, 5}));
    }

    @Test
    void shouldPutNoTokenInFrontIfTheFileNamesNone() throws IOException {
        Tokenizer tokenizer = new TokenizerModel()
                .model("llama")
                .normal("\u2581a", 0)
                .normal("a", 0)
                .build();
        assertEquals(OptionalInt.empty(), tokenizer.bos());
        assertEquals(OptionalInt.empty(), tokenizer.eos());
        assertEquals(2, tokenizer.vocabularySize());
        assertArrayEquals(new int[] {0, 1}, tokenizer.encode("aa"));
    }

    @Test
    void shouldEncodeCharactersThatAreNoPieceAsBytesOrElseAsUnknown() throws IOException {
        Tokenizer bytes = TokenizerModel.withControls().plain().bytes().build();
        assertArrayEquals(new int[] {3 + 0xC3, 3 + 0xA9}, bytes.encode("\u00e9"));
        assertArrayEquals(new int[] {3 + 0xF0, 3 + 0x9F, 3 + 0x98, 3 + 0x80}, bytes.encode(EMOJI));
        Tokenizer none = TokenizerModel.withControls().plain().normal("a", 0).build();
        assertArrayEquals(new int[] {3, 0, 0, 3}, none.encode("a\u00e9" + EMOJI + "a"));
        Tokenizer one =
                TokenizerModel.withControls().plain().piece("<0xC3>", 0, 6).build();
        assertArrayEquals(new int[] {0}, one.encode("\u00e9"));
    }

    @Test
    void shouldTakeSurrogatePairsAsOneCharacterAndLoneOnesAsTheReplacement() throws IOException {
        Tokenizer tokenizer = TokenizerModel.withControls()
                .plain()
                .normal(EMOJI, -1)
                .normal(EMOJI + EMOJI, -2)
                .normal("\uFFFD", -3)
                .normal("a", -4)
                .build();
        assertArrayEquals(new int[] {4, 3}, tokenizer.encode(EMOJI.repeat(3)));
        assertArrayEquals(new int[] {5, 6}, tokenizer.encode("\uD83Da"));
        assertArrayEquals(new int[] {6, 5, 5, 3}, tokenizer.encode("a\uDE00\uD83D" + EMOJI));
    }

    @Test
    void shouldDecodeUserDefinedPiecesAndNothingForTheUnusedAndUnknown() throws IOException {
        Tokenizer tokenizer = TokenizerModel.withControls()
                .plain()
                .piece("<user>", 0, 4)
                .piece("<unused>", 0, 5)
                .normal("\u2581x\u2581", 0)
                .build();
        assertEquals("<user> x ", tokenizer.decode(new int[] {1, 0, 3, 4, 5, 2}));
    }

    @Test
    void shouldNameAnIdOutsideTheVocabulary() {
        Tokenizer tokenizer = trained();
        IndexOutOfBoundsException failure =
                assertThrows(IndexOutOfBoundsException.class, () -> tokenizer.decode(new int[] {1024}));
        assertEquals("token id is outside the vocabulary: id=1024 vocabularySize=1024", failure.getMessage());
        assertThrows(IndexOutOfBoundsException.class, () -> tokenizer.isControl(-1));
    }

    @Test
    void shouldRefuseWrongMetadata() {
        assertRefused(
                new TokenizerModel().model("gpt2").normal("a", 0),
                "tokenizer model is not supported: model=gpt2 supported=llama");
        assertRefused(new TokenizerModel().normal("a", 0), "metadata key is missing: key=tokenizer.ggml.model");
        assertRefused(
                new TokenizerModel().model("llama"),
                "vocabulary has no pieces or lists of different sizes: tokens=0 scores=0 types=0");
        assertRefused(
                TokenizerModel.withControls().withoutLastScore(),
                "vocabulary has no pieces or lists of different sizes: tokens=3 scores=2 types=3");
        assertRefused(
                TokenizerModel.withControls().piece("<0xG0>", 0, 6),
                "piece of a byte does not read <0xHH>: id=3 piece=<0xG0>");
        assertRefused(
                TokenizerModel.withControls().piece("<0x0>", 0, 6),
                "piece of a byte does not read <0xHH>: id=3 piece=<0x0>");
        assertRefused(
                TokenizerModel.withControls().normal("a", Float.NaN), "score of a piece is not a number: id=3 piece=a");
        assertRefused(
                new TokenizerModel().model("llama").normal("a", 0).id("eos_token_id", 1),
                "token id is outside the vocabulary: key=tokenizer.ggml.eos_token_id id=1 vocabularySize=1");
        assertRefused(
                new TokenizerModel().model("llama").normal("a", 0).id("bos_token_id", -1),
                "token id is outside the vocabulary: key=tokenizer.ggml.bos_token_id id=-1 vocabularySize=1");
        assertRefused(
                new TokenizerModel().model("llama").normal("a", 0).flag("add_bos_token", true),
                "token that begins texts is asked for but not named: key=tokenizer.ggml.add_bos_token value=true");
    }

    private static void assertRefused(TokenizerModel model, String message) {
        GgufException failure = assertThrows(GgufException.class, model::build);
        String actual = String.valueOf(failure.getMessage());
        assertTrue(actual.endsWith(".gguf: " + message), actual);
    }

    private static List<Integer> boxed(int[] ids) {
        return IntStream.of(ids).boxed().toList();
    }

    private static Tokenizer trained() {
        try (GgufFile file = GgufFile.open(DemoResources.path(DemoResources.TRAINED_MODEL))) {
            return new Tokenizer(file.metadata());
        }
    }
}
