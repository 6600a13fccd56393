package io.kvcache.bench;

import java.util.List;

/**
 * The blocks of a trace as a cache tells them apart: by their numbers and those of all blocks before them. Where a block's number stands
 * for all before it, as it should, these are as many as the trace has numbers.
 *
 * <p>Thread-safe: immutable.
 */
final class TracePaths {
    private final int[][] numbers; // [requests][full blocks]
    private final int distinct;

    TracePaths(Trace trace) {
        BlockNumbers known = new BlockNumbers();
        List<TraceRequest> requests = trace.requests();
        numbers = new int[requests.size()][];
        for (int request = 0; request < numbers.length; request++) {
            numbers[request] = number(requests.get(request).blocks(), known);
        }
        distinct = known.size();
    }

    private static int[] number(int[] blocks, BlockNumbers known) {
        int[] path = new int[blocks.length];
        long parent = 0; // of a path's first block; those of others start at 1
        for (int depth = 0; depth < blocks.length; depth++) {
            path[depth] = known.of(parent << 32 | blocks[depth]);
            parent = path[depth] + 1L;
        }
        return path;
    }

    int requests() {
        return numbers.length;
    }

    /** [full blocks] of a request: numbers from 0, dense in the trace. Not a copy. */
    int[] of(int request) {
        return numbers[request];
    }

    /** How many different ones there are: the room that a cache needs to keep everything. */
    int distinct() {
        return distinct;
    }
}
