package io.kvcache.demo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Stands in the command line's package to call it without ending the JVM. */
final class BenchCommandTest {
    @TempDir
    private Path directory = Path.of("");

    private final StringWriter out = new StringWriter();
    private final StringWriter err = new StringWriter();

    private int bench(String... arguments) {
        String[] all = new String[arguments.length + 1];
        all[0] = "bench";
        System.arraycopy(arguments, 0, all, 1, arguments.length);
        return KvCacheCli.execute(new PrintWriter(out, true), new PrintWriter(err, true), all);
    }

    @Test
    void shouldListStudiesWithTheirTimes() {
        assertEquals(0, bench("--list"));
        List<String> lines = out.toString().lines().toList();
        assertTrue(lines.size() > 10, out::toString);
        lines.forEach(line -> assertTrue(line.matches("[a-z]+: .+ \\(about \\d+ (s|minutes)\\)"), line));
    }

    /** One study by JMH, which starts a process for each benchmark, and a workload in a process of its own. */
    @Test
    void shouldMeasureAndReport() throws IOException {
        assertEquals(0, bench("--quick", "--only", "reuse,build", "--out", directory.toString()), err::toString);
        List<String> lines = out.toString().lines().toList();
        assertEquals("2 studies, about 11 s in all", lines.get(0));
        assertTrue(lines.get(1).startsWith("[1/2] build: "), lines::toString);
        assertTrue(lines.get(3).startsWith("[2/2] reuse: "), lines::toString);
        assertTrue(Files.readString(directory.resolve("build.json")).contains("./kvcache bench --only build --quick"));
        assertTrue(Files.readString(directory.resolve("reuse.json")).contains("\"optimum\""));
        String report = Files.readString(directory.resolve("report.html"));
        assertTrue(report.contains("<h2>build</h2>") && report.contains("<h2>reuse</h2>"), report);
    }

    private void assertOneLine(int exitCode, String pattern, String... arguments) {
        err.getBuffer().setLength(0);
        assertEquals(exitCode, bench(arguments));
        assertEquals(1, err.toString().lines().count(), err::toString);
        assertTrue(err.toString().strip().matches(pattern), err::toString);
    }

    @Test
    void shouldRefuseWhatItCannotMeasureInOneLine() throws IOException {
        assertOneLine(2, "no such study: name=speed studies=allocation,.*", "--only", "speed");
        assertOneLine(1, "file does not exist: file=none.jsonl", "--only", "reuse", "--trace", "none.jsonl");
        assertOneLine(1, "file cannot be read: file=none.gguf", "--only", "decode", "--model", "none.gguf");
        Path file = Files.createFile(directory.resolve("file"));
        assertOneLine(1, "directory cannot be made: directory=.*file", "--only", "build", "--out", file.toString());
    }
}
