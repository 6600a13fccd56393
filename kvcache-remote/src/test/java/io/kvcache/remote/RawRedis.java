package io.kvcache.remote;

import io.kvcache.localredis.LocalRedis;
import io.lettuce.core.ClientOptions;
import io.lettuce.core.RedisClient;
import io.lettuce.core.TimeoutOptions;
import io.lettuce.core.api.sync.RedisCommands;
import io.lettuce.core.codec.ByteArrayCodec;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;

/**
 * What a server holds, by an ordinary client: values as bytes.
 *
 * <p>Thread-safe.
 */
final class RawRedis implements AutoCloseable {
    private final RedisClient client;
    private final RedisCommands<byte[], byte[]> commands;

    RawRedis(LocalRedis server) {
        client = RedisClient.create(server.uri());
        client.setOptions(ClientOptions.builder()
                .timeoutOptions(TimeoutOptions.builder().timeoutCommands(false).build())
                .build());
        commands = client.connect(ByteArrayCodec.INSTANCE).sync();
    }

    private static byte[] bytes(String key) {
        return key.getBytes(StandardCharsets.ISO_8859_1);
    }

    byte[] get(String key) {
        return commands.get(bytes(key));
    }

    void set(String key, byte[] value) {
        commands.set(bytes(key), value);
    }

    void remove(String key) {
        commands.del(bytes(key));
    }

    /** All keys, in order. */
    List<String> keys() {
        return commands.keys("*").stream()
                .map(key -> new String(key, StandardCharsets.ISO_8859_1))
                .sorted()
                .toList();
    }

    @Override
    public void close() {
        client.shutdown(Duration.ZERO, Duration.ofSeconds(2));
    }
}
