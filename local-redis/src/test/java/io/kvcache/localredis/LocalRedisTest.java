package io.kvcache.localredis;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.net.SocketTimeoutException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class LocalRedisTest {
    @TempDir
    private Path temporary = Path.of("");

    @Test
    void shouldReply() {
        try (LocalRedis redis = LocalRedis.start()) {
            assertEquals("redis://127.0.0.1:" + redis.port(), redis.uri());
            assertEquals("PONG", redis.command("PING"));
            assertEquals("OK", redis.command("SET", "key", "a ä\r\n"));
            assertEquals("a ä\r\n", redis.command("GET", "key"));
            assertEquals("", redis.command("GETRANGE", "key", "9", "9"));
            assertEquals("(nil)", redis.command("GET", "other"));
            assertEquals("1", redis.command("EXISTS", "key"));
            assertEquals("a ä\r\n\n(nil)", redis.command("MGET", "key", "other"));
            assertEquals("save\n", redis.command("CONFIG", "GET", "save"));
        }
    }

    @Test
    void shouldSayWhatTheServerRejects() {
        try (LocalRedis redis = LocalRedis.start()) {
            var error = assertThrows(IllegalStateException.class, () -> redis.command("GET"));
            assertEquals("ERR wrong number of arguments for 'get' command", error.getMessage());
        }
    }

    @Test
    void shouldTakeArguments() {
        try (LocalRedis redis = LocalRedis.start("--maxmemory", "100mb", "--requirepass", "secret")) {
            var error = assertThrows(IllegalStateException.class, () -> redis.command("PING"));
            assertEquals("NOAUTH Authentication required.", error.getMessage());
        }
    }

    @Test
    void shouldSayWhyItDidNotStart() {
        var error = assertThrows(IllegalStateException.class, () -> LocalRedis.start("--maxmemory", "much"));
        String message = String.valueOf(error.getMessage());
        assertTrue(message.startsWith("redis-server did not start: ended=true log="), message);
        assertTrue(message.contains("maxmemory \"much\""), message);
    }

    @Test
    void shouldComeBackEmptyOnItsPort() {
        try (LocalRedis redis = LocalRedis.start()) {
            redis.command("SET", "key", "value");
            assertEquals(
                    "server is running: port=" + redis.port(),
                    assertThrows(IllegalStateException.class, redis::restart).getMessage());
            redis.kill();
            redis.kill();
            assertThrows(UncheckedIOException.class, () -> redis.command("PING"));
            redis.restart();
            assertEquals("(nil)", redis.command("GET", "key"));
        }
    }

    @Test
    void shouldHangWhilePaused() throws IOException {
        try (LocalRedis redis = LocalRedis.start();
                RespConnection connection = new RespConnection(redis.port(), 200)) {
            assertEquals("PONG", connection.call("PING"));
            redis.pause();
            assertThrows(SocketTimeoutException.class, () -> connection.call("PING"));
            redis.resume();
            assertEquals("PONG", redis.command("PING"));
            redis.pause(); // and can be closed
        }
    }

    @Test
    void shouldLeaveNothing() {
        LocalRedis redis = LocalRedis.start();
        Path directory =
                Path.of(redis.command("CONFIG", "GET", "dir").lines().toList().getLast());
        long pid = redis.command("INFO", "server")
                .lines()
                .filter(line -> line.startsWith("process_id:"))
                .mapToLong(line -> Long.parseLong(line.substring("process_id:".length())))
                .findFirst()
                .orElseThrow();
        assertTrue(Files.isDirectory(directory));
        assertTrue(ProcessHandle.of(pid).isPresent());
        redis.close();
        redis.close();
        assertFalse(Files.exists(directory));
        assertTrue(ProcessHandle.of(pid).isEmpty());
        assertEquals(
                "server was closed: port=" + redis.port(),
                assertThrows(IllegalStateException.class, redis::restart).getMessage());
    }

    @Test
    void shouldEndWithTheJvmThatStartedIt() throws Exception {
        Process jvm = owner().redirectError(ProcessBuilder.Redirect.INHERIT).start();
        try (BufferedReader lines =
                new BufferedReader(new InputStreamReader(jvm.getInputStream(), StandardCharsets.US_ASCII))) {
            int port = Integer.parseInt(lines.readLine());
            try (RespConnection connection = new RespConnection(port, 10_000)) {
                assertEquals("PONG", connection.call("PING"));
                jvm.destroyForcibly();
                IOException end = assertThrows(IOException.class, () -> connection.call("BLPOP", "none", "0"));
                assertFalse(end instanceof SocketTimeoutException, "server is still there");
            }
        } finally {
            jvm.destroyForcibly().waitFor();
        }
    }

    @Test
    void shouldSayWhatToInstall() throws Exception {
        ProcessBuilder owner = owner();
        owner.environment().put("PATH", "/nowhere");
        Process jvm = owner.start();
        String errors = new String(jvm.getErrorStream().readAllBytes(), StandardCharsets.UTF_8);
        String expected = "redis-server is not on the PATH: install it (Debian, Ubuntu: apt-get install redis-server)";
        assertTrue(errors.contains(expected), errors);
        assertEquals(1, jvm.waitFor());
    }

    private ProcessBuilder owner() {
        return new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Djava.io.tmpdir=" + temporary, // the server's directory stays
                "-cp",
                System.getProperty("java.class.path"),
                Owner.class.getName());
    }

    /** Starts a server, in a process of its own. */
    static final class Owner {
        private Owner() {}

        /** Runs until it is killed. */
        public static void main(String[] arguments) throws InterruptedException {
            System.out.println(LocalRedis.start().port());
            Thread.sleep(60_000);
        }
    }
}
