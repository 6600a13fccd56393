package io.kvcache.remote;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.localredis.LocalRedis;
import io.lettuce.core.RedisURI;
import java.io.IOException;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class RemoteAddressTest {
    @ParameterizedTest
    @CsvSource({
        "redis://a, redis://a:6379",
        "redis://a/, redis://a:6379",
        "redis://a:1, redis://a:1",
        "redis://a:1/0, redis://a:1",
        "redis://a:1/15, redis://a:1/15",
        "rediss://10.0.0.1:1, rediss://10.0.0.1:1",
        "redis://[::1]:1, redis://[::1]:1",
        "redis://[::1], redis://[::1]:6379",
        "redis://:secret@a, redis://:***@a:6379",
        "redis://secret@a, redis://:***@a:6379",
        "redis://me:secret@a:1/2, redis://me:***@a:1/2",
        "redis://me:sec:ret@a, redis://me:***@a:6379",
        "redis://me:s@cr/t@a, redis://me:***@a:6379"
    })
    void shouldReadAnAddressAndShowItWithoutThePassword(String text, String shown) {
        assertEquals(shown, RemoteAddress.of(text).toString());
    }

    @Test
    void shouldReadSeveralServers() {
        RemoteAddress address = RemoteAddress.of("rediss://u%3A:p%40%2F+%25@a:1,b,[::1]:3/4");
        assertEquals(List.of("a:1", "b:6379", "[::1]:3"), address.hosts());
        assertEquals("rediss://u::***@a:1,b:6379,[::1]:3/4", address.toString());
        RedisURI uri = address.uri("[::1]:3");
        assertEquals("::1", uri.getHost());
        assertEquals(3, uri.getPort());
        assertEquals(4, uri.getDatabase());
        assertTrue(uri.isSsl());
        RedisURI other = RemoteAddress.of("redis://:secret@a").uri("b:5");
        assertFalse(other.isSsl());
        assertEquals("b", other.getHost());
    }

    /** The server tells whether user and password are read as they were meant. */
    @Test
    void shouldUnescapeUserAndPassword() throws IOException {
        try (LocalRedis server = LocalRedis.start()) {
            server.command("ACL", "SETUSER", "u:", "on", ">p@/+%", "~*", "+@all");
            String login = "redis://u%3A:p%40%2F+%25@127.0.0.1:";
            RemoteStore.connect(RemoteOptions.of(login + server.port())).close();
            assertThrows(
                    IOException.class,
                    () -> RemoteStore.connect(RemoteOptions.of(login.replace("+", "%20") + server.port())));
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "secret",
                "secret@a",
                "redis",
                "redis:secret@a",
                "http://:secret@a",
                "REDIS://:secret@a",
                ":secret@a://x",
                "redis://",
                "redis://:secret@",
                "redis://:secret@a:b",
                "redis://:secret@a:123456",
                "redis://:secret@a:-1",
                "redis://:secret@a,",
                "redis://:secret@a,,b",
                "redis://:secret@a b",
                "redis://:secret@a/b",
                "redis://:secret@a/12345",
                "redis://:secret@a/-1",
                "redis://:secret@a/1/2",
                "redis://:secret%@a",
                "redis://:secret%zz@a",
                "redis://:secret",
                "redis://:secret/1",
                "redis://me:secret",
                "redis://:secret#a",
                "redis://secret:123456",
                "redis://a,me:secret",
                "redis://a?password=secret"
            })
    void shouldNotShowThePasswordOfAMalformedAddress(String text) {
        String message = assertThrows(IllegalArgumentException.class, () -> RemoteAddress.of(text))
                .toString();
        assertFalse(message.contains("secret"), message);
        assertTrue(message.contains("redis[s]://[[USER]:PASSWORD@]HOST[:PORT]"), message);
    }

    @Test
    void shouldSayWhatIsMalformed() {
        String form = " wanted=redis[s]://[[USER]:PASSWORD@]HOST[:PORT][,HOST[:PORT]...][/DATABASE]";
        assertEquals("address is malformed: host=a:b" + form, message("redis://:secret@a:b,c"));
        assertEquals("address is malformed: database=b" + form, message("redis://:secret@a/b"));
        assertEquals("address is malformed: scheme=http" + form, message("http://a"));
    }

    private static String message(String text) {
        return String.valueOf(assertThrows(IllegalArgumentException.class, () -> RemoteAddress.of(text))
                .getMessage());
    }
}
