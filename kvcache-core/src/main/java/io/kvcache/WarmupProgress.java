package io.kvcache;

/**
 * How far a warm-up has come.
 *
 * <p>Thread-safe: immutable.
 *
 * @param done prompts that are done, failed ones included
 * @param total prompts in all
 * @param last the one that was done last
 */
public record WarmupProgress(int done, int total, WarmedPrompt last) {}
