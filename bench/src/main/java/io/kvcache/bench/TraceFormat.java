package io.kvcache.bench;

/** How a request is written in a line of a trace. Not thread-safe. */
interface TraceFormat {
    /**
     * Reads a line.
     *
     * @throws IllegalArgumentException saying what is wrong with it
     */
    void parse(String line, TraceLine into);

    /** Shortens what an error message quotes. */
    static String quote(String text) {
        return text.length() <= 40 ? text : text.substring(0, 40) + "...";
    }
}
