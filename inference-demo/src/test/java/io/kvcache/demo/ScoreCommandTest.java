package io.kvcache.demo;

import static io.kvcache.demo.CliResult.assertOneLine;
import static io.kvcache.demo.CliResult.call;
import static io.kvcache.demo.CliResult.callJson;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.kvcache.KvType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class ScoreCommandTest {
    private static final String TEXT = "In the beginning God created the heaven and the earth.\n";

    @TempDir
    private Path directory = Path.of("");

    private static String list(int[] tokens) {
        return Arrays.stream(tokens).mapToObj(Integer::toString).collect(Collectors.joining(","));
    }

    @Test
    void shouldScoreTheGoldenSliceFromItsFile() throws IOException {
        String tokens = "@" + DemoResources.path(DemoResources.GOLDEN_SLICE);
        JsonNode json = callJson("score", "--tokens", tokens, "--kv-type", "f32");
        assertEquals(2044, json.get("tokens").intValue());
        assertEquals(2.3757316, json.get("meanLoss").doubleValue(), 5e-4);
    }

    @Test
    void shouldPrintOneLineOfText() throws IOException {
        Path file = Files.writeString(directory.resolve("text.txt"), TEXT);
        CliResult result = call("score", "--text-file", file.toString(), "--kv-type", "F32");
        assertEquals("", result.err());
        assertEquals(0, result.exitCode());
        assertTrue(
                result.out()
                        .strip()
                        .matches("mean loss \\d\\.\\d{5}, perplexity \\d+\\.\\d{4} \\[18 tokens scored; KV F32, 2560"
                                + " bytes a token]"),
                result.out());
    }

    @Test
    void shouldPrintOneJsonObject() throws IOException {
        JsonNode json = callJson("score", "--tokens", "1,300,301,302");
        assertEquals(
                List.of("tokens", "meanLoss", "perplexity", "logprobs"),
                json.propertyStream().map(entry -> entry.getKey()).toList());
        assertEquals(3, json.get("tokens").intValue());
        assertEquals(3, json.get("logprobs").size());
        double sum = 0;
        for (JsonNode logprob : json.get("logprobs")) {
            assertTrue(logprob.doubleValue() < 0, json.toString());
            sum += logprob.doubleValue();
        }
        assertEquals(-sum / 3, json.get("meanLoss").doubleValue(), 1e-9);
        assertEquals(Math.exp(-sum / 3), json.get("perplexity").doubleValue(), 1e-6);
    }

    @Test
    void shouldScoreATextAsItsIds() throws IOException {
        Path file = Files.writeString(directory.resolve("text.txt"), TEXT);
        try (GgufFile model = ShippedModel.open()) {
            int[] tokens = new Tokenizer(model.metadata()).encode(TEXT);
            assertEquals(1, tokens[0], "the token that begins a text");
            assertEquals(
                    callJson("score", "--tokens", list(tokens)), callJson("score", "--text-file", file.toString()));
        }
    }

    @Test
    void shouldHonourModelTypesAndSizes() throws IOException {
        String model = DemoResources.path(DemoResources.RANDOM_MODEL).toString();
        String[] call = {"score", "--model", model, "--tokens", "5,6,7,8,9", "--kv-type"};
        JsonNode exact = callJson(with(call, "f32"));
        JsonNode half = callJson(with(call, "f16"));
        JsonNode other = callJson(with(call, "f32", "--tokens-per-block", "3", "--prefill-chunk", "2"));
        assertEquals(exact.get("meanLoss").doubleValue(), other.get("meanLoss").doubleValue(), 1e-4);
        assertEquals(exact.get("meanLoss").doubleValue(), half.get("meanLoss").doubleValue(), 1e-2);
        assertTrue(!exact.equals(half));
    }

    private static String[] with(String[] call, String... more) {
        String[] all = Arrays.copyOf(call, call.length + more.length);
        System.arraycopy(more, 0, all, call.length, more.length);
        return all;
    }

    @Test
    void shouldSayWhichTypesThereAreAndHowWindowsGo() {
        CliResult result = call("score", "--help");
        assertEquals(0, result.exitCode());
        String text = result.out().replaceAll("\\s+", " ");
        for (KvType type : KvType.values()) {
            assertTrue(text.contains(type.name()), text);
        }
        assertTrue(text.contains("consecutive windows of the context length"), text);
        assertTrue(call("--help").out().contains("score"));
    }

    // ---- bad input: one line, non-zero ----

    @Test
    void shouldRefuseCallsThatCannotBeUnderstood() {
        assertOneLine(2, ".*--text-file.*--tokens.*\\(see kvcache score --help\\)", "score");
        assertOneLine(2, ".*mutually exclusive.*", "score", "--text-file", "a", "--tokens", "1");
        assertOneLine(2, ".*--tokens.*'x'.*", "score", "--tokens", "1,x");
        assertOneLine(2, ".*--tokens.*''.*", "score", "--tokens", "");
        assertOneLine(2, ".*--kv-type.*q4.*", "score", "--tokens", "1,2", "--kv-type", "q4");
    }

    @Test
    void shouldRefuseTextsThatCannotBeScored() throws IOException {
        assertOneLine(1, "scoring takes two tokens in a window: tokens=1 contextTokens=512", "score", "--tokens", "1");
        assertOneLine(
                1, "token id outside the vocabulary: token=1024 vocabularySize=1024", "score", "--tokens", "1,1024");
        assertOneLine(1, "must be positive: prefillChunk=0", "score", "--tokens", "1,2", "--prefill-chunk", "0");
        assertOneLine(1, "must be positive: tokensPerBlock=0", "score", "--tokens", "1,2", "--tokens-per-block", "0");
        assertOneLine(1, ".*none.gguf: file does not exist", "score", "--tokens", "1,2", "--model", "none.gguf");
    }

    @Test
    void shouldRefuseFilesThatCannotBeRead() throws IOException {
        Path empty = Files.writeString(directory.resolve("empty.txt"), "");
        assertOneLine(1, "file is empty: textFile=.*empty.txt", "score", "--text-file", empty.toString());
        Path binary = Files.write(directory.resolve("binary"), new byte[] {(byte) 0xff, 0});
        assertOneLine(1, "file is not UTF-8: textFile=.*binary", "score", "--text-file", binary.toString());
        assertOneLine(1, "file does not exist: textFile=.*none.txt", "score", "--text-file", directory + "/none.txt");
        assertOneLine(1, "file cannot be read: textFile=.* cause=.*", "score", "--text-file", directory.toString());
    }
}
