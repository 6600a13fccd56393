package io.kvcache.bench;

/**
 * What is timed.
 *
 * <p>Thread-safe: immutable.
 */
enum TimedOperation {
    /** A prompt is looked up, and a sequence opened. */
    OPEN,

    /** Room for the rest of a prompt, or for one token. */
    RESERVE,

    /** Up to 64 tokens of a prompt, or one token, are made final and shareable. */
    COMMIT,

    /** From before a sequence is opened until after it is closed. */
    REQUEST
}
