package io.kvcache.demo;

import static io.kvcache.demo.CliResult.assertOneLine;
import static io.kvcache.demo.CliResult.call;
import static io.kvcache.demo.CliResult.callJson;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A file of requests is answered line by line, whatever the order in which they end. */
final class BatchCommandTest {
    private static final String[] PROMPTS = {
        "In the beginning", "And God said", "Thou shalt not", "Blessed are", "The LORD is my", "And it came to pass"
    };

    @TempDir
    private Path directory = Path.of("");

    private Path file(String... lines) throws IOException {
        return Files.write(directory.resolve("requests.jsonl"), List.of(lines));
    }

    private CliResult batch(Path file, String... options) {
        return call(Stream.concat(Stream.of("batch", "" + file), Arrays.stream(options))
                .toArray(String[]::new));
    }

    /** The results by line, from a call with {@code --json}. */
    private static Map<Integer, JsonNode> results(CliResult result) throws IOException {
        Map<Integer, JsonNode> results = new TreeMap<>();
        for (String line : result.out().lines().toList()) {
            JsonNode node = new ObjectMapper().readTree(line);
            results.put(node.get("line").intValue(), node);
        }
        return results;
    }

    private static JsonNode result(Map<Integer, JsonNode> results, int line) {
        return Objects.requireNonNull(results.get(line), "line " + line);
    }

    private static JsonNode sample(Map<Integer, JsonNode> results, int line) {
        return result(results, line).get("samples").get(0);
    }

    private static List<String> names(JsonNode node) {
        return node.propertyStream().map(entry -> entry.getKey()).toList();
    }

    private static String[] promptLines() {
        return Arrays.stream(PROMPTS)
                .map(prompt -> "{\"prompt\":\"" + prompt + "\",\"max_tokens\":24}")
                .toArray(String[]::new);
    }

    @Test
    void shouldPrintAParagraphForEachRequestAndASummary() throws IOException {
        Path file = file("{\"prompt\":\"In the beginning\",\"max_tokens\":16,\"id\":\"first\"}");
        CliResult result = batch(file);
        assertEquals("", result.err());
        assertEquals(0, result.exitCode());
        List<String> lines = result.out().lines().toList();
        assertEquals(3, lines.size(), result.out());
        assertMatches(
                "\\[line 1, id first: 8 prompt tokens, 0 cached; queued [\\d.]+ ms, first token after [\\d.]+ ms; 16"
                        + " tokens at [\\d.]+ tokens/s\\]",
                lines.get(0));
        assertEquals(" of the kingdom of God I have reconciled the king", lines.get(1));
        assertMatches(
                "\\[1 requests, 0 failed; 16 tokens in [\\d.]+ s: [\\d.]+ tokens/s; 0 of 8 prompt tokens cached"
                    + " \\(0.0%\\); 0 preemptions, 0 tokens computed again; [\\d.]+% waste, [\\d.]+% bookkeeping\\]",
                lines.get(2));
    }

    private static void assertMatches(String pattern, String text) {
        assertTrue(text.matches(pattern), text);
    }

    @Test
    void shouldPrintAnObjectForEachRequestAndTheSummaryOnStandardError() throws IOException {
        Path file = file("", "{\"prompt\":\"In the beginning\",\"max_tokens\":16,\"id\":7}");
        CliResult result = batch(file, "--json", "--draft-tokens", "4");
        assertEquals(0, result.exitCode());
        JsonNode answer = result(results(result), 2);
        assertEquals(
                List.of(
                        "line",
                        "id",
                        "promptTokens",
                        "cachedTokens",
                        "cachedTokensByTier",
                        "samples",
                        "preemptions",
                        "recomputedTokens",
                        "draftedTokens",
                        "acceptedTokens",
                        "queuedMillis",
                        "ttftMillis",
                        "decodeTokensPerSecond"),
                names(answer));
        assertEquals(7, answer.get("id").intValue());
        assertEquals(
                List.of("text", "tokens", "reason"), names(answer.get("samples").get(0)));
        assertEquals("LENGTH", answer.get("samples").get(0).get("reason").textValue());
        assertEquals(1, result.err().lines().count(), result.err());
        JsonNode summary = new ObjectMapper().readTree(result.err());
        assertEquals(1, summary.get("requests").intValue());
        assertEquals(16, summary.get("generatedTokens").intValue());
        assertEquals(8, summary.get("promptTokens").intValue());
        assertEquals(0, summary.get("cachedTokens").intValue());
        assertTrue(summary.get("tokensPerSecond").doubleValue() > 0);
        assertTrue(summary.get("wasteRatio").doubleValue() > 0);
        assertTrue(summary.get("bookkeepingRatio").doubleValue() > 0);
    }

