package io.kvcache.remote;

import java.io.IOException;

/** A value that came from a server is not what a store has put there under its key. */
final class DamagedPartException extends IOException {
    private static final long serialVersionUID = 1;

    private final boolean misplaced;

    /**
     * Makes it.
     *
     * @param misplaced whether the value seems to be the reply to another question
     */
    DamagedPartException(String message, boolean misplaced) {
        super(message);
        this.misplaced = misplaced;
    }

    /** Whether the value seems to be the reply to another question. */
    boolean isMisplaced() {
        return misplaced;
    }
}
