package io.kvcache.tiers;

import java.io.IOException;
import java.io.Serial;

/**
 * Says that a file was written by a later version of this program, and is as it should be as far as this one can tell.
 *
 * <p>Thread-safe as far as exceptions are.
 */
final class NewerVersionException extends IOException {
    @Serial
    private static final long serialVersionUID = 1;

    NewerVersionException(String message) {
        super(message);
    }
}
