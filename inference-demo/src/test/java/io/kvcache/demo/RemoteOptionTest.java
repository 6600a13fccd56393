package io.kvcache.demo;

import static io.kvcache.demo.CliResult.assertOneLine;
import static io.kvcache.demo.CliResult.call;
import static io.kvcache.demo.CliResult.callJson;
import static io.kvcache.demo.CliResult.callWith;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.kvcache.localredis.LocalCluster;
import io.kvcache.localredis.LocalRedis;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What one machine has computed, another one loads: a call of the command line is a machine here. */
final class RemoteOptionTest {
    private static final String PROMPT = "In the beginning God created the heaven and the earth";

    private static LocalRedis server;

    @TempDir
    private Path directory = Path.of("");

    @BeforeAll
    static void start() {
        server = LocalRedis.start();
    }

    @AfterAll
    static void stop() {
        server.close();
    }

    @BeforeEach
    void clear() {
        server.command("FLUSHALL");
    }

    private static String[] with(String remote, String... call) {
        return Stream.concat(
                        Stream.of(call),
                        Stream.of("--remote", remote, "--remote-deadline", "20000", "--tokens-per-block", "4"))
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

    private static String byTier(JsonNode result) {
        return result.get("cachedTokensByTier").toString();
    }

    @Test
    void shouldLoadWhatAnotherCallHasComputed() throws IOException {
        String[] run = with(server.uri(), "run", "--prompt", PROMPT, "--max-tokens", "16");
        JsonNode first = callJson(run);
        assertEquals("{\"memory\":0,\"remote\":0}", byTier(first));
        JsonNode second = callJson(run);
        int cached = first.get("promptTokens").intValue() - 1;
        assertEquals("{\"memory\":0,\"remote\":" + cached + "}", byTier(second));
        assertEquals(first.get("tokens"), second.get("tokens"));
    }

    @Test
    void shouldLoadFromACluster() throws IOException {
        try (LocalCluster cluster = LocalCluster.start(3)) {
            String[] run = with(cluster.uri(), "run", "--prompt", PROMPT, "--max-tokens", "16");
            JsonNode first = callJson(run);
            JsonNode second = callJson(run);
            int cached = first.get("promptTokens").intValue() - 1;
            assertEquals("{\"memory\":0,\"remote\":" + cached + "}", byTier(second));
            assertEquals(first.get("tokens"), second.get("tokens"));
        }
    }

    @Test
    void shouldAskTheDiskBeforeTheServer() throws IOException {
        String[] run = with(
                server.uri(),
                "run",
                "--prompt",
                PROMPT,
                "--max-tokens",
                "4",
                "--disk",
                "" + directory.resolve("blocks"));
        JsonNode first = callJson(run);
        int cached = first.get("promptTokens").intValue() - 1;
        assertEquals("{\"memory\":0,\"disk\":0,\"remote\":0}", byTier(first));
        assertEquals("{\"memory\":0,\"disk\":" + cached + ",\"remote\":0}", byTier(callJson(run)));
        String[] elsewhere = run.clone();
        elsewhere[List.of(run).indexOf("--disk") + 1] = "" + directory.resolve("elsewhere");
        assertEquals("{\"memory\":0,\"disk\":0,\"remote\":" + cached + "}", byTier(callJson(elsewhere)));
        server.command("FLUSHALL");
        assertEquals(
                "{\"memory\":0,\"disk\":" + cached + ",\"remote\":0}",
                byTier(callJson(elsewhere)),
                "what came from the server is on the disk now");
    }

    @Test
    void shouldSplitCachedTokensInABatchAndInAChat() throws IOException {
        Path file = Files.writeString(directory.resolve("requests.jsonl"), """
            {"prompt":"In the beginning God created the heaven and the earth","max_tokens":8}
            """);
        String[] batch = with(server.uri(), "batch", "" + file);
        lines(call(batch));
        assertMatches(
                "\\[line 1: \\d+ prompt tokens, \\d+ cached \\(memory 0, remote [1-9]\\d*\\); .*",
                lines(call(batch)).getFirst());
        List<String> lines = lines(callWith(PROMPT + "\n", with(server.uri(), "chat", "--max-tokens", "8")));
        assertMatches(
                "\\[\\d+ tokens said, \\d+ cached \\(memory 0, remote [1-9]\\d*\\), \\d+ computed; .*", lines.get(1));
    }

    @Test
    void shouldGoOnWithAWarningWhereNoServerAnswers() {
        String nobody = "redis://127.0.0.1:" + LocalRedis.freePort();
        CliResult result = call(with(nobody, "run", "--prompt", PROMPT, "--max-tokens", "4"));
        assertEquals(0, result.exitCode());
        assertEquals(1, result.err().lines().count(), result.err());
        assertMatches(
                "remote is left alone until it answers: remote=" + nobody + " cause=.*Connection refused.*",
                result.err().strip());
        assertMatches(
                "\\[\\d+ prompt tokens, 0 cached \\(memory 0, remote 0\\); .*",
                result.out().lines().toList().get(1));
    }

    @Test
    void shouldGoOnWithAWarningWhereThePasswordIsWrong() {
        try (LocalRedis locked = LocalRedis.start("--requirepass", "right")) {
            String address = "redis://:wrong@127.0.0.1:" + locked.port();
            CliResult result = call(with(address, "run", "--prompt", PROMPT, "--max-tokens", "4"));
            assertEquals(0, result.exitCode());
            assertEquals(1, result.err().lines().count(), result.err());
            assertMatches(
                    "remote is left alone until it answers: .*WRONGPASS.*",
                    result.err().strip());
            assertTrue(!result.err().contains("wrong@"), result.err());
        }
    }

    @Test
    void shouldRefuseAnAddressThatIsNone() {
        assertOneLine(
                2,
                ".*address is malformed: scheme=http wanted=redis.* \\(see kvcache run --help\\)",
                "run",
                "--prompt",
                "a",
                "--remote",
                "http://127.0.0.1");
    }
}
