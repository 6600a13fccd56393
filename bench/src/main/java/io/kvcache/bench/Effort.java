package io.kvcache.bench;

/**
 * How long a study takes.
 *
 * <p>Thread-safe: immutable.
 */
enum Effort {
    /** As short as can be, at tiny sizes: only to see that it runs. */
    SMOKE,

    /** All studies within five minutes: orders of magnitude. */
    QUICK,

    /** What figures are quoted from. */
    FULL
}
