package io.kvcache.localredis;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * A process that ends with this JVM, even if that is killed.
 *
 * <p>Not thread-safe.
 */
final class ServerProcess {
    // A shell waits for the end of its input, which comes when this JVM is gone, in whatever way.
    private static final String GUARD = "read -r line; kill -KILL \"$0\"";

    private final Process process;
    private final Process guard;
    private final Path log;

    private ServerProcess(Process process, Process guard, Path log) {
        this.process = process;
        this.guard = guard;
        this.log = log;
    }

    /**
     * Starts it.
     *
     * @param command of which the first word is looked up on the PATH
     * @param log where what it prints goes, in place of what is there
     * @throws IOException if there is no such program
     */
    static ServerProcess start(List<String> command, Path log) throws IOException {
        Process process = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectOutput(log.toFile())
                .start();
        try {
            return new ServerProcess(process, shell(GUARD, process.pid()), log);
        } catch (Throwable e) {
            process.destroyForcibly();
            throw e;
        }
    }

    private static Process shell(String script, long pid) throws IOException {
        return new ProcessBuilder("sh", "-c", script, String.valueOf(pid))
                .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                .redirectError(ProcessBuilder.Redirect.DISCARD)
                .start();
    }

    boolean isAlive() {
        return process.isAlive();
    }

    /** What it has printed. */
    String log() {
        try {
            return Files.readString(log);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Sends a signal, for example STOP. */
    void signal(String name) {
        try {
            int exitCode = waitFor(shell("kill -" + name + " \"$0\"", process.pid()));
            if (exitCode != 0) {
                throw new IllegalStateException("signal was not sent: name=" + name + " pid=" + process.pid());
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Ends it, and waits for the end. */
    void kill() {
        waitFor(process.destroyForcibly());
        waitFor(guard.destroyForcibly()); // last, so that there is no moment without
    }

    private static int waitFor(Process process) {
        try {
            return process.waitFor();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted while waiting for a process: pid=" + process.pid(), e);
        }
    }
}
