package io.kvcache.localredis;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.StringJoiner;

/**
 * A connection that speaks RESP 2 with texts, a command at a time.
 *
 * <p>Not thread-safe.
 */
final class RespConnection implements AutoCloseable {
    private final Socket socket = new Socket();
    private final InputStream input;

    /**
     * Connects to a port of the loopback interface.
     *
     * @param millis how long to wait for the connection, and for a reply
     */
    RespConnection(int port, int millis) throws IOException {
        try {
            socket.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), millis);
            socket.setSoTimeout(millis);
            input = new BufferedInputStream(socket.getInputStream());
        } catch (Throwable e) {
            socket.close();
            throw e;
        }
    }

    /**
     * Sends a command.
     *
     * @return the reply: elements of an array a line each, {@code (nil)} for none
     * @throws IllegalStateException with the text of the error that the server replied
     */
    String call(String... words) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        bytes.writeBytes(ascii("*" + words.length + "\r\n"));
        for (String word : words) {
            byte[] text = word.getBytes(StandardCharsets.UTF_8);
            bytes.writeBytes(ascii("$" + text.length + "\r\n"));
            bytes.writeBytes(text);
            bytes.writeBytes(ascii("\r\n"));
        }
        socket.getOutputStream().write(bytes.toByteArray());
        return reply();
    }

    private static byte[] ascii(String text) {
        return text.getBytes(StandardCharsets.US_ASCII);
    }

    private String reply() throws IOException {
        String line = line();
        String rest = line.substring(1);
        return switch (line.charAt(0)) {
            case '+', ':' -> rest;
            case '-' -> throw new IllegalStateException(rest);
            case '$' -> bulk(Integer.parseInt(rest));
            case '*' -> array(Integer.parseInt(rest));
            default -> throw new IOException("not a reply: line=" + line);
        };
    }

    private String bulk(int length) throws IOException {
        if (length < 0) {
            return "(nil)";
        }
        byte[] bytes = input.readNBytes(length);
        line();
        return new String(bytes, StandardCharsets.UTF_8);
    }

    private String array(int length) throws IOException {
        StringJoiner lines = new StringJoiner("\n");
        for (int i = 0; i < length; i++) {
            lines.add(reply());
        }
        return lines.toString();
    }

    private String line() throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        for (int next = input.read(); next != '\n'; next = input.read()) {
            if (next < 0) {
                throw new EOFException("connection was closed within a reply: port=" + socket.getPort());
            }
            bytes.write(next);
        }
        return bytes.toString(StandardCharsets.UTF_8).stripTrailing();
    }

    @Override
    public void close() throws IOException {
        socket.close();
    }
}
