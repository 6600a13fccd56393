package io.kvcache.remote;

/**
 * The ID of an entry: {@code run-number}. A run is one cache and its one publisher, named by the millisecond in which
 * it began; within it, entries are numbered by events, or by blocks.
 *
 * <p>Thread-safe: immutable.
 *
 * @param run milliseconds since 1970
 * @param number 0 for an entry that tells of the run itself, or of contents as a whole
 */
record EntryId(long run, long number) {
    /**
     * Reads an ID.
     *
     * @throws IllegalArgumentException if it is malformed
     */
    static EntryId of(String text) {
        int dash = text.indexOf('-');
        if (dash < 0) {
            throw new IllegalArgumentException("ID is malformed: id=" + text);
        }
        return new EntryId(Long.parseLong(text.substring(0, dash)), Long.parseLong(text.substring(dash + 1)));
    }

    @Override
    public String toString() {
        return run + "-" + number;
    }
}
