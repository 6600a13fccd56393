package io.kvcache.demo;

/**
 * What became of a line of a file of requests; its components are the fields of the command line's JSON.
 *
 * <p>Implementations are immutable, hence thread-safe.
 */
sealed interface BatchOutcome permits BatchResult, BatchFailure {
    /** The number of the line, from 1. */
    int line();

    /** For people to read, without a line break at the end. */
    String text();
}
