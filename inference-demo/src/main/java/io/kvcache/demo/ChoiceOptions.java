package io.kvcache.demo;

import picocli.CommandLine.Option;

/**
 * The options of every command that generates: how tokens are chosen.
 *
 * <p>Not thread-safe.
 */
final class ChoiceOptions {
    @Option(
            names = "--temperature",
            paramLabel = "T",
            defaultValue = "0",
            description =
                    "0 takes the best token always; 0.7 with --top-k 40 reads better (default: ${DEFAULT-VALUE}).")
    private double temperature;

    @Option(
            names = "--top-k",
            paramLabel = "K",
            defaultValue = "0",
            description = "Choose among the K best tokens; 0: among all (default: ${DEFAULT-VALUE}).")
    private int topK;

    @Option(
            names = "--top-p",
            paramLabel = "P",
            defaultValue = "1",
            description = "Choose among the best tokens that reach P together (default: ${DEFAULT-VALUE}).")
    private double topP;

    @Option(
            names = "--seed",
            paramLabel = "S",
            defaultValue = "0",
            description = "Of the choice (default: ${DEFAULT-VALUE}).")
    private long seed;

    /** Checks the options and puts them together. */
    SamplingOptions sampling() {
        return new SamplingOptions(temperature, topK, topP, seed);
    }
}
