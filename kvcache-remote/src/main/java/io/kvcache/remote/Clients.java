package io.kvcache.remote;

import io.lettuce.core.ClientOptions;
import io.lettuce.core.MaintNotificationsConfig;
import io.lettuce.core.SocketOptions;
import io.lettuce.core.SslOptions;
import io.lettuce.core.TimeoutOptions;
import io.lettuce.core.protocol.ProtocolVersion;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;

/**
 * How Lettuce is to behave: it makes no connection again by itself, so that nothing is sent twice and nothing waits for a server that
 * is away.
 *
 * <p>Thread-safe: has no state.
 */
final class Clients {
    private Clients() {}

    /**
     * Returns its options.
     *
     * @throws IOException if a file with certificates cannot be read
     */
    static ClientOptions options(RemoteOptions remote) throws IOException {
        return ClientOptions.builder()
                .autoReconnect(false)
                .disconnectedBehavior(ClientOptions.DisconnectedBehavior.REJECT_COMMANDS)
                .protocolVersion(ProtocolVersion.RESP2)
                .maintNotificationsConfig(MaintNotificationsConfig.disabled())
                .timeoutOptions(TimeoutOptions.builder().timeoutCommands(false).build())
                .socketOptions(SocketOptions.builder()
                        .connectTimeout(Duration.ofNanos(remote.connectNanos()))
                        .keepAlive(true)
                        .tcpNoDelay(true)
                        .build())
                .sslOptions(sslOptions(remote))
                .build();
    }

    private static SslOptions sslOptions(RemoteOptions remote) throws IOException {
        SslOptions.Builder builder = SslOptions.builder().jdkSslProvider();
        Path certificates = remote.certificates();
        if (certificates != null) {
            builder.trustManager(readable(certificates));
        }
        Path certificate = remote.clientCertificate();
        Path key = remote.clientKey();
        if (certificate != null && key != null) {
            builder.keyManager(readable(certificate), readable(key), new char[0]);
        }
        return builder.build();
    }

    private static File readable(Path pem) throws IOException {
        if (!Files.isReadable(pem)) {
            throw new IOException("file cannot be read: file=" + pem);
        }
        return pem.toFile();
    }
}
