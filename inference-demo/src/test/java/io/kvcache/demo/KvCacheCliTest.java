package io.kvcache.demo;

import static io.kvcache.demo.CliResult.assertOneLine;
import static io.kvcache.demo.CliResult.call;
import static io.kvcache.demo.CliResult.callJson;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.kvcache.KvType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class KvCacheCliTest {
    private static final String GOLDEN_START = " of the kingdom of God I have reconciled";

    @TempDir
    private Path directory = Path.of("");

    @Test
    void shouldStreamTextAndThenPrintOneSummaryLine() {
        CliResult result = call("run", "--prompt", "In the beginning", "--max-tokens", "32");
        assertEquals("", result.err());
        assertEquals(0, result.exitCode());
        assertTrue(result.out().startsWith(GOLDEN_START), result.out());
        String summary = result.out().lines().toList().getLast();
        assertTrue(
                summary.matches(
                        "\\[8 prompt tokens, 0 cached; first token after [\\d.]+ ms; 32 tokens at [\\d.]+ tokens/s;"
                                + " KV 60.0 KiB in 3 blocks, 18.8% waste]"),
                summary);
    }

    @Test
    void shouldPrintOneJsonObject() throws IOException {
        JsonNode json = callJson("run", "--prompt", "In the beginning", "--max-tokens", "32");
        assertEquals(
                List.of(
                        "promptTokens",
                        "cachedTokens",
                        "cachedTokensByTier",
                        "tokens",
                        "text",
                        "ttftMillis",
                        "decodeTokensPerSecond",
                        "kv"),
                json.propertyStream().map(entry -> entry.getKey()).toList());
        assertEquals(8, json.get("promptTokens").intValue());
        assertEquals(0, json.get("cachedTokens").intValue());
        assertEquals("{\"memory\":0}", json.get("cachedTokensByTier").toString());
        assertEquals(32, json.get("tokens").size());
        assertTrue(json.get("text").textValue().startsWith(GOLDEN_START));
        assertTrue(json.get("ttftMillis").doubleValue() > 0);
        assertTrue(json.get("decodeTokensPerSecond").doubleValue() > 0);
        assertEquals(1280, json.get("kv").get("bytesPerToken").intValue());
        assertEquals(3, json.get("kv").get("blocksUsed").intValue());
        assertEquals(3 * 16 * 1280, json.get("kv").get("bytesUsed").intValue());
        assertEquals(1 - 39 / 48.0, json.get("kv").get("wasteRatio").doubleValue(), 1e-9);
    }

    @Test
    void shouldKeepItsCacheForRepeatsAndPrompts() throws IOException {
        Path file = Files.writeString(
                directory.resolve("prompts.txt"),
                "In the beginning God created the heaven and the earth\n\nIn the beginning God created the light\n");
        CliResult result = call(
                "run",
                "--prompts",
                file.toString(),
                "--repeat",
                "2",
                "--max-tokens",
                "8",
                "--json",
                "--tokens-per-block",
                "4");
        assertEquals("", result.err());
        List<JsonNode> runs = new ArrayList<>();
        for (String line : result.out().lines().toList()) {
            runs.add(new ObjectMapper().readTree(line));
        }
        assertEquals(4, runs.size());
        assertEquals(0, runs.get(0).get("cachedTokens").intValue());
        assertTrue(runs.get(1).get("cachedTokens").intValue() > 4, result.out());
        for (int i = 0; i < 2; i++) {
            int promptTokens = runs.get(i).get("promptTokens").intValue();
            assertEquals(promptTokens - 1, runs.get(i + 2).get("cachedTokens").intValue());
            assertEquals(runs.get(i).get("tokens"), runs.get(i + 2).get("tokens"));
        }
        assertOneLine(1, "must be positive: repeat=0", "run", "--prompt", "a", "--repeat", "0");
        Path empty = Files.writeString(directory.resolve("empty.txt"), "\n \n");
        assertOneLine(1, "file has no prompt: prompts=.*", "run", "--prompts", empty.toString());
    }

    @Test
    void shouldSayWhatEachRunDidWithTheCacheIfAsked() {
        String[] call = {
            "run", "--prompt", "In the beginning", "--max-tokens", "4", "--repeat", "2", "--tokens-per-block", "4"
        };
        CliResult result = call(with(call, "--stats"));
        assertEquals("", result.err());
        List<String> lines = result.out().lines().toList();
        assertEquals(14, lines.size(), result.out());
        assertLines(
                lines.subList(2, 7),
                "[prompt: 8 tokens = 0 hit in memory + 7 missed (never seen, from token 0 on) + 1 always computed]",
                "[blocks: 2 published; removed: 0 for room, 0 expired, 0 erased; 0 computed again after 0.0 s in all]",
                "[memory: 0 private, 0 shared, 2 cached, # free blocks of 5.0 KiB; room for 52428]",
                "[waits: 0 for 0.0 s in all, 0 to the deadline; refused reserves: 0]",
                "[all runs: 0 of 8 prompt tokens hit (0.0%); 2 published; removed: 0 for room, 0 expired, 0 erased;"
                        + " 0 computed again after 0.0 s in all]");
        assertLines(
                lines.subList(9, 14),
                "[prompt: 8 tokens = 7 hit in memory + 1 always computed]",
                "[blocks: 0 published; removed: 0 for room, 0 expired, 0 erased; 0 computed again after 0.0 s in all]",
                "[memory: 0 private, 0 shared, 2 cached, # free blocks of 5.0 KiB; room for 52428]",
                "[waits: 0 for 0.0 s in all, 0 to the deadline; refused reserves: 0]",
                "[all runs: 7 of 16 prompt tokens hit (43.8%); 2 published; removed: 0 for room, 0 expired, 0 erased;"
                        + " 0 computed again after 0.0 s in all]");
        assertEquals(4, call(call).out().lines().count());
    }

    /** Compares lines with their free blocks left out: how many come at once is the cache's affair. */
    private static void assertLines(List<String> lines, String... expected) {
        assertEquals(
                List.of(expected),
                lines.stream()
                        .map(line -> line.replaceAll("\\d+ free", "# free"))
                        .toList());
    }

    @Test
    void shouldAddStatisticsToTheJsonIfAsked() throws IOException {
        List<String> prompts = List.of(
                "In the beginning God created the heaven and the earth",
                "In the beginning God created the light",
                "Thou shalt not make unto thee");
        Path file = Files.write(directory.resolve("prompts.txt"), prompts);
        String[] call = {
            "run", "--repeat", "2", "--max-tokens", "16", "--tokens-per-block", "4", "--json", "--prompts", "" + file
        };
        String[] withRoomForOne = {"--cache-bytes", "50KiB", "--stats"}; // 10 blocks
        CliResult result =
                call(Stream.of(call, withRoomForOne).flatMap(Stream::of).toArray(String[]::new));
        assertEquals("", result.err());
        List<String> reasons = new ArrayList<>();
        for (String line : result.out().lines().toList()) {
            JsonNode run = new ObjectMapper().readTree(line);
            assertExplainsThePrompt(run);
            reasons.add(run.get("stats").get("missReason").textValue());
        }
        // The third prompt shares the token that begins a text.
        assertEquals(List.of("NEVER_SEEN", "DIVERGED", "DIVERGED", "EVICTED"), reasons.subList(0, 4));
        JsonNode last = new ObjectMapper()
                .readTree(result.out().lines().toList().getLast())
                .get("stats");
        assertEquals(
                List.of("missReason", "missedAt", "run", "total", "tiers", "blocks"),
                last.propertyStream().map(entry -> entry.getKey()).toList());
        assertTrue(last.get("run").get("evictedBlocks").intValue() > 0);
        assertTrue(last.get("run").get("recomputedBlocks").intValue() > 0);
        assertTrue(last.get("total").get("evictedBlocks").intValue()
                > last.get("run").get("evictedBlocks").intValue());
    }

    private static void assertExplainsThePrompt(JsonNode run) {
        JsonNode stats = run.get("stats");
        JsonNode traffic = stats.get("run");
        int promptTokens = run.get("promptTokens").intValue();
        int cachedTokens = run.get("cachedTokens").intValue();
        assertEquals(promptTokens, traffic.get("promptTokens").intValue());
        assertEquals(cachedTokens, traffic.get("hitTokens").intValue());
        assertEquals(cachedTokens, stats.get("missedAt").intValue());
        String reason = stats.get("missReason").textValue();
        assertEquals(
                promptTokens - cachedTokens - 1,
                traffic.get("missedTokens").get(reason).intValue());
        JsonNode blocks = stats.get("blocks");
        assertEquals(
                0,
                blocks.get("privateBlocks").intValue()
                        + blocks.get("sharedBlocks").intValue());
        assertTrue(blocks.get("cachedBlocks").intValue() > 0);
        assertEquals(10, blocks.get("maximumBlocks").intValue());
        assertEquals(4 * 1280, blocks.get("blockBytes").intValue());
    }

    @Test
    void shouldGiveTheSameTokensForTextFileAndIds() throws IOException {
        JsonNode text = callJson("run", "--prompt", "In the beginning", "--max-tokens", "16");
        Path file = Files.writeString(directory.resolve("prompt.txt"), "In the beginning");
        JsonNode fromFile = callJson("run", "--prompt-file", file.toString(), "--max-tokens", "16");
        JsonNode golden = DemoResources.json(DemoResources.TRAINED_REFERENCE)
                .get("generations")
                .get(0);
        String ids = golden.get("prompt_ids").toString().replaceAll("[\\[\\] ]", "");
        JsonNode fromIds = callJson("run", "--tokens", ids, "--max-tokens", "16");
        assertEquals(text.get("tokens"), fromFile.get("tokens"));
        assertEquals(text.get("tokens"), fromIds.get("tokens"));
    }

    @Test
    void shouldHonourModelTypesAndSizes() throws IOException {
        String model = DemoResources.path(DemoResources.RANDOM_MODEL).toString();
        JsonNode json = callJson(
                "run",
                "--model",
                model,
                "--tokens",
                "5,6,7",
                "--kv-type",
                "f32",
                "--tokens-per-block",
                "7",
                "--prefill-chunk",
                "2",
                "--cache-bytes",
                "1MiB",
                "--max-tokens",
                "20",
                "--ignore-eos");
        assertEquals(20, json.get("tokens").size());
        assertEquals(4, json.get("kv").get("blocksUsed").intValue());
    }

    @Test
    void shouldComputeAPromptInOnePieceWhateverTheContext() throws IOException {
        byte[] whole = Files.readAllBytes(DemoResources.path(DemoResources.RANDOM_MODEL));
        String key = "llama.context_length";
        int value = new String(whole, StandardCharsets.ISO_8859_1).indexOf(key) + key.length() + Integer.BYTES;
        ByteBuffer.wrap(whole).order(ByteOrder.LITTLE_ENDIAN).putInt(value, Integer.MAX_VALUE);
        Path model = Files.write(directory.resolve("long.gguf"), whole);
        String chunk = "" + Integer.MAX_VALUE;
        JsonNode json = callJson(
                "run", "--model", model.toString(), "--tokens", "5,6,7", "--prefill-chunk", chunk, "--max-tokens", "2");
        assertEquals(3, json.get("promptTokens").intValue());
    }

    @Test
    void shouldSampleTheSameTokensForTheSameSeed() throws IOException {
        String[] call = {"run", "--prompt", "And", "--temperature", "0.9", "--top-k", "40", "--top-p", "0.95", "--seed"
        };
        JsonNode first = callJson(with(call, "7"));
        JsonNode again = callJson(with(call, "7"));
        JsonNode other = callJson(with(call, "8"));
        assertEquals(first.get("tokens"), again.get("tokens"));
        assertTrue(!first.get("tokens").equals(other.get("tokens")));
    }

    private static String[] with(String[] call, String last) {
        String[] all = Arrays.copyOf(call, call.length + 1);
        all[call.length] = last;
        return all;
    }

    @Test
    void shouldListItsCommands() {
        CliResult result = call("--help");
        assertEquals(0, result.exitCode());
        assertTrue(result.out().contains("run"), result.out());
        assertEquals(2, call().exitCode());
    }

    // ---- bad input: one line, non-zero ----

    @Test
    void shouldRefuseUnknownAndMissingOptions() {
        assertOneLine(
                2, "Unknown option: '--nonsense'.* \\(see kvcache run --help\\)", "run", "--prompt", "a", "--nonsense");
        assertOneLine(2, "Unmatched argument at index 0: 'walk'.*\\(see kvcache --help\\)", "walk");
        assertOneLine(2, ".*--prompt.*--prompt-file.*--tokens.*", "run");
        assertOneLine(2, ".*mutually exclusive.*", "run", "--prompt", "a", "--tokens", "1");
        assertOneLine(
                2,
                ".*'--kv-type': expected one of \\Q" + List.of(KvType.values()) + "\\E .*'q4'.*",
                "run",
                "--prompt",
                "a",
                "--kv-type",
                "q4");
        assertOneLine(2, ".*'12parsecs' is not a size.*", "run", "--prompt", "a", "--cache-bytes", "12parsecs");
        assertOneLine(2, ".*'0' is not a size.*", "run", "--prompt", "a", "--cache-bytes", "0");
        assertOneLine(2, ".*--tokens.*'x'.*", "run", "--tokens", "1,x");
    }

    @Test
    void shouldRefuseValuesOutOfRange() {
        assertOneLine(1, "must be positive: maxTokens=0", "run", "--prompt", "a", "--max-tokens", "0");
        assertOneLine(1, "must be positive: prefillChunk=0", "run", "--prompt", "a", "--prefill-chunk", "0");
        assertOneLine(1, "must be positive: tokensPerBlock=-1", "run", "--prompt", "a", "--tokens-per-block", "-1");
        assertOneLine(1, "temperature must .*temperature=-1.0", "run", "--prompt", "a", "--temperature", "-1");
        assertOneLine(1, "topP must .*topP=2.0", "run", "--prompt", "a", "--top-p", "2");
    }

    @Test
    void shouldRefuseFilesThatAreNoModels() throws IOException {
        Path missing = directory.resolve("missing.gguf");
        assertOneLine(1, ".*missing.gguf: file does not exist", "run", "--prompt", "a", "--model", missing.toString());
        Path text = Files.writeString(directory.resolve("text.gguf"), "this is no model");
        assertOneLine(1, ".*text.gguf: .*", "run", "--prompt", "a", "--model", text.toString());
        byte[] whole = Files.readAllBytes(DemoResources.path(DemoResources.RANDOM_MODEL));
        for (int length : new int[] {3, 20, 1000, whole.length - 1}) {
            Path cut = Files.write(directory.resolve("cut.gguf"), Arrays.copyOf(whole, length));
            assertOneLine(1, ".*cut.gguf: .*", "run", "--prompt", "a", "--model", cut.toString());
        }
    }

    @Test
    void shouldRefuseAnotherArchitecture() throws IOException {
        byte[] whole = Files.readAllBytes(DemoResources.path(DemoResources.RANDOM_MODEL));
        String text = new String(whole, StandardCharsets.ISO_8859_1);
        String key = "general.architecture";
        int value = text.indexOf(key) + key.length() + 4 + 8; // value type, string length
        assertEquals("llama", text.substring(value, value + 5));
        whole[value] = 'g';
        Path other = Files.write(directory.resolve("other.gguf"), whole);
        assertOneLine(
                1,
                ".*other.gguf: architecture is not supported: general.architecture=glama supported=llama",
                "run",
                "--prompt",
                "a",
                "--model",
                other.toString());
    }

    @Test
    void shouldRefusePromptsThatCannotBeServed() throws IOException {
        assertOneLine(
                1, "token id outside the vocabulary: token=1024 vocabularySize=1024", "run", "--tokens", "1,1024");
        String tooLong = "1" + ",300".repeat(512);
        assertOneLine(
                1, "prompt is longer than the context: promptTokens=513 contextTokens=512", "run", "--tokens", tooLong);
        assertOneLine(
                1,
                "cache too small for one block: maximumBytes=20479 blockBytes=20480",
                "run",
                "--prompt",
                "a",
                "--cache-bytes",
                "20479");
        assertOneLine(1, "file does not exist: promptFile=.*", "run", "--prompt-file", directory + "/none.txt");
        assertOneLine(1, "file cannot be read: promptFile=.* cause=.*", "run", "--prompt-file", directory.toString());
        Path binary = Files.write(directory.resolve("binary"), new byte[] {(byte) 0xff, 0});
        assertOneLine(1, "file is not UTF-8: promptFile=.*", "run", "--prompt-file", binary.toString());
    }
}
