package io.kvcache.localredis;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/**
 * A redis-server of its own on 127.0.0.1, in a temporary directory, that writes nothing to disk.
 *
 * <pre>{@code
 * try (LocalRedis redis = LocalRedis.start("--maxmemory", "100mb")) {
 *     client.connect(redis.uri());
 *     redis.pause(); // whoever waits for a reply waits
 *     redis.resume();
 * }
 * }</pre>
 *
 * <p>The server ends with {@link #close}, and with this JVM, even if that is killed; a directory that was not closed
 * stays.
 *
 * <p>Thread-safe.
 */
public final class LocalRedis implements AutoCloseable {
    // Below the ports that a system gives to outgoing connections (Linux: from 32768), which could take the port of a
    // server that was killed. The bus of a cluster is above the port, and must be below them, too.
    private static final int LOWEST_PORT = 10_000;
    private static final int BUS_DISTANCE = 10_000;
    private static final int PORTS = 12_000;

    private static final int ATTEMPTS = 20;
    private static final long START_NANOS = TimeUnit.SECONDS.toNanos(10);
    private static final long POLL_MILLIS = 5;
    private static final int REPLY_MILLIS = 10_000;
    private static final String READY = "Ready to accept connections";
    private static final String PORT_IS_TAKEN = "Address already in use";

    private final Path directory;
    private final int port;
    private final List<String> command;
    private ServerProcess process;
    private boolean closed;

    private LocalRedis(Path directory, int port, List<String> command, ServerProcess process) {
        this.directory = directory;
        this.port = port;
        this.command = command;
        this.process = process;
    }

    /**
     * Starts a server, and waits until it accepts connections, 10 seconds at most.
     *
     * @param arguments of its command line beyond those of every server here, for example {@code "--requirepass",
     *     "secret"}
     * @return the server, to be closed
     * @throws IllegalStateException if there is no redis-server, or it does not start, with what it printed
     */
    public static LocalRedis start(String... arguments) {
        try {
            Path directory = Files.createTempDirectory("kvcache-redis");
            try {
                return start(directory, arguments);
            } catch (Throwable e) {
                delete(directory);
                throw e;
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static LocalRedis start(Path directory, String... arguments) throws IOException {
        for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
            int port = freePort();
            List<String> command = command(directory, port, arguments);
            ServerProcess process = launch(directory, command);
            if (becomesReady(process)) {
                return new LocalRedis(directory, port, command, process);
            }
            process.kill(); // its port was taken meanwhile
        }
        throw new IllegalStateException("no port was free: attempts=" + ATTEMPTS);
    }

    /**
     * A port of 127.0.0.1 that nobody has at the moment, nor the one {@code 10000} above it: for example for {@code
     * --tls-port}.
     *
     * @return the port
     */
    public static int freePort() {
        while (true) {
            int port = LOWEST_PORT + ThreadLocalRandom.current().nextInt(PORTS);
            if (isFree(port) && isFree(port + BUS_DISTANCE)) {
                return port;
            }
        }
    }

    private static boolean isFree(int port) {
        try (ServerSocket socket = new ServerSocket(port, 1, InetAddress.getLoopbackAddress())) {
            return socket.isBound();
        } catch (IOException e) {
            return false;
        }
    }

    private static List<String> command(Path directory, int port, String... arguments) {
        List<String> command = new ArrayList<>(List.of("redis-server", "--bind", "127.0.0.1"));
        command.addAll(List.of("--port", String.valueOf(port), "--protected-mode", "no"));
        command.addAll(List.of("--dir", directory.toString(), "--save", "", "--appendonly", "no"));
        command.addAll(List.of(arguments));
        return command;
    }

    private static ServerProcess launch(Path directory, List<String> command) {
        try {
            return ServerProcess.start(command, directory.resolve("log"));
        } catch (IOException e) {
            throw new IllegalStateException(
                    "redis-server is not on the PATH: install it (Debian, Ubuntu: apt-get install redis-server)", e);
        }
    }

    /**
     * Waits for a server. It is asked for its log rather than for a reply: whoever took its port might reply, too.
     *
     * @return false if somebody has its port
     */
    private static boolean becomesReady(ServerProcess process) {
        long start = System.nanoTime();
        while (!process.log().contains(READY)) {
            boolean ended = !process.isAlive();
            String log = process.log();
            if (ended && log.contains(PORT_IS_TAKEN)) {
                return false;
            }
            if (ended || System.nanoTime() - start > START_NANOS) {
                process.kill();
                throw new IllegalStateException("redis-server did not start: ended=" + ended + " log=" + log);
            }
            sleep(process);
        }
        return true;
    }

    private static void sleep(ServerProcess process) {
        try {
            Thread.sleep(POLL_MILLIS);
        } catch (InterruptedException e) {
            process.kill();
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted while redis-server starts", e);
        }
    }

    /**
     * Where it is.
     *
     * @return for example {@code redis://127.0.0.1:12345}
     */
    public String uri() {
        return "redis://127.0.0.1:" + port;
    }

    /**
     * Its port, which stays.
     *
     * @return the port
     */
    public int port() {
        return port;
    }

    /**
     * Sends a command, on a connection of its own that does not authenticate, and waits 10 seconds at most.
     *
     * @param words the command, for example {@code "CONFIG", "SET", "maxmemory", "1mb"}
     * @return the reply: elements of an array a line each, {@code (nil)} for none
     * @throws IllegalStateException with the text of the error that the server replied
     * @throws UncheckedIOException if it does not reply
     */
    public String command(String... words) {
        try (RespConnection connection = new RespConnection(port, REPLY_MILLIS)) {
            return connection.call(words);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /**
     * What it has printed since it was started.
     *
     * @return lines
     */
    public synchronized String log() {
        return process.log();
    }

    /** Stops it where it is, as a machine does that hangs: connections stay, and are made, and nobody replies. */
    public synchronized void pause() {
        process.signal("STOP");
    }

    /** Lets it go on. */
    public synchronized void resume() {
        process.signal("CONT");
    }

    /** Ends it without a farewell; what it held is lost. Nothing happens if it has ended. */
    public synchronized void kill() {
        process.kill();
    }

    /**
     * Starts it again, empty, on the same port and with the same arguments.
     *
     * @throws IllegalStateException if it has not been killed, or was closed, or does not start, with what it printed
     */
    public synchronized void restart() {
        if (closed) {
            throw new IllegalStateException("server was closed: port=" + port);
        }
        if (process.isAlive()) {
            throw new IllegalStateException("server is running: port=" + port);
        }
        process = launch(directory, command);
        if (!becomesReady(process)) {
            throw new IllegalStateException("port was taken meanwhile: port=" + port);
        }
    }

    /** Ends it, and deletes its directory. */
    @Override
    public synchronized void close() {
        closed = true;
        process.kill();
        try {
            delete(directory);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void delete(Path directory) throws IOException {
        if (Files.exists(directory)) {
            try (Stream<Path> paths = Files.walk(directory)) {
                for (Path path : paths.sorted(Comparator.reverseOrder()).toList()) {
                    Files.delete(path);
                }
            }
        }
    }
}