    @Test
    void shouldAnswerAsRunDoesWhateverRunsBeside() throws IOException {
        Path file = file(promptLines());
        Map<Integer, JsonNode> alone = results(batch(file, "--json", "--concurrency", "1"));
        Map<Integer, JsonNode> together = results(batch(file, "--json", "--concurrency", "8"));
        Map<Integer, JsonNode> guessed = results(batch(file, "--json", "--draft-tokens", "6"));
        for (int line = 1; line <= PROMPTS.length; line++) {
            JsonNode run = callJson("run", "--prompt", PROMPTS[line - 1], "--max-tokens", "24");
            assertEquals(run.get("text"), sample(alone, line).get("text"));
            assertEquals(run.get("tokens"), sample(alone, line).get("tokens"));
            assertEquals(sample(alone, line), sample(together, line));
            assertEquals(sample(alone, line), sample(guessed, line));
        }
    }

    @Test
    void shouldAnswerTheSameThoughMemoryIsScarce() throws IOException {
        Path file = file(promptLines());
        String[] scarce = {"--json", "--tokens-per-block", "4", "--cache-bytes", "60KiB"}; // 12 blocks
        CliResult result = batch(file, scarce);
        assertEquals(0, result.exitCode(), result.err());
        Map<Integer, JsonNode> plenty = results(batch(file, "--json"));
        Map<Integer, JsonNode> answers = results(result);
        for (int line = 1; line <= PROMPTS.length; line++) {
            assertEquals(sample(plenty, line), sample(answers, line));
        }
        int preemptions = answers.values().stream()
                .mapToInt(answer -> answer.get("preemptions").intValue())
                .sum();
        JsonNode summary = new ObjectMapper().readTree(result.err());
        assertTrue(preemptions > 0);
        assertEquals(preemptions, summary.get("preemptions").intValue());
    }

    @Test
    void shouldContinueWhatWasSaidInTheSameSession() throws IOException {
        Path file = file(
                "{\"prompt\":\"In the beginning\",\"max_tokens\":16,\"session\":\"a\"}",
                "{\"prompt\":\"And God said\",\"max_tokens\":8}",
                "{\"prompt\":\"and the light\",\"max_tokens\":16,\"session\":\"a\"}",
                "{\"prompt\":\"and the light\",\"max_tokens\":16,\"session\":\"a\",\"namespace\":\"other\"}",
                "{\"tokens\":[271,261],\"max_tokens\":16,\"session\":\"a\"}");
        Map<Integer, JsonNode> results = results(batch(file, "--json"));
        assertEquals(0, result(results, 1).get("cachedTokens").intValue());
        assertEquals(8 + 16 - 1, result(results, 3).get("cachedTokens").intValue());
        int said = result(results, 3).get("promptTokens").intValue() + 16;
        assertEquals(said - 1, result(results, 5).get("cachedTokens").intValue());
        assertEquals(said + 2, result(results, 5).get("promptTokens").intValue());
        assertTrue(result(results, 4).get("promptTokens").intValue() < 8);
        assertEquals(0, result(results, 4).get("cachedTokens").intValue());
        Tokenizer tokenizer = tokenizer();
        int[] whole = join(
                tokenizer.encode("In the beginning"),
                DemoResources.ints(sample(results, 1).get("tokens")),
                tokenizer.encodeMore("and the light"));
        assertEquals(whole.length, result(results, 3).get("promptTokens").intValue());
        assertAnswersTo(whole, sample(results, 3));
        assertAnswersTo(
                join(whole, DemoResources.ints(sample(results, 3).get("tokens")), new int[] {271, 261}),
                sample(results, 5));
    }

