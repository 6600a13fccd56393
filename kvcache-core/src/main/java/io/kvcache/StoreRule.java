package io.kvcache;

/** Which published blocks a tier gets a copy of. */
public enum StoreRule {
    /** Every one. */
    ALL,
    /** Those that a second sequence has found: what is asked for once is mostly never asked for again. */
    SECOND_USE,
    /** Those that {@link Sequence#retain} or a warm-up has been told to keep. */
    RETAINED,
    /** None: the tier is only read, like a snapshot. */
    NONE
}
