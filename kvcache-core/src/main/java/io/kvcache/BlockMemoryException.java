package io.kvcache;

import java.io.Serial;

/**
 * The operating system refused native memory that {@code maximumBytes} would have allowed. The call that needed it
 * changed nothing and the cache stays usable with the memory it has.
 *
 * <p>Thread-safe: immutable.
 */
public final class BlockMemoryException extends RuntimeException {
    @Serial
    private static final long serialVersionUID = 1L;

    BlockMemoryException(String message, Throwable cause) {
        super(message, cause);
    }
}
