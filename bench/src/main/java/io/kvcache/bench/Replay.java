package io.kvcache.bench;

import io.kvcache.EvictionPolicy;
import io.kvcache.KvCache;
import io.kvcache.KvLayout;
import io.kvcache.KvType;
import io.kvcache.Namespace;
import io.kvcache.OpenOptions;
import io.kvcache.Sequence;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import java.util.function.IntConsumer;
import org.agrona.concurrent.CachedNanoClock;
import org.agrona.concurrent.NanoClock;

/**
 * Serves the prompts of a trace from a cache, one after the other, by the clock of the trace. A block of the trace is one token
 * here, in a block of its own with tiny keys and values: what counts is which blocks are there.
 *
 * <p>Not thread-safe.
 */
final class Replay {
    private static final KvLayout LAYOUT = KvLayout.builder()
            .layers(1)
            .kvHeads(1)
            .headSize(1)
            .type(KvType.F32)
            .tokensPerBlock(1)
            .build();

    private final Trace trace;

    Replay(Trace trace) {
        this.trace = trace;
    }

    /**
     * Replays the trace.
     *
     * @param progress is told how many requests are done
     */
    ReplayReport run(int maximumBlocks, EvictionPolicy.Factory policy, IntConsumer progress) {
        CachedNanoClock clock = new CachedNanoClock();
        long hitBlocks = 0;
        try (KvCache cache = newCache(maximumBlocks, policy, clock)) {
            Namespace namespace = cache.namespace("replay");
            int done = 0;
            for (TraceRequest request : trace.requests()) {
                clock.update(Math.max(clock.nanoTime(), TimeUnit.MILLISECONDS.toNanos(request.millis())));
                hitBlocks += serve(request, namespace);
                progress.accept(++done);
            }
        }
        return ReplayReport.of(trace, hitBlocks);
    }

    static KvCache newCache(int maximumBlocks, EvictionPolicy.Factory policy, NanoClock clock) {
        return KvCache.builder(LAYOUT)
                .maximumBytes(maximumBlocks * LAYOUT.blockBytes())
                .evictionPolicy(policy)
                .clock(clock)
                .seed(0)
                .build();
    }

    private static int serve(TraceRequest request, Namespace namespace) {
        int[] blocks = request.blocks();
        // A cache leaves a token to compute: one more, never committed, lets all blocks hit.
        int[] prompt = Arrays.copyOf(blocks, blocks.length + 1);
        try (Sequence sequence = namespace.open(prompt, OpenOptions.DEFAULT.withLabel(request.label()))) {
            int cached = sequence.cachedTokens();
            sequence.commit(blocks, cached, reserve(sequence, blocks.length - cached));
            return cached;
        }
    }

    /** Reserves what a prompt misses. If that is too much, as much as there is room for: the rest is computed, but not kept. */
    private static int reserve(Sequence sequence, int missing) {
        if (sequence.tryReserve(missing)) {
            return missing;
        }
        while (sequence.tryReserve(sequence.reserved() + 1)) {}
        return sequence.reserved();
    }
}
