package io.kvcache.demo;

import static io.kvcache.demo.CliResult.assertOneLine;
import static io.kvcache.demo.CliResult.callJson;
import static io.kvcache.demo.CliResult.callWith;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A chat computes what is new, and can go back. */
final class ChatCommandTest {
    private static final String FIRST_ANSWER = " of the kingdom of God I have reconciled the king";
    private static final Pattern REMARK =
            Pattern.compile("\\[(\\d+) tokens said, (\\d+) cached, (\\d+) computed; .*\\]");

    @TempDir
    private Path directory = Path.of("");

    private static List<String> chat(String input, int maxTokens) {
        CliResult result = callWith(input, "chat", "--max-tokens", "" + maxTokens);
        assertEquals("", result.err());
        assertEquals(0, result.exitCode());
        return result.out().lines().toList();
    }

    /** Tokens said, cached, computed. */
    private static List<Integer> counts(String remark) {
        Matcher matcher = REMARK.matcher(remark);
        assertTrue(matcher.matches(), remark);
        return Stream.of(1, 2, 3)
                .map(group -> Integer.valueOf(matcher.group(group)))
                .toList();
    }

    @Test
    void shouldComputeOnlyWhatIsNewInEachTurn() throws IOException {
        List<String> lines = chat("In the beginning\n\nand the light\nIn the end", 16);
        assertEquals(6, lines.size(), lines.toString());
        assertEquals(FIRST_ANSWER, lines.get(0));
        assertEquals(List.of(8, 0, 8), counts(lines.get(1)));
        assertEquals(List.of(28, 23, 5), counts(lines.get(3)));
        assertEquals(28 + 15, counts(lines.get(5)).get(1));
        JsonNode run = callJson("run", "--prompt", "In the beginning", "--max-tokens", "16");
        assertEquals(run.get("text").textValue(), lines.get(0));
        Path file = Files.writeString(directory.resolve("turns.jsonl"), """
            {"prompt":"In the beginning","max_tokens":16,"session":"a"}
            {"prompt":"and the light","max_tokens":16,"session":"a"}
            """);
        String second = callWith("", "batch", "" + file, "--json")
                .out()
                .lines()
                .toList()
                .getLast();
        JsonNode sample = new ObjectMapper().readTree(second).get("samples").get(0);
        assertEquals(sample.get("text").textValue(), lines.get(2));
    }

    @Test
    void shouldReturnToPointsThatItRemembers() {
        List<String> lines = chat("""
            /fork
            In the beginning
            /fork
            and the light
            In the end
            /back
            and the light
            /back
            In the beginning
            /back
            """, 8);
        assertEquals("[remembered: 0 tokens said]", lines.get(0));
        assertEquals("[remembered: 16 tokens said]", lines.get(3));
        String continuation = lines.get(4);
        assertEquals("[back: 16 tokens said]", lines.get(8));
        assertEquals(continuation, lines.get(9));
        List<Integer> again = counts(lines.get(10));
        assertEquals(20, again.get(0));
        assertTrue(again.get(1) >= 15, lines.get(10));
        assertEquals("[back: 0 tokens said]", lines.get(11));
        assertEquals(lines.get(1), lines.get(12));
        assertEquals(8, counts(lines.get(13)).get(0));
        assertEquals("[no point to return to: /fork remembers one]", lines.get(14));
    }

    @Test
    void shouldSayWhatTheCacheHoldsAndWhatTheLoopHasDone() {
        List<String> lines = chat("In the beginning\nand the light\n/stats\n", 16);
        assertEquals(7, lines.size(), lines.toString());
        assertTrue(lines.get(4).matches("\\[memory: \\d+ private, .*; room for 13107]"), lines.get(4));
        assertTrue(lines.get(5).startsWith("[all runs: "), lines.get(5));
        assertTrue(
                lines.get(6)
                        .matches("\\[loop: 2 requests completed, 0 failed; 32 tokens generated and 43 computed in 32"
                                + " steps; 0 preemptions, 0 tokens computed again; 0 context shifts; [\\d.]+% of the"
                                + " slots unused, [\\d.]+% of the time bookkeeping]"),
                lines.get(6));
    }

    @Test
    void shouldSayWhichCommandsThereAre() {
        List<String> lines = chat("/walk \n/help\n", 16);
        assertEquals("[unknown command: /walk; there are /fork, /back, /stats, /help, /quit]", lines.get(0));
        assertEquals(4, lines.size(), lines.toString());
    }

    @Test
    void shouldEndWhenAskedToAndWithItsInput() {
        assertEquals(List.of(), chat("/quit\nIn the beginning\n", 16));
        assertEquals(List.of(), chat("", 16));
    }

    @Test
    void shouldGoOnWhenTheContextIsFull() {
        List<String> lines = chat("In the beginning\nAnd God said\nBlessed are\n" + "light ".repeat(90) + "\n", 300);
        List<String> remarks =
                lines.stream().filter(line -> line.startsWith("[")).toList();
        assertEquals(4, remarks.size(), lines.toString());
        List<Integer> shifted = counts(remarks.get(1));
        assertTrue(remarks.get(1).endsWith("; context full: shifted 1 times meanwhile]"), remarks.get(1));
        // Once full (512), the first 4 and the last 256 stay: what is said is what the session holds, and the last
        // token.
        int said = shifted.get(0) + 300 - (512 - 256 - 4);
        List<Integer> next = counts(remarks.get(2));
        assertEquals(said - 1, next.get(1), remarks.toString());
        assertTrue(remarks.get(3).contains(" oldest tokens dropped before"), remarks.get(3));
        assertTrue(counts(remarks.get(3)).get(0) <= 512);
    }

    @Test
    void shouldGoOnAfterATurnThatIsTooLong() {
        CliResult result = callWith(
                "In the beginning\n" + "light ".repeat(600) + "\nand the light\n", "chat", "--max-tokens", "16");
        assertEquals(1, result.exitCode());
        assertTrue(
                result.err()
                        .strip()
                        .matches("turn is longer than the context has room for: turnTokens=\\d+ sinks=4"
                                + " contextTokens=512"),
                result.err());
        assertEquals(List.of(28, 23, 5), counts(result.out().lines().toList().getLast()));
    }

    @Test
    void shouldRefuseOptionsOutOfRange() {
        assertOneLine(1, "must be positive: maxTokens=0", "chat", "--max-tokens", "0");
        assertOneLine(1, "temperature must .*temperature=-1.0", "chat", "--temperature", "-1");
        assertOneLine(2, "Unknown option: '--nonsense'.* \\(see kvcache chat --help\\)", "chat", "--nonsense");
    }
}
