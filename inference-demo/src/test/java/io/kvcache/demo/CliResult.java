package io.kvcache.demo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.PrintWriter;
import java.io.StringReader;
import java.io.StringWriter;
import java.util.Arrays;

/**
 * What a call of the command line gave.
 *
 * <p>Immutable, hence thread-safe.
 */
record CliResult(int exitCode, String out, String err) {
    static CliResult call(String... arguments) {
        return callWith("", arguments);
    }

    /** Calls with text on standard input. */
    static CliResult callWith(String input, String... arguments) {
        StringWriter out = new StringWriter();
        StringWriter err = new StringWriter();
        int exitCode =
                KvCacheCli.execute(new StringReader(input), new PrintWriter(out), new PrintWriter(err), arguments);
        return new CliResult(exitCode, out.toString(), err.toString());
    }

    /** Calls with {@code --json}, which must go well, and reads the only line. */
    static JsonNode callJson(String... arguments) throws JsonProcessingException {
        String[] all = Arrays.copyOf(arguments, arguments.length + 1);
        all[arguments.length] = "--json";
        CliResult result = call(all);
        assertEquals("", result.err);
        assertEquals(0, result.exitCode);
        assertEquals(1, result.out.lines().count());
        return new ObjectMapper().readTree(result.out);
    }

    /** Checks that a call fails with one line. */
    static void assertOneLine(int exitCode, String pattern, String... arguments) {
        CliResult result = call(arguments);
        assertEquals("", result.out);
        assertEquals(1, result.err.lines().count(), result.err);
        assertTrue(result.err.strip().matches(pattern), result.err);
        assertEquals(exitCode, result.exitCode);
    }
}
