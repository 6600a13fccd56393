package io.kvcache;

/**
 * Computes the keys and values of a prompt, for {@link Namespace#warm}.
 *
 * <p>Called by several threads at a time, each with a sequence of its own, if the warm-up is parallel.
 */
@FunctionalInterface
public interface Prefill {
    /**
     * Writes and commits the tokens of a prompt from {@code sequence.length()} on; their slots are reserved.
     *
     * @param sequence starts with what is cached of the prompt; it is closed by the caller
     * @param prompt [tokens] all of them are to be committed
     * @throws Exception if that fails: it is reported, and other prompts go on
     */
    void prefill(Sequence sequence, int[] prompt) throws Exception;
}
