package io.kvcache.bench;

/**
 * What a cache did for a trace.
 *
 * <p>Thread-safe: immutable.
 *
 * @param requests how many
 * @param blockReferences full blocks of all prompts
 * @param distinctBlocks the same, each counted once
 * @param hitBlocks blocks that were cached when a prompt asked for them
 * @param tokenHitRatio share of all input tokens that need not be computed
 */
record ReplayReport(int requests, long blockReferences, int distinctBlocks, long hitBlocks, double tokenHitRatio) {
    static ReplayReport of(Trace trace, long hitBlocks) {
        double hitTokens = (double) hitBlocks * Trace.TOKENS_PER_BLOCK;
        return new ReplayReport(
                trace.requests().size(),
                trace.blockReferences(),
                trace.distinctBlocks(),
                hitBlocks,
                hitTokens / Math.max(1, trace.inputTokens()));
    }
}
