package io.kvcache.bench;

import io.kvcache.KvLayout;
import io.kvcache.KvType;
import picocli.CommandLine.Option;

/**
 * The options that say what keys and values of a model take.
 *
 * <p>Not thread-safe.
 */
final class KvShapeOptions {
    @Option(names = "--layers", paramLabel = "N", required = true, description = "Layers with keys and values.")
    private int layers;

    @Option(names = "--kv-heads", paramLabel = "N", required = true, description = "K/V heads of a layer.")
    private int kvHeads;

    @Option(names = "--head-size", paramLabel = "N", required = true, description = "Elements of a head.")
    private int headSize;

    @Option(
            names = "--kv-type",
            paramLabel = "TYPE",
            defaultValue = "F16",
            description = "How keys and values are stored: ${COMPLETION-CANDIDATES} (default: ${DEFAULT-VALUE}).")
    private KvType kvType = KvType.F16;

    /** The layout of blocks as large as those of a trace. */
    KvLayout traceLayout() {
        return KvLayout.builder()
                .layers(layers)
                .kvHeads(kvHeads)
                .headSize(headSize)
                .type(kvType)
                .tokensPerBlock(Trace.TOKENS_PER_BLOCK)
                .build();
    }
}
