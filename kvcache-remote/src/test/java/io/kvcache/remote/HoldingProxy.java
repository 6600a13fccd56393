package io.kvcache.remote;

import io.kvcache.localredis.LocalRedis;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;

/**
 * Stands before a server, and keeps back its replies until it has been asked as often as a test expects: who needs a reply to go on
 * asking waits for ever.
 *
 * <p>Thread-safe.
 */
final class HoldingProxy implements AutoCloseable {
    private static final int BUFFER_BYTES = 1 << 16;

    private final LocalRedis server;
    private final ServerSocket socket = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());

    // Guarded by this.
    private String awaited = "";
    private int missing;

    HoldingProxy(LocalRedis server) throws IOException {
        this.server = server;
        Thread.ofVirtual().start(this::accept);
    }

    String uri() {
        return "redis://127.0.0.1:" + socket.getLocalPort();
    }

    /** Keeps back replies from now on, until a command has been sent some times. */
    synchronized void holdUntil(String command, int times) {
        awaited = command + "\r\n";
        missing = times;
    }

    private void accept() {
        try {
            while (true) {
                Socket client = socket.accept();
                Socket link = new Socket(InetAddress.getLoopbackAddress(), server.port());
                Thread.ofVirtual().start(() -> copy(client, link, true));
                Thread.ofVirtual().start(() -> copy(link, client, false));
            }
        } catch (IOException e) {
            return; // closed
        }
    }

    private void copy(Socket from, Socket to, boolean questions) {
        try (from;
                to) {
            InputStream input = from.getInputStream();
            OutputStream output = to.getOutputStream();
            byte[] buffer = new byte[BUFFER_BYTES];
            StringBuilder tail = new StringBuilder();
            for (int bytes = input.read(buffer); bytes >= 0; bytes = input.read(buffer)) {
                if (questions) {
                    count(tail.append(new String(buffer, 0, bytes, StandardCharsets.ISO_8859_1)));
                } else {
                    awaitQuestions();
                }
                output.write(buffer, 0, bytes);
            }
        } catch (IOException | InterruptedException e) {
            return; // the other end has closed it
        }
    }

    /** Counts questions in a text, and cuts what was counted off. */
    private synchronized void count(StringBuilder text) {
        for (int at = text.indexOf(awaited); !awaited.isEmpty() && at >= 0; at = text.indexOf(awaited)) {
            text.delete(0, at + awaited.length());
            missing--;
        }
        notifyAll();
    }

    private synchronized void awaitQuestions() throws InterruptedException {
        while (missing > 0) {
            wait();
        }
    }

    @Override
    public void close() throws IOException {
        socket.close();
    }
}
