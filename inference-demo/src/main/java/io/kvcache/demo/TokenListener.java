package io.kvcache.demo;

/**
 * Gets the tokens of a request as they are chosen, in the thread of the loop. An exception ends the request, and no other one.
 *
 * <p>Called by one thread at a time.
 */
@FunctionalInterface
public interface TokenListener {
    /** Does nothing. */
    TokenListener NONE = (sample, token) -> {};

    /**
     * Takes a token.
     *
     * @param sample which of the request's samples it continues, from 0
     * @param token its id
     */
    void token(int sample, int token);
}
