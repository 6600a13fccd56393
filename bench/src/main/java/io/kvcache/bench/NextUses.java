package io.kvcache.bench;

import java.util.Arrays;

/**
 * Which request of a trace is the next to ask for a block.
 *
 * <p>Thread-safe: immutable.
 */
final class NextUses {
    /** Later than all requests. */
    static final int NEVER = Integer.MAX_VALUE;

    private final int[][] next; // [requests][full blocks]

    NextUses(Trace trace) {
        TracePaths paths = new TracePaths(trace);
        next = new int[paths.requests()][];
        int[] coming = new int[paths.distinct()]; // [distinct blocks] the next request, seen from the one looked at
        Arrays.fill(coming, NEVER);
        for (int request = next.length - 1; request >= 0; request--) {
            int[] path = paths.of(request);
            next[request] = new int[path.length];
            for (int depth = 0; depth < path.length; depth++) {
                next[request][depth] = coming[path[depth]];
                coming[path[depth]] = request;
            }
        }
    }

    /**
     * The next request behind {@code request} that asks for the same block, or {@link #NEVER}.
     *
     * @param depth blocks before it in the prompt of {@code request}
     */
    int after(int request, int depth) {
        return next[request][depth];
    }
}
