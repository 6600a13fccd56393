package io.kvcache.demo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Stands in the command line's package to call it without ending the JVM. */
final class PlanCommandTest {
    private static final String[] SHAPE = {"--layers", "32", "--kv-heads", "8", "--head-size", "128"};

    @TempDir
    private Path directory = Path.of("");

    private record Result(int exitCode, String out, String err) {}

    private static Result call(String... arguments) {
        StringWriter out = new StringWriter();
        StringWriter err = new StringWriter();
        int exitCode = KvCacheCli.execute(new PrintWriter(out), new PrintWriter(err), arguments);
        return new Result(exitCode, out.toString(), err.toString());
    }

    private static Result plan(String... arguments) {
        return call(Stream.of(Stream.of("plan"), Stream.of(SHAPE), Stream.of(arguments))
                .flatMap(part -> part)
                .toArray(String[]::new));
    }

    private static JsonNode planJson(String... arguments) throws IOException {
        Result result =
                plan(Stream.concat(Stream.of(arguments), Stream.of("--json")).toArray(String[]::new));
        assertEquals("", result.err);
        assertEquals(0, result.exitCode);
        assertEquals(1, result.out.lines().count());
        return new ObjectMapper().readTree(result.out);
    }

    private static List<String> names(JsonNode json) {
        return json.propertyStream().map(entry -> entry.getKey()).toList();
    }

    @Test
    void shouldPrintOneJsonObject() throws IOException {
        JsonNode json = planJson("--memory", "1GiB,4GiB");
        assertEquals(
                List.of(
                        "requests",
                        "blockReferences",
                        "distinctBlocks",
                        "bytesPerToken",
                        "blockBytes",
                        "distinctBytes",
                        "reachableBlocks",
                        "reachableTokenHitRatio",
                        "sizes",
                        "needs"),
                names(json));
        assertEquals(600, json.get("requests").intValue());
        assertEquals(131_072, json.get("bytesPerToken").longValue());
        assertEquals(64 << 20, json.get("blockBytes").longValue());
        assertEquals(
                json.get("blockReferences").intValue()
                        - json.get("distinctBlocks").intValue(),
                json.get("reachableBlocks").intValue());
        JsonNode sizes = json.get("sizes");
        assertEquals(2 * 3, sizes.size());
        assertEquals(List.of("memoryBytes", "blocks", "policy", "hitBlocks", "tokenHitRatio"), names(sizes.get(0)));
        JsonNode needs = json.get("needs");
        assertEquals(3 * 2, needs.size());
        assertEquals(
                List.of("percentOfReachable", "policy", "memoryBytes", "blocks", "hitBlocks"), names(needs.get(0)));
    }

    @Test
    void shouldSayTheSameAsReplay() throws IOException {
        JsonNode size =
                planJson("--memory", "4GiB", "--policy", "hde").get("sizes").get(0);
        assertEquals(64, size.get("blocks").intValue());
        Result replay = call("replay", "--policy", "hde", "--capacity-blocks", "64", "--json");
        JsonNode expected = new ObjectMapper().readTree(replay.out);
        assertEquals(expected.get("hitBlocks"), size.get("hitBlocks"));
        assertEquals(expected.get("tokenHitRatio"), size.get("tokenHitRatio"));
    }

    @Test
    void shouldPrintTablesForPeople() {
        Result result = plan("--memory", "1GiB,256GiB", "--policy", "lru,optimum");
        assertEquals(0, result.exitCode);
        List<String> lines = result.out.lines().map(String::strip).toList();
        assertEquals("600 requests with 7090 full blocks of 512 tokens, 2439 of them distinct", lines.get(0));
        assertEquals("131072 bytes a token, 64.0 MiB a block, 152.4 GiB for all distinct blocks", lines.get(1));
        assertEquals("4651 blocks hit with room for all: 63.01% of all input tokens are within reach", lines.get(2));
        assertTrue(lines.get(5).matches("memory +blocks +lru +optimum"), result.out);
        assertTrue(lines.get(6).matches("1\\.0 GiB +16 +\\d+\\.\\d\\d% +\\d+\\.\\d\\d%"), result.out);
        assertTrue(lines.get(7).matches("256\\.0 GiB +2439 +63\\.01% +63\\.01%"), result.out);
        assertTrue(lines.get(10).matches("part +lru +optimum"), result.out);
        assertTrue(lines.get(11).matches("90% +\\d+\\.\\d GiB +\\d+\\.\\d GiB"), result.out);
        assertTrue(lines.get(12).matches("99% +\\d+\\.\\d GiB +\\d+\\.\\d GiB"), result.out);
        assertTrue(lines.getLast().startsWith("Not modelled: requests at work at once"), result.out);
    }

