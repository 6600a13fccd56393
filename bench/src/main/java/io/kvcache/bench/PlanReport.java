package io.kvcache.bench;

import java.util.List;

/**
 * How much memory a trace of requests deserves.
 *
 * <p>Thread-safe: immutable.
 *
 * @param requests how many
 * @param blockReferences full blocks of all prompts
 * @param distinctBlocks the same, each counted once
 * @param bytesPerToken keys and values of one token in all layers
 * @param blockBytes a block of the trace
 * @param distinctBytes all distinct blocks: with that much memory, nothing has to go
 * @param reachableBlocks blocks that hit then
 * @param reachableTokenHitRatio the same as a share of all input tokens
 * @param sizes what each policy hits with some sizes of memory, smallest size first
 * @param needs what memory each policy needs for parts of what can be reached; empty if that is nothing
 */
record PlanReport(
        int requests,
        long blockReferences,
        int distinctBlocks,
        long bytesPerToken,
        long blockBytes,
        long distinctBytes,
        long reachableBlocks,
        double reachableTokenHitRatio,
        List<Size> sizes,
        List<Need> needs) {
    PlanReport {
        sizes = List.copyOf(sizes);
        needs = List.copyOf(needs);
    }

    /**
     * What a policy hits with some memory.
     *
     * @param memoryBytes the memory
     * @param blocks that it holds; not more than are distinct
     * @param policy what decides who goes
     * @param hitBlocks blocks that hit
     * @param tokenHitRatio the same as a share of all input tokens
     */
    record Size(long memoryBytes, int blocks, String policy, long hitBlocks, double tokenHitRatio) {}

    /**
     * What memory a policy needs.
     *
     * @param percentOfReachable the part of the blocks that can hit
     * @param policy what decides who goes
     * @param memoryBytes memory that hits as much, while a size at most 2%, or one block, smaller does not
     * @param blocks that it holds
     * @param hitBlocks blocks that hit with it
     */
    record Need(int percentOfReachable, String policy, long memoryBytes, int blocks, long hitBlocks) {}
}
