package io.kvcache.bench;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.LongStream;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class TraceReaderTest {
    private static final String HEADER = "# milliseconds, input, output, runs\n";

    @TempDir
    private Path directory = Path.of("");

    private Path write(String name, String text) throws IOException {
        return Files.writeString(directory.resolve(name), text);
    }

    private Path compress(String name, String text) throws IOException {
        Path file = directory.resolve(name);
        try (OutputStream out = new GZIPOutputStream(Files.newOutputStream(file))) {
            out.write(text.getBytes(StandardCharsets.UTF_8));
        }
        return file;
    }

    private static List<String> describe(Trace trace) {
        return trace.requests().stream()
                .map(request -> request.millis() + " " + request.inputTokens() + " " + request.outputTokens() + " "
                        + request.label() + " " + Arrays.toString(request.blocks()))
                .toList();
    }

    @Test
    void shouldReadTheSameFromAllForms() throws IOException {
        Random random = new Random(512);
        StringBuilder json = new StringBuilder();
        StringBuilder tabs = new StringBuilder(HEADER);
        for (int request = 0; request < 100; request++) {
            int input = random.nextInt(20_000);
            long start = random.nextLong(1L << 40);
            int first = 1 + random.nextInt(10);
            int second = Math.max(0, (input + 511) / 512 - first);
            String ids = LongStream.concat(LongStream.range(start, start + first), LongStream.range(7, 7 + second))
                    .mapToObj(Long::toString)
                    .collect(Collectors.joining(","));
            json.append("{\"timestamp\":%d,\"input_length\":%d,\"output_length\":9,\"hash_ids\":[%s]}\n"
                    .formatted(10 * request, input, ids));
            tabs.append(10 * request).append('\t').append(input).append("\t9\t");
            tabs.append(first == 1 ? "" + start : start + "+" + first);
            tabs.append(second == 0 ? "" : ",7+" + second).append('\n');
        }
        List<String> expected = describe(TraceReader.read(write("a.jsonl", json.toString())));
        assertEquals(100, expected.size());
        assertEquals(expected, describe(TraceReader.read(compress("a.jsonl.gz", json.toString()))));
        assertEquals(expected, describe(TraceReader.read(write("a.tsv", tabs.toString()))));
        assertEquals(expected, describe(TraceReader.read(compress("a.tsv.gz", tabs.toString()))));
        String withoutHeader = tabs.substring(HEADER.length()).replace("\n", "\r\n");
        assertEquals(expected, describe(TraceReader.read(write("b.tsv", withoutHeader))));
    }

    @Test
    void shouldCountFullBlocksOnlyAndNumberThemDensely() throws IOException {
        Trace trace = TraceReader.read(write("a.jsonl", """
            {"timestamp": 0, "input_length": 1024, "output_length": 1, "hash_ids": [9000000000, -5]}

            {"timestamp": 5, "input_length": 1535, "output_length": 1, "hash_ids": [9000000000, 6, 7], "label": 7}
            {"timestamp": 5, "input_length": 511, "output_length": 0, "hash_ids": [8]}
            {"timestamp": 5, "input_length": 0, "output_length": 0, "hash_ids": []}
            """));
        assertEquals(4, trace.requests().size());
        assertEquals(3, trace.distinctBlocks());
        assertEquals(4, trace.blockReferences());
        assertEquals(1024 + 1535 + 511, trace.inputTokens());
        assertArrayEquals(new int[] {0, 1}, trace.requests().get(0).blocks());
        assertArrayEquals(new int[] {0, 2}, trace.requests().get(1).blocks());
        assertArrayEquals(new int[] {}, trace.requests().get(2).blocks());
        assertEquals(0, trace.requests().get(0).label());
        assertEquals(7, trace.requests().get(1).label());
    }

    @Test
    void shouldPassOverFieldsThatItDoesNotKnow() throws IOException {
        Trace trace = TraceReader.read(write(
                "a.jsonl",
                "{\"x\": {\"hash_ids\": [[1]]}, \"hash_ids\": [3], \"y\": [{}, null], \"output_length\": 2,"
                        + " \"timestamp\": 4, \"input_length\": 600, \"z\": null}"));
        assertEquals(List.of("4 600 2 0 [0]"), describe(trace));
    }

    @Test
    void shouldShipWhatTheGeneratorMakes() throws IOException {
        try (InputStream in = Objects.requireNonNull(TraceReader.class.getResourceAsStream("sample.jsonl"))) {
            assertEquals(SampleTrace.generate(), new String(in.readAllBytes(), StandardCharsets.UTF_8));
        }
        assertEquals(600, TraceReader.sample().requests().size());
    }

    // ---- what is wrong, and where ----

    private static void assertRefused(String message, Path file) {
        Exception refusal = assertThrows(IllegalArgumentException.class, () -> TraceReader.read(file));
        assertEquals(message, refusal.getMessage());
    }

    private void assertJsonRefused(String message, String line) throws IOException {
        String good = "{\"timestamp\": 0, \"input_length\": 0, \"output_length\": 0, \"hash_ids\": []}\n";
        Path file = write("bad.jsonl", good + "\n" + line + "\n" + good);
        assertRefused(message + " file=" + file + " line=3", file);
    }

    private void assertTabsRefused(String message, String line) throws IOException {
        Path file = write("bad.tsv", HEADER + line + "\n");
        assertRefused(message + " file=" + file + " line=2", file);
    }

    @Test
    void shouldSayWhatIsWrongInJsonLines() throws IOException {
        assertJsonRefused("line must be a JSON object found=[1]", "[1]");
        assertJsonRefused("field is missing: name=timestamp", "{}");
        assertJsonRefused("field is missing: name=input_length", "{\"timestamp\": 1}");
        assertJsonRefused("field is missing: name=output_length", "{\"timestamp\": 1, \"input_length\": 1}");
        assertJsonRefused("field must be a whole number: name=timestamp found=1.5", "{\"timestamp\": 1.5}");
        assertJsonRefused("field must be a whole number: name=label found=chat", "{\"label\": \"chat\"}");
        assertJsonRefused("field must be an array: name=hash_ids found=3", "{\"hash_ids\": 3}");
        assertJsonRefused("field must be a whole number: name=hash_ids found=null", "{\"hash_ids\": [1, null]}");
        assertJsonRefused("number must be from 0 to 7: label=8", "{\"label\": 8}");
        assertJsonRefused("number must be from 0 to 2147483647: input_length=-1", "{\"input_length\": -1}");
        assertJsonRefused("number must be from 0 to 9223372036854: timestamp=-1", "{\"timestamp\": -1}");
        assertJsonRefused(
                "every full block of 512 tokens must have an id: ids=1 input_length=1024",
                "{\"timestamp\": 1, \"input_length\": 1024, \"output_length\": 1, \"hash_ids\": [1]}");
        assertJsonRefused("line must hold one JSON object only found={\"x\": 1} 7", "{\"x\": 1} 7");
    }

    @Test
    void shouldSayWhereALineIsNotJson() throws IOException {
        for (String line : List.of(
                "{\"timestamp\": 1", "{timestamp: 1}", "{\"hash_ids\": [1", "{\"label\": 99999999999999999999}")) {
            Path file = write("bad.jsonl", line);
            Exception refusal = assertThrows(IllegalArgumentException.class, () -> TraceReader.read(file), line);
            String message = Objects.requireNonNull(refusal.getMessage());
            assertTrue(message.startsWith("line is not JSON: reason="), message);
            assertTrue(message.endsWith(" file=" + file + " line=1"), message);
        }
    }

    @Test
    void shouldSayWhatIsWrongInTabbedLines() throws IOException {
        assertTabsRefused("line must have 4 columns separated by tabs: columns=3", "1\t2\t3");
        assertTabsRefused("field must be a whole number: name=timestamp found=x", "x\t2\t3\t4");
        assertTabsRefused("number must be from 0 to 2147483647: output_length=-3", "1\t2\t-3\t4");
        assertTabsRefused("field must be a whole number: name=run found=", "1\t2\t3\t4+");
        assertTabsRefused("field must be a whole number: name=run found=", "1\t2\t3\t4+1,");
        assertTabsRefused("run must have a length from 1 on: run=4+0", "1\t2\t3\t4+0");
        assertTabsRefused(
                "run must have a length from 1 on: run=9223372036854775807+2", "1\t2\t3\t9223372036854775807+2");
        assertTabsRefused("every full block of 512 tokens must have an id: ids=3 input_length=2048", "1\t2048\t3\t4+3");
        assertTabsRefused("every full block of 512 tokens must have an id: ids=0 input_length=2048", "1\t2048\t3\t");
        assertTabsRefused(
                "field must be a whole number: name=timestamp found=" + "9".repeat(40) + "...",
                "9".repeat(50) + "\t2\t3\t4");
    }

    @Test
    void shouldSayWhichFileCannotBeRead() throws IOException {
        Path missing = directory.resolve("missing.jsonl");
        assertRefused("file does not exist: file=" + missing, missing);
        Path empty = write("empty.tsv", HEADER);
        assertRefused("trace has no request: file=" + empty, empty);
        Path whole = compress("whole.gz", HEADER + "1\t0\t0\t\n".repeat(100));
        byte[] bytes = Files.readAllBytes(whole);
        Path cut = Files.write(directory.resolve("cut.gz"), Arrays.copyOf(bytes, bytes.length - 4));
        Exception refusal = assertThrows(IllegalArgumentException.class, () -> TraceReader.read(cut));
        assertTrue(
                Objects.requireNonNull(refusal.getMessage()).startsWith("cannot be read: file=" + cut + " reason="),
                refusal.getMessage());
        assertThrows(IllegalArgumentException.class, () -> TraceReader.read(directory));
    }
}
