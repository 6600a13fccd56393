package io.kvcache.tiers;

import java.io.IOException;
import java.io.Serial;

/**
 * Says that what was read is not what was written: a file was damaged, cut short, or is none of ours. The device
 * itself had no complaint.
 *
 * <p>Thread-safe as far as exceptions are.
 */
final class DamagedFileException extends IOException {
    @Serial
    private static final long serialVersionUID = 1;

    DamagedFileException(String message) {
        super(message);
    }
}
