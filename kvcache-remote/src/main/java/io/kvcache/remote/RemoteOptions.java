package io.kvcache.remote;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Objects;
import org.agrona.concurrent.EpochClock;
import org.agrona.concurrent.NanoClock;
import org.agrona.concurrent.SystemEpochClock;
import org.agrona.concurrent.SystemNanoClock;
import org.jspecify.annotations.Nullable;

/**
 * How a {@link RemoteStore} uses servers.
 *
 * <p>Thread-safe: immutable.
 *
 * @param address where they are
 * @param keyPrefix what all keys on the servers begin with
 * @param deadlineNanos how long a call may take, in nanoseconds
 * @param connectNanos how long it may take to connect to a server, in nanoseconds
 * @param connectionsPerNode connections to each server, which calls take in turn
 * @param partBytes what a value holds of a block, at most; larger blocks are split. All who share servers must agree
 * @param certificates authorities that sign the certificates of servers, in a PEM file; null: those that the JVM trusts
 * @param clientCertificate shown to servers that ask for one, in a PEM file; null: none
 * @param clientKey that belongs to it, in a PEM file without a password; null: none
 * @param nanoClock nanoseconds from any origin
 * @param epochClock the wall clock, by which blocks expire
 */
public record RemoteOptions(
        RemoteAddress address,
        String keyPrefix,
        long deadlineNanos,
        long connectNanos,
        int connectionsPerNode,
        int partBytes,
        @Nullable Path certificates,
        @Nullable Path clientCertificate,
        @Nullable Path clientKey,
        NanoClock nanoClock,
        EpochClock epochClock) {
    private static final String KEY_PREFIX = "kvcache:";
    private static final long DEADLINE_NANOS = 100_000_000;
    private static final long CONNECT_NANOS = 2_000_000_000;
    private static final int CONNECTIONS_PER_NODE = 2;
    private static final int PART_BYTES = 1 << 20;
    private static final int LARGEST_PART_BYTES = 512 << 20; // of a server

    /**
     * Makes options; {@link #of} and the {@code with} methods read better.
     *
     * @throws IllegalArgumentException if a number is out of its range, the prefix is not printable ASCII or has a brace, or
     *     there is only one of certificate and key
     */
    public RemoteOptions {
        Objects.requireNonNull(address, "address");
        Objects.requireNonNull(nanoClock, "nanoClock");
        Objects.requireNonNull(epochClock, "epochClock");
        if (deadlineNanos <= 0 || connectNanos <= 0 || connectionsPerNode <= 0) {
            throw new IllegalArgumentException("must be positive: deadlineNanos=" + deadlineNanos + " connectNanos="
                    + connectNanos + " connectionsPerNode=" + connectionsPerNode);
        }
        if (partBytes <= 0 || partBytes > LARGEST_PART_BYTES) {
            throw new IllegalArgumentException("must be from 1 to " + LARGEST_PART_BYTES + ": partBytes=" + partBytes);
        }
        if (!keyPrefix.matches("[!-z|~]*")) {
            throw new IllegalArgumentException(
                    "must be printable ASCII without space and braces: keyPrefix=" + keyPrefix);
        }
        if ((clientCertificate == null) != (clientKey == null)) {
            throw new IllegalArgumentException("certificate and key go together: clientCertificate=" + clientCertificate
                    + " clientKey=" + clientKey);
        }
    }

    /**
     * Returns options for servers, with keys that begin with {@code kvcache:}, 100 ms a call, 2 s to connect, two connections a
     * server, and values of 1 MiB at most.
     *
     * @param address as {@link RemoteAddress#of} reads it
     * @return options
     * @throws IllegalArgumentException if the address is malformed
     */
    public static RemoteOptions of(String address) {
        return new RemoteOptions(
                RemoteAddress.of(address),
                KEY_PREFIX,
                DEADLINE_NANOS,
                CONNECT_NANOS,
                CONNECTIONS_PER_NODE,
                PART_BYTES,
                null,
                null,
                null,
                SystemNanoClock.INSTANCE,
                SystemEpochClock.INSTANCE);
    }

    /**
     * Returns a copy whose keys begin otherwise, for caches that share servers and nothing else.
     *
     * @param prefix printable ASCII without space and braces
     * @return a copy
     */
    public RemoteOptions withKeyPrefix(String prefix) {
        return new RemoteOptions(
                address,
                prefix,
                deadlineNanos,
                connectNanos,
                connectionsPerNode,
                partBytes,
                certificates,
                clientCertificate,
                clientKey,
                nanoClock,
                epochClock);
    }

    /**
     * Returns a copy with other deadlines.
     *
     * @param call positive
     * @param connect positive
     * @return a copy
     */
    public RemoteOptions withDeadlines(Duration call, Duration connect) {
        return new RemoteOptions(
                address,
                keyPrefix,
                call.toNanos(),
                connect.toNanos(),
                connectionsPerNode,
                partBytes,
                certificates,
                clientCertificate,
                clientKey,
                nanoClock,
                epochClock);
    }

    /**
     * Returns a copy with another number of connections to each server.
     *
     * @param connections positive
     * @return a copy
     */
    public RemoteOptions withConnectionsPerNode(int connections) {
        return new RemoteOptions(
                address,
                keyPrefix,
                deadlineNanos,
                connectNanos,
                connections,
                partBytes,
                certificates,
                clientCertificate,
                clientKey,
                nanoClock,
                epochClock);
    }

    /**
     * Returns a copy that splits blocks otherwise. What was stored with another size is found no more.
     *
     * @param bytes of the largest value
     * @return a copy
     */
    public RemoteOptions withPartBytes(int bytes) {
        return new RemoteOptions(
                address,
                keyPrefix,
                deadlineNanos,
                connectNanos,
                connectionsPerNode,
                bytes,
                certificates,
                clientCertificate,
                clientKey,
                nanoClock,
                epochClock);
    }

    /**
     * Returns a copy that trusts servers whose certificates were signed by others; for addresses with {@code rediss}.
     *
     * @param pem a file of certificates
     * @return a copy
     */
    public RemoteOptions withCertificates(Path pem) {
        return new RemoteOptions(
                address,
                keyPrefix,
                deadlineNanos,
                connectNanos,
                connectionsPerNode,
                partBytes,
                Objects.requireNonNull(pem, "pem"),
                clientCertificate,
                clientKey,
                nanoClock,
                epochClock);
    }

    /**
     * Returns a copy that shows a certificate to servers; for addresses with {@code rediss}.
     *
     * @param certificatePem a file with a certificate, or a chain
     * @param keyPem a file with its key, without a password
     * @return a copy
     */
    public RemoteOptions withClientCertificate(Path certificatePem, Path keyPem) {
        return new RemoteOptions(
                address,
                keyPrefix,
                deadlineNanos,
                connectNanos,
                connectionsPerNode,
                partBytes,
                certificates,
                certificatePem,
                keyPem,
                nanoClock,
                epochClock);
    }

    /**
     * Returns a copy with other clocks.
     *
     * @param nanos nanoseconds from any origin; they must be as long as those of the system, which is waited by
     * @param millis milliseconds since 1970
     * @return a copy
     */
    public RemoteOptions withClocks(NanoClock nanos, EpochClock millis) {
        return new RemoteOptions(
                address,
                keyPrefix,
                deadlineNanos,
                connectNanos,
                connectionsPerNode,
                partBytes,
                certificates,
                clientCertificate,
                clientKey,
                nanos,
                millis);
    }
}
