package io.kvcache.demo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Stands in the command line's package to call it without ending the JVM. */
final class ReplayCommandTest {
    @TempDir
    private Path directory = Path.of("");

    private record Result(int exitCode, String out, String err) {}

    private static Result replay(String... arguments) {
        String[] all = new String[arguments.length + 1];
        all[0] = "replay";
        System.arraycopy(arguments, 0, all, 1, arguments.length);
        StringWriter out = new StringWriter();
        StringWriter err = new StringWriter();
        int exitCode = KvCacheCli.execute(new PrintWriter(out), new PrintWriter(err), all);
        return new Result(exitCode, out.toString(), err.toString());
    }

    private static JsonNode replayJson(String... arguments) throws JsonProcessingException {
        String[] all = Arrays.copyOf(arguments, arguments.length + 1);
        all[arguments.length] = "--json";
        Result result = replay(all);
        assertEquals("", result.err);
        assertEquals(0, result.exitCode);
        assertEquals(1, result.out.lines().count());
        return new ObjectMapper().readTree(result.out);
    }

    @Test
    void shouldPrintOneJsonObject() throws IOException {
        JsonNode json = replayJson();
        assertEquals(
                List.of("requests", "blockReferences", "distinctBlocks", "hitBlocks", "tokenHitRatio"),
                json.propertyStream().map(entry -> entry.getKey()).toList());
        assertEquals(600, json.get("requests").intValue());
        int references = json.get("blockReferences").intValue();
        assertEquals(
                references - json.get("hitBlocks").intValue(),
                json.get("distinctBlocks").intValue());
    }

    @Test
    void shouldPrintAFewLinesForPeople() {
        Result result = replay("--capacity-blocks", "100", "--policy", "lru");
        assertEquals("", result.err);
        assertEquals(0, result.exitCode);
        List<String> lines = result.out.lines().toList();
        assertEquals(3, lines.size());
        assertTrue(lines.get(0).matches("600 requests with \\d+ full blocks of 512 tokens, \\d+ of them distinct"));
        assertEquals("room for 100 blocks, lru decides who goes", lines.get(1));
        assertTrue(lines.get(2).matches("\\d+ blocks hit: \\d\\d\\.\\d\\d% of all input tokens were cached"));
    }

    @Test
    void shouldTakeItsCapacityAsBlocksOrAsAFractionRoundedUp() throws IOException {
        int distinct = replayJson().get("distinctBlocks").intValue();
        String tenth = Integer.toString((distinct + 9) / 10);
        assertEquals(replayJson("--capacity-blocks", tenth), replayJson("--capacity-fraction", "0.1"));
        assertEquals(replayJson(), replayJson("--capacity-fraction", "1"));
        assertEquals(replayJson("--capacity-blocks", "1"), replayJson("--capacity-fraction", "1e-9"));
    }

    @Test
    void shouldKnowItsPolicies() {
        for (String policy : List.of("lru", "hde", "fifo", "lfuda", "arc", "s3fifo", "optimum", "OPTIMUM")) {
            assertEquals(0, replay("--policy", policy, "--capacity-blocks", "50").exitCode);
        }
    }

    @Test
    void shouldReadATraceFile() throws IOException {
        Path file = Files.writeString(directory.resolve("a.tsv"), "# header\n0\t1024\t1\t0+2\n9\t1100\t1\t0+3\n");
        JsonNode json = replayJson(file.toString());
        assertEquals(2, json.get("hitBlocks").intValue());
        assertEquals(1024 / 2124.0, json.get("tokenHitRatio").doubleValue());
    }

    @Test
    void shouldExplainItself() {
        Result result = replay("--help");
        assertEquals(0, result.exitCode);
        assertTrue(result.out.contains("sample"), result.out);
    }

    private static void assertOneLine(int exitCode, String pattern, String... arguments) {
        Result result = replay(arguments);
        assertEquals("", result.out);
        assertEquals(1, result.err.lines().count(), result.err);
        assertTrue(result.err.strip().matches(pattern), result.err);
        assertEquals(exitCode, result.exitCode);
    }

    @Test
    void shouldRefuseWhatItCannotReplayInOneLine() throws IOException {
        assertOneLine(2, ".*mutually exclusive.*", "--capacity-blocks", "1", "--capacity-fraction", "1");
        assertOneLine(2, ".*--policy.*'clock' is none of .LRU, HDE, .*OPTIMUM..*", "--policy", "clock");
        assertOneLine(2, ".*--capacity-blocks.*'many'.*", "--capacity-blocks", "many");
        assertOneLine(1, "must be positive: capacityBlocks=0", "--capacity-blocks", "0");
        assertOneLine(1, "must be above 0 and at most 1: capacityFraction=0.0", "--capacity-fraction", "0");
        assertOneLine(1, "must be above 0 and at most 1: capacityFraction=1.01", "--capacity-fraction", "1.01");
        assertOneLine(1, "must be above 0 and at most 1: capacityFraction=NaN", "--capacity-fraction", "NaN");
        assertOneLine(1, "file does not exist: file=.*none.jsonl", directory + "/none.jsonl");
        Path bad = Files.writeString(directory.resolve("bad.jsonl"), "{\"label\": 9}\n");
        assertOneLine(1, "number must be from 0 to 7: label=9 file=.*bad.jsonl line=1", bad.toString());
    }
}
