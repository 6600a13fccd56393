package io.kvcache.bench;

import java.util.List;

/**
 * Requests that were served somewhere: when each came, and which blocks of {@value #TOKENS_PER_BLOCK} tokens its prompt had. A
 * block's number stands for its tokens and all before them.
 *
 * <p>Thread-safe: immutable.
 *
 * @param requests in order of arrival
 * @param distinctBlocks full blocks that occur, each counted once
 */
record Trace(List<TraceRequest> requests, int distinctBlocks) {
    static final int TOKENS_PER_BLOCK = 512;

    Trace {
        requests = List.copyOf(requests);
    }

    /** Full blocks of all prompts. */
    long blockReferences() {
        return requests.stream().mapToLong(request -> request.blocks().length).sum();
    }

    /** Tokens of all prompts, those behind the last full block included. */
    long inputTokens() {
        return requests.stream().mapToLong(TraceRequest::inputTokens).sum();
    }
}