    private static Tokenizer tokenizer() {
        try (GgufFile model = ShippedModel.open()) {
            return new Tokenizer(model.metadata());
        }
    }

    private static int[] join(int[]... parts) {
        return Arrays.stream(parts).flatMapToInt(IntStream::of).toArray();
    }

    private static void assertAnswersTo(int[] prompt, JsonNode sample) throws IOException {
        String ids = Arrays.stream(prompt).mapToObj(String::valueOf).collect(Collectors.joining(","));
        JsonNode run = callJson("run", "--tokens", ids, "--max-tokens", "16");
        assertArrayEquals(DemoResources.ints(run.get("tokens")), DemoResources.ints(sample.get("tokens")));
        assertEquals(run.get("text"), sample.get("text"));
    }

    @Test
    void shouldGiveSeveralSamplesTheBestFirst() throws IOException {
        String sampled = "{\"prompt\":\"And God said\",\"max_tokens\":12,\"temperature\":0.9,\"top_k\":40,\"seed\":3,";
        Path file = file(sampled + "\"n\":2,\"best_of\":4}", sampled + "\"n\":4}");
        CliResult json = batch(file, "--json");
        Map<Integer, JsonNode> results = results(json);
        JsonNode best = result(results, 1).get("samples");
        assertEquals(2, best.size());
        double first = best.get(0).get("meanLogProbability").doubleValue();
        assertTrue(first >= best.get(1).get("meanLogProbability").doubleValue());
        JsonNode all = result(results, 2).get("samples");
        assertEquals(4, all.size());
        assertTrue(!all.get(0).has("meanLogProbability"));
        List<JsonNode> texts = all.findValues("text");
        assertTrue(texts.contains(best.get(0).get("text")));
        assertTrue(texts.contains(best.get(1).get("text")));
        String text = batch(file).out();
        String sample = Pattern.quote(best.get(0).get("text").textValue())
                + " \\[12 tokens, length, mean log-probability -[\\d.]+\\]";
        assertTrue(text.lines().anyMatch(line -> line.matches(sample)), text);
    }

    @Test
    void shouldEndARequestAtItsTimeout() throws IOException {
        Path file = file("{\"prompt\":\"In the beginning\",\"max_tokens\":500,\"ignore_eos\":true,\"timeout_ms\":1}");
        assertEquals(
                "DEADLINE",
                sample(results(batch(file, "--json")), 1).get("reason").textValue());
    }

    @Test
    void shouldAnswerTheOthersWhereOneIsRefused() throws IOException {
        Path file = file(
                "{\"prompt\":\"In the beginning\",\"max_tokens\":8,\"n\":3}",
                "{\"tokens\":[1,1024],\"max_tokens\":8,\"session\":\"a\",\"id\":\"x\"}",
                "{\"prompt\":\"And\",\"max_tokens\":8,\"session\":\"a\"}",
                "{\"prompt\":\"And God said\",\"max_tokens\":8}",
                "{\"tokens\":[1" + ",300".repeat(512) + "]}");
        CliResult result = batch(file, "--json", "--concurrency", "2");
        assertEquals(1, result.exitCode());
        Map<Integer, JsonNode> results = results(result);
        assertError("more samples than run at a time: samples=3 concurrency=2", result(results, 1));
        assertError("token id outside the vocabulary: token=1024 vocabularySize=1024", result(results, 2));
        assertEquals("x", result(results, 2).get("id").textValue());
        assertError("a turn before it failed: line=2", result(results, 3));
        assertEquals(8, sample(results, 4).get("tokens").size());
        assertError("prompt is longer than the context: promptTokens=513 contextTokens=512", result(results, 5));
        List<String> err = result.err().lines().toList();
        assertEquals("requests failed: failed=4 requests=5", err.get(0));
        assertEquals(
                4, new ObjectMapper().readTree(err.get(1)).get("failedRequests").intValue());
        CliResult text = batch(file, "--concurrency", "2");
        assertEquals(1, text.exitCode());
        assertEquals("requests failed: failed=4 requests=5", text.err().strip());
        String failed = "[line 2, id x failed: token id outside the vocabulary: token=1024 vocabularySize=1024]";
        assertTrue(text.out().lines().anyMatch(failed::equals), text.out());
    }

