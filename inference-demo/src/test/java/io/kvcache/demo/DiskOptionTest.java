package io.kvcache.demo;

import static io.kvcache.demo.CliResult.assertOneLine;
import static io.kvcache.demo.CliResult.call;
import static io.kvcache.demo.CliResult.callJson;
import static io.kvcache.demo.CliResult.callWith;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.kvcache.tiers.DiskOptions;
import io.kvcache.tiers.DiskStore;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What one call of the command line has computed, the next one finds on the disk. */
final class DiskOptionTest {
    private static final String PROMPT = "In the beginning God created the heaven and the earth";

    @TempDir
    private Path directory = Path.of("");

    private String[] withDisk(String... call) {
        return Stream.concat(
                        Stream.of(call),
                        Stream.of("--disk", "" + directory.resolve("blocks"), "--tokens-per-block", "4"))
                .toArray(String[]::new);
    }

    private static List<String> lines(CliResult result) {
        assertEquals("", result.err());
        assertEquals(0, result.exitCode());
        return result.out().lines().toList();
    }

    private static void assertMatches(String pattern, String text) {
        assertTrue(text.matches(pattern), text);
    }

    @Test
    void shouldFindInTheNextCallWhatOneHasComputed() throws IOException {
        String[] run = withDisk("run", "--prompt", PROMPT, "--max-tokens", "16");
        JsonNode first = callJson(run);
        assertEquals(
                "{\"memory\":0,\"disk\":0}", first.get("cachedTokensByTier").toString());
        JsonNode second = callJson(run);
        int cached = first.get("promptTokens").intValue() - 1;
        assertEquals(cached, second.get("cachedTokens").intValue());
        assertEquals(
                "{\"memory\":0,\"disk\":" + cached + "}",
                second.get("cachedTokensByTier").toString());
        assertEquals(first.get("tokens"), second.get("tokens"));
        List<String> lines = lines(call(withDisk("run", "--prompt", PROMPT, "--max-tokens", "16", "--repeat", "2")));
        assertMatches(
                "\\[\\d+ prompt tokens, " + cached + " cached \\(memory 0, disk " + cached + "\\); .*", lines.get(1));
        assertMatches(
                "\\[\\d+ prompt tokens, " + cached + " cached \\(memory " + cached + ", disk 0\\); .*", lines.get(3));
    }

    @Test
    void shouldSayWhatWentThroughTheDiskIfAsked() throws IOException {
        String[] run = withDisk("run", "--prompt", PROMPT, "--max-tokens", "4", "--stats");
        lines(call(run));
        List<String> lines = lines(call(run));
        assertEquals(8, lines.size(), lines.toString());
        assertMatches("\\[prompt: .* \\+ 1 always computed; \\d+ of the missed loaded from tiers]", lines.get(2));
        assertMatches(
                "\\[disk: \\d+ blocks loaded, 0 missed, \\d+ stored, 0 declined, \\d+ waiting, 0 dropped, 0 lost; calls"
                        + " failed: 0 to load, 0 to store; late: 0, \\d+; left alone 0 times]",
                lines.get(6));
        assertMatches("\\[all runs: 0 of \\d+ prompt tokens hit \\(0.0%\\), \\d+ loaded from tiers; .*", lines.get(7));
        JsonNode stats = callJson(run).get("stats");
        assertEquals("disk", stats.get("tiers").get(0).get("name").textValue());
        assertTrue(stats.get("run").get("loadedTokens").intValue() > 0);
    }

    @Test
    void shouldSplitCachedTokensInABatch() throws IOException {
        Path file = Files.writeString(directory.resolve("requests.jsonl"), """
            {"prompt":"In the beginning God created the heaven and the earth","max_tokens":8}
            {"prompt":"Thou shalt not make unto thee any graven image","max_tokens":8}
            """);
        String[] batch = withDisk("batch", "" + file);
        lines(call(batch));
        List<String> lines = lines(call(batch));
        assertMatches(
                "\\[line \\d: \\d+ prompt tokens, \\d+ cached \\(memory \\d, disk [1-9]\\d*\\); .*", lines.get(0));
        assertMatches(".* prompt tokens cached \\([\\d.]+%; memory \\d, disk [1-9]\\d*\\); .*", lines.get(4));
        CliResult json =
                call(Stream.concat(Stream.of(batch), Stream.of("--json")).toArray(String[]::new));
        assertEquals(0, json.exitCode());
        int inMemory = 0; // the token that begins a text
        int onDisk = 0;
        for (String line : json.out().lines().toList()) {
            JsonNode byTier = new ObjectMapper().readTree(line).get("cachedTokensByTier");
            inMemory += byTier.get("memory").intValue();
            onDisk += byTier.get("disk").intValue();
        }
        JsonNode summary = new ObjectMapper().readTree(json.err());
        assertTrue(onDisk > 20, json.out());
        assertEquals(
                "{\"memory\":" + inMemory + ",\"disk\":" + onDisk + "}",
                summary.get("cachedTokensByTier").toString());
        assertEquals(inMemory + onDisk, summary.get("cachedTokens").intValue());
    }