    @Test
    void shouldCountTheScalesOfInt8() throws IOException {
        JsonNode json = planJson("--kv-type", "int8", "--policy", "lru", "--memory", "8GiB");
        assertEquals(2 * 32 * 8 * (128 + 4), json.get("bytesPerToken").intValue());
        assertEquals(
                512L * json.get("bytesPerToken").intValue(),
                json.get("blockBytes").longValue());
    }

    @Test
    void shouldLookAtALadderOfSizesByDefault() throws IOException {
        JsonNode sizes = planJson("--policy", "lru").get("sizes");
        assertEquals(256 << 20, sizes.get(0).get("memoryBytes").longValue());
        assertEquals(256L << 30, sizes.get(sizes.size() - 1).get("memoryBytes").longValue());
        assertEquals(11, sizes.size());
    }

    @Test
    void shouldReadATraceFile() throws IOException {
        Path file = Files.writeString(directory.resolve("a.tsv"), "# header\n0\t1024\t1\t0+2\n9\t1100\t1\t0+3\n");
        JsonNode json = planJson(file.toString());
        assertEquals(2, json.get("reachableBlocks").intValue());
        assertEquals(2, json.get("needs").get(0).get("blocks").intValue());
    }

    @Test
    void shouldExplainItself() {
        Result result = plan("--help");
        assertEquals(0, result.exitCode);
        assertTrue(result.out.contains("not modelled"), result.out);
        assertTrue(result.out.contains("OPTIMUM"), result.out);
    }

    private static void assertOneLine(int exitCode, String pattern, Result result) {
        assertEquals("", result.out);
        assertEquals(1, result.err.lines().count(), result.err);
        assertTrue(result.err.strip().matches(pattern), result.err);
        assertEquals(exitCode, result.exitCode);
    }

    @Test
    void shouldRefuseWhatItCannotPlanInOneLine() {
        assertOneLine(2, "Missing required options: .*--layers.*--kv-heads.*--head-size.*", call("plan"));
        assertOneLine(2, ".*--memory.*'1GB' is not a size.*", plan("--memory", "16GiB,1GB"));
        assertOneLine(2, ".*--memory.*'0' is not a size.*", plan("--memory", "0"));
        assertOneLine(2, ".*--policy.*'clock' is none of .*", plan("--policy", "lru,clock"));
        assertOneLine(2, ".*--kv-type.*'Q4'.*", plan("--kv-type", "Q4"));
        assertOneLine(1, "memory must hold a block: memory=1024 blockBytes=67108864", plan("--memory", "1KiB,1GiB"));
        assertOneLine(1, "file does not exist: file=.*none.jsonl", plan(directory + "/none.jsonl"));
    }

    private static Result planOf(int layers, int kvHeads, int headSize) {
        return call("plan", "--layers=" + layers, "--kv-heads=" + kvHeads, "--head-size=" + headSize, "--memory=1GiB");
    }

    @Test
    void shouldRefuseShapesThatAreNoneOrOverflow() {
        assertOneLine(1, "must be positive: layers=0", planOf(0, 8, 128));
        assertOneLine(1, "must be positive: kvHeads=-1", planOf(1, -1, 128));
        assertOneLine(1, "too many layers: layers=65537 maximum=65536", planOf(65_537, 1, 128));
        assertOneLine(1, "layout overflows: layers=1 kvHeads=65536 keyHeadSize=65536 .*", planOf(1, 65_536, 65_536));
        assertOneLine(
                1,
                "all blocks have more bytes than a long counts: distinctBlocks=2439 blockBytes=140737488355328000",
                planOf(65_536, 65_536, 16_000));
    }
}