    private static void assertError(String error, JsonNode result) {
        assertEquals(error, result.get("error").textValue());
    }

    // ---- bad input: one line, before anything runs ----

    private void assertRefused(String rule, String line) throws IOException {
        Path file = file("{\"prompt\":\"a\"}", line);
        assertOneLine(1, Pattern.quote(rule) + " requests=.*requests.jsonl line=2", "batch", "" + file);
    }

    @Test
    void shouldRefuseLinesThatAreNoRequests() throws IOException {
        assertRefused("not a JSON object: type=ARRAY", "[1]");
        assertRefused("field is unknown: field=maxTokens", "{\"prompt\":\"a\",\"maxTokens\":1}");
        assertRefused("either prompt or tokens must be given: prompt=false tokens=false", "{\"max_tokens\":1}");
        assertRefused(
                "either prompt or tokens must be given: prompt=true tokens=true", "{\"prompt\":\"\",\"tokens\":[1]}");
        assertRefused("prompt has no token: length=0", "{\"tokens\":[]}");
        assertRefused("not an array: tokens=1", "{\"tokens\":1}");
        assertRefused("not a whole number: tokens[1]=\"2\"", "{\"tokens\":[1,\"2\"]}");
        assertRefused("not a string: prompt=1", "{\"prompt\":1}");
        assertRefused("not a string: session=null", "{\"prompt\":\"a\",\"session\":null}");
        assertRefused("neither a string nor a number: id=true", "{\"prompt\":\"a\",\"id\":true}");
        assertRefused("not a whole number: max_tokens=1.5", "{\"prompt\":\"a\",\"max_tokens\":1.5}");
        assertRefused("not a whole number: n=4294967296", "{\"prompt\":\"a\",\"n\":4294967296}");
        assertRefused("not a whole number: seed=true", "{\"prompt\":\"a\",\"seed\":true}");
        assertRefused("not a number: temperature=\"0\"", "{\"prompt\":\"a\",\"temperature\":\"0\"}");
        assertRefused("neither true nor false: ignore_eos=1", "{\"prompt\":\"a\",\"ignore_eos\":1}");
    }

    @Test
    void shouldRefuseValuesOutOfRange() throws IOException {
        assertRefused("must be positive: maxTokens=0", "{\"prompt\":\"a\",\"max_tokens\":0}");
        assertRefused("must be positive: maxTokens=0", "{\"tokens\":[1],\"max_tokens\":0}");
        assertRefused("must be positive: timeout=PT0S", "{\"prompt\":\"a\",\"timeout_ms\":0}");
        assertRefused("topP must be above 0 and at most 1: topP=0.0", "{\"prompt\":\"a\",\"top_p\":0}");
        assertRefused(
                "a session keeps one sample: session=s samples=2 bestOf=2",
                "{\"prompt\":\"a\",\"session\":\"s\",\"n\":2}");
        assertOneLine(
                1, "must be positive: concurrency=0", "batch", "" + file("{\"prompt\":\"a\"}"), "--concurrency", "0");
    }

    @Test
    void shouldRefuseFilesThatAreNotJsonLines() throws IOException {
        for (String line : List.of("{", "nothing", "{\"prompt\":\"a\"}{}", "{\"prompt\":\"a\",\"prompt\":\"b\"}")) {
            Path file = file("{\"prompt\":\"a\"}", line);
            assertOneLine(1, "not JSON: cause=.* requests=.*requests.jsonl line=2", "batch", "" + file);
        }
        assertOneLine(1, "file has no request: requests=.*requests.jsonl", "batch", "" + file("", " "));
        assertOneLine(1, "file does not exist: requests=none.jsonl", "batch", "none.jsonl");
        assertOneLine(2, ".*REQUESTS.jsonl.*\\(see kvcache batch --help\\)", "batch");
        assertOneLine(
                1,
                "cache too small for one block: maximumBytes=20479 blockBytes=20480",
                "batch",
                "" + file("{\"prompt\":\"a\"}"),
                "--cache-bytes",
                "20479");
    }
}
