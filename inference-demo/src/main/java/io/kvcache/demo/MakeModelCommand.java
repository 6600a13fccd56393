package io.kvcache.demo;

import io.kvcache.KvType;
import java.nio.file.Path;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/**
 * Writes a model of random weights, to measure with.
 *
 * <p>Not thread-safe.
 */
@Command(
        name = "make-model",
        mixinStandardHelpOptions = true,
        description = {
            "Write a Llama-type model of random F16 weights, in a size of choice, to measure time and memory with.",
            "Equal sizes and seeds give equal files. What the model says is gibberish, and may end early unless run is"
                    + " told to --ignore-eos."
        })
final class MakeModelCommand implements Callable<Integer> {
    /** Bytes a token do not depend on it. */
    private static final int TOKENS_PER_BLOCK = 16;

    @Spec
    private @Nullable CommandSpec spec;

    @Mixin
    private ShapeOptions shapeOptions = new ShapeOptions();

    @Option(
            names = "--seed",
            paramLabel = "S",
            defaultValue = "0",
            description = "Of the weights (default: ${DEFAULT-VALUE}).")
    private long seed;

    @Option(names = "--out", paramLabel = "F.gguf", required = true, description = "The file to write.")
    private @Nullable Path out;

    @Option(names = "--force", description = "Overwrite the file if it exists.")
    private boolean force;

    @Option(names = "--json", description = "Print one JSON object on one line in place of text.")
    private boolean json;

    @Override
    public Integer call() {
        Path file = Objects.requireNonNull(out);
        LlamaShape shape = shapeOptions.shape();
        RandomModel model = new RandomModel(shape, shapeOptions.vocabulary(), seed);
        long kvBytesPerToken = shape.kvLayout(KvType.F16, TOKENS_PER_BLOCK).bytesPerToken();
        WholeFile.Content content = path -> model.writer().write(path);
        long leastBytes = model.weightBytes();
        long fileBytes =
                force ? WholeFile.replace(file, leastBytes, content) : WholeFile.create(file, leastBytes, content);
        MadeModel made = new MadeModel(file.toString(), model.parameters(), fileBytes, kvBytesPerToken);
        Objects.requireNonNull(spec).commandLine().getOut().println(json ? JsonLine.of(made) : summary(made));
        return 0;
    }

    private static String summary(MadeModel made) {
        return String.format(
                "%s: %d parameters, %s, %d bytes of K/V a token (F16)",
                made.path(), made.parameters(), ByteSize.text(made.fileBytes()), made.kvBytesPerToken());
    }
}