    @Test
    void shouldSplitCachedTokensInAChat() {
        String[] chat = withDisk("chat", "--max-tokens", "8");
        lines(callWith(PROMPT + "\n", chat));
        List<String> lines = lines(callWith(PROMPT + "\nand the light\n/stats\n", chat));
        assertMatches(
                "\\[\\d+ tokens said, \\d+ cached \\(memory 0, disk [1-9]\\d*\\), \\d+ computed; .*", lines.get(1));
        assertMatches(
                "\\[\\d+ tokens said, \\d+ cached \\(memory [1-9]\\d*, disk 0\\), \\d+ computed; .*", lines.get(3));
        assertMatches("\\[disk: [1-9]\\d* blocks loaded, .*", lines.get(5));
    }

    @Test
    void shouldFindNothingOfAnotherModel() throws IOException {
        byte[] bytes = Files.readAllBytes(DemoResources.path(DemoResources.RANDOM_MODEL));
        Path model = Files.write(directory.resolve("model.gguf"), bytes);
        String[] run = withDisk("run", "--model", "" + model, "--tokens", "5,6,7,8,9,10,11,12,13", "--max-tokens", "4");
        callJson(run);
        assertEquals(8, callJson(run).get("cachedTokens").intValue());
        String fingerprint = ModelFingerprint.of(model);
        bytes[bytes.length - 1] ^= 1; // of a weight
        Files.write(model, bytes);
        assertNotEquals(fingerprint, ModelFingerprint.of(model));
        assertEquals(0, callJson(run).get("cachedTokens").intValue());
    }

    @Test
    void shouldNameAModelByItsBytes() throws IOException {
        Path file = Files.writeString(directory.resolve("abc"), "abc");
        assertEquals(
                "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                ModelFingerprint.of(file)); // the example of FIPS 180
    }

    // ---- bad input: one line, non-zero ----

    @Test
    void shouldRefuseADirectoryInUse() throws IOException {
        Path used = directory.resolve("used");
        for (String command : List.of("run", "chat", "batch")) {
            Path file = Files.writeString(directory.resolve("requests.jsonl"), "{\"prompt\":\"a\"}");
            String[] call = {
                command, "--disk", "" + used, "--model", "" + DemoResources.path(DemoResources.RANDOM_MODEL)
            };
            String[] all = switch (command) {
                case "run" -> with(call, "--tokens", "1");
                case "batch" -> with(call, "" + file);
                default -> call;
            };
            try (DiskStore other = DiskStore.open(used, DiskOptions.of(1 << 20))) {
                assertEquals(0, other.stats().blocks());
                assertOneLine(
                        1,
                        "disk cannot be used: disk=.*used cause=java.io.IOException: directory is in use by another"
                                + " store: directory=.*used pid=\\d+",
                        all);
            }
        }
    }

    private static String[] with(String[] call, String... more) {
        return Stream.concat(Stream.of(call), Stream.of(more)).toArray(String[]::new);
    }

    @Test
    void shouldRefuseADirectoryThatItCannotUse() throws IOException {
        Path file = Files.writeString(directory.resolve("file"), "no directory");
        assertOneLine(
                1,
                "disk cannot be used: disk=.*file cause=.*Exception: .*",
                "run",
                "--prompt",
                "a",
                "--disk",
                "" + file);
        assertOneLine(2, ".*--disk.* \\(see kvcache run --help\\)", "run", "--prompt", "a", "--disk-bytes", "1GiB");
        assertOneLine(2, ".*'0' is not a size.*", "run", "--prompt", "a", "--disk", "d", "--disk-bytes", "0");
    }

    @Test
    void shouldLetGoOfTheDirectoryWhenTheCacheIsRefused() throws IOException {
        Path used = directory.resolve("used");
        assertOneLine(
                1,
                "cache too small for one block: maximumBytes=100 blockBytes=20480",
                "run",
                "--prompt",
                "a",
                "--cache-bytes",
                "100",
                "--disk",
                "" + used);
        DiskStore.open(used, DiskOptions.of(1 << 20)).close();
    }
}
