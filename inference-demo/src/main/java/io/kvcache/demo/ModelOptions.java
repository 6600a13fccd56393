package io.kvcache.demo;

import io.kvcache.KvLayout;
import io.kvcache.KvType;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/**
 * The options of every command that runs a model: which one, how its keys and values are kept, and how much it computes
 * at once.
 *
 * <p>Not thread-safe.
 */
final class ModelOptions {
    @Option(
            names = "--model",
            paramLabel = "F.gguf",
            description = "Llama-type model (default: the small shipped one).")
    private @Nullable Path model;

    @Option(
            names = "--kv-type",
            paramLabel = "TYPE",
            defaultValue = "F16",
            description = "How keys and values are stored: ${COMPLETION-CANDIDATES} (default: ${DEFAULT-VALUE}).")
    private KvType kvType = KvType.F16;

    @Option(
            names = "--tokens-per-block",
            paramLabel = "N",
            defaultValue = "16",
            description = "Tokens that a block of the cache holds (default: ${DEFAULT-VALUE}).")
    private int tokensPerBlock;

    @Option(
            names = "--prefill-chunk",
            paramLabel = "N",
            defaultValue = "128",
            description = "Tokens of the given text computed at once (default: ${DEFAULT-VALUE}).")
    private int prefillChunk;

    /** Checks the options and opens the model's file. */
    GgufFile open() {
        if (prefillChunk < 1) {
            throw new IllegalArgumentException("must be positive: prefillChunk=" + prefillChunk);
        }
        return model == null ? ShippedModel.open() : GgufFile.open(model);
    }

    /** The layout of a cache for the model. */
    KvLayout layout(LlamaShape shape) {
        return shape.kvLayout(kvType, tokensPerBlock);
    }

    /**
     * Loads the weights.
     *
     * @param layout of the cache
     * @param longest tokens of the longest text to come, at least 1
     */
    Llama load(GgufFile file, KvLayout layout, int longest) {
        return load(file, layout, longest, 1);
    }

    /**
     * Loads the weights.
     *
     * @param layout of the cache
     * @param longest tokens of the longest text to come, at least 1
     * @param samples that run at a time: each has its token in a step
     */
    Llama load(GgufFile file, KvLayout layout, int longest, int samples) {
        int contextTokens = LlamaShape.of(file.metadata()).contextTokens();
        return new Llama(file, layout, Math.max(samples, Math.min(prefillChunk, Math.min(longest, contextTokens))));
    }
}
