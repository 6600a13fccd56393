package io.kvcache.remote;

import io.kvcache.localredis.LocalRedis;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/** Stands between a store and a server, and does what networks do. */
final class FaultyProxy implements AutoCloseable {
    /** What becomes of connections and of the bytes on them. */
    enum Fault {
        /** All is well. */
        NONE,
        /** Nobody listens, and connections are gone. */
        REFUSE,
        /** Connections are accepted, and reset with the first bytes. */
        RESET,
        /** Nothing is passed on, and nothing is closed. */
        STALL,
        /** A connection ends in the midst of what it passes on. */
        CUT,
        /** Bytes are changed, left out and repeated. */
        GARBLE
    }

    private static final int BUFFER_BYTES = 8192;

    private final int server;
    private final int port;
    private final Random random;
    private final Set<Socket> sockets = ConcurrentHashMap.newKeySet();
    private final ReentrantLock lock = new ReentrantLock();
    private final Condition changed = lock.newCondition();
    private @Nullable ServerSocket listening; // guarded by lock
    private Thread acceptor; // guarded by lock
    private Fault fault = Fault.NONE; // guarded by lock
    private boolean closed; // guarded by lock

    /** Passes on to a port of the loopback interface. */
    FaultyProxy(int server, long seed) throws IOException {
        this.server = server;
        this.random = new Random(seed);
        this.port = LocalRedis.freePort(); // which no outgoing connection takes while nobody listens
        ServerSocket first = new ServerSocket(port, 0, InetAddress.getLoopbackAddress());
        this.listening = first;
        this.acceptor = listen(first);
    }

    String uri() {
        return "redis://127.0.0.1:" + port;
    }

    /** Begins a fault, or ends the one before. */
    void set(Fault next) throws IOException, InterruptedException {
        lock.lock();
        try {
            fault = next;
            changed.signalAll();
            if (next == Fault.REFUSE && listening != null) {
                listening.close();
                listening = null;
                acceptor.join(); // only then is the port free
            }
            if (next != Fault.REFUSE && listening == null) {
                ServerSocket again = new ServerSocket();
                again.setReuseAddress(true);
                again.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), port));
                listening = again;
                acceptor = listen(again);
            }
        } finally {
            lock.unlock();
        }
        if (next == Fault.REFUSE) {
            sockets.forEach(FaultyProxy::reset);
        }
    }

    private Thread listen(ServerSocket from) {
        return Thread.ofVirtual().start(() -> {
            while (!from.isClosed()) {
                try {
                    accept(from.accept());
                } catch (IOException e) { // closed, or the other side has given up
                    sockets.removeIf(Socket::isClosed);
                }
            }
        });
    }

    private void accept(Socket client) throws IOException {
        Socket upstream = new Socket(InetAddress.getLoopbackAddress(), server);
        sockets.add(client);
        sockets.add(upstream);
        Thread.ofVirtual().start(() -> pass(client, upstream));
        Thread.ofVirtual().start(() -> pass(upstream, client));
    }

    private void pass(Socket from, Socket to) {
        byte[] buffer = new byte[BUFFER_BYTES];
        try (from;
                to) {
            InputStream in = from.getInputStream();
            OutputStream out = to.getOutputStream();
            for (int read = in.read(buffer); read >= 0; read = in.read(buffer)) {
                Fault now = awaitPassage();
                switch (now) {
                    case RESET, REFUSE -> {
                        reset(from);
                        reset(to);
                    }
                    case CUT -> {
                        boolean ends = chance(4);
                        out.write(buffer, 0, ends ? below(read) : read);
                        if (ends) {
                            return;
                        }
                    }
                    case GARBLE -> garble(buffer, read, out);
                    default -> out.write(buffer, 0, read);
                }
            }
        } catch (IOException e) { // the other side has closed it
            reset(from);
            reset(to);
        } finally {
            sockets.remove(from);
            sockets.remove(to);
        }
    }

    private void garble(byte[] buffer, int read, OutputStream out) throws IOException {
        int from = below(read);
        switch (below(4)) {
            case 0 -> buffer[from] ^= (byte) (1 << below(8));
            case 1 -> { // left out
                out.write(buffer, 0, from);
                int to = Math.min(read, from + 1 + below(16));
                out.write(buffer, to, read - to);
                return;
            }
            case 2 -> { // repeated
                out.write(buffer, 0, from);
                out.write(buffer, Math.max(0, from - 16), Math.min(16, from));
                out.write(buffer, from, read - from);
                return;
            }
            default -> {}
        }
        out.write(buffer, 0, read);
    }

    /** What to do with what was read, once it may be passed on. */
    private Fault awaitPassage() {
        lock.lock();
        try {
            while (fault == Fault.STALL && !closed) {
                changed.awaitUninterruptibly();
            }
            return fault;
        } finally {
            lock.unlock();
        }
    }

    private boolean chance(int in) {
        return below(in) == 0;
    }

    private int below(int bound) {
        synchronized (random) {
            return random.nextInt(bound);
        }
    }

    private static void reset(Socket socket) {
        try (socket) {
            socket.setSoLinger(true, 0);
        } catch (IOException e) { // is closed already
            return;
        }
    }

    @Override
    public void close() {
        lock.lock();
        try {
            closed = true;
            changed.signalAll();
            if (listening != null) {
                listening.close();
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } finally {
            lock.unlock();
        }
        sockets.forEach(FaultyProxy::reset);
    }
}
