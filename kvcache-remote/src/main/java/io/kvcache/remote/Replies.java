package io.kvcache.remote;

import io.lettuce.core.RedisCommandExecutionException;
import java.io.IOException;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.agrona.concurrent.NanoClock;
import org.jspecify.annotations.Nullable;

/**
 * Waits for what threads of connections bring.
 *
 * <p>Thread-safe: has no state.
 */
final class Replies {
    private Replies() {}

    /**
     * Waits until something is there.
     *
     * @param what is waited for, for messages
     * @param deadline of the clock
     * @throws RefusedException if a server has answered by an error
     * @throws IOException if it does not come, or not in time, or the thread is interrupted, which it then still is
     */
    static <T> T await(Future<T> future, String what, NanoClock clock, long deadline) throws IOException {
        try {
            return future.get(Math.max(0, deadline - clock.nanoTime()), TimeUnit.NANOSECONDS);
        } catch (TimeoutException e) {
            throw new IOException("no " + what + " in time");
        } catch (CancellationException e) {
            throw new IOException("call was cancelled");
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted while waiting for a " + what);
        } catch (ExecutionException e) {
            if (e.getCause() instanceof RedisCommandExecutionException refusal) {
                throw new RefusedException(text(refusal), "");
            }
            throw new IOException(text(e.getCause()), e.getCause());
        }
    }

    /** What an error is about: its own message, and that of its origin. */
    static String text(@Nullable Throwable error) {
        if (error == null) {
            return "unknown";
        }
        Throwable origin = error;
        while (origin.getCause() != null) {
            origin = origin.getCause();
        }
        String own = describe(error);
        return own.contains(describe(origin)) ? own : own + ": " + describe(origin);
    }

    private static String describe(Throwable error) {
        return error.getMessage() == null ? error.getClass().getSimpleName() : error.getMessage();
    }
}
