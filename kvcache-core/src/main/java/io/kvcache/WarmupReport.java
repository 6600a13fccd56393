package io.kvcache;

import java.util.List;

/**
 * What a warm-up has done.
 *
 * <p>Thread-safe: immutable.
 *
 * @param prompts [prompts] in the order in which they were given
 */
public record WarmupReport(List<WarmedPrompt> prompts) {
    /**
     * Makes a report.
     *
     * @param prompts is copied
     */
    public WarmupReport {
        prompts = List.copyOf(prompts);
    }

    /**
     * Returns how many prompts ended in a certain way.
     *
     * @param status how
     * @return prompts
     */
    public int count(WarmedPrompt.Status status) {
        return (int)
                prompts.stream().filter(prompt -> prompt.status() == status).count();
    }

    /**
     * Returns how many tokens were computed.
     *
     * @return tokens of all prompts
     */
    public long computedTokens() {
        return prompts.stream().mapToLong(WarmedPrompt::computedTokens).sum();
    }
}
