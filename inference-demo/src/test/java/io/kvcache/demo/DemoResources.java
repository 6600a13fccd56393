package io.kvcache.demo;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.URISyntaxException;
import java.net.URL;
import java.nio.file.Path;
import java.util.Objects;
import java.util.stream.StreamSupport;

/**
 * The models and reference values that tests share.
 *
 * <p>Stateless, hence thread-safe.
 */
final class DemoResources {
    /** The model that was trained for this project. */
    static final String TRAINED_MODEL = "kjv-tiny-f16.gguf";

    /** A model of random weights. */
    static final String RANDOM_MODEL = "tiny-f16.gguf";

    /** What the trained model gives, computed by a decoder in Python. */
    static final String TRAINED_REFERENCE = "golden.json";

    /** The perplexity slice of that reference, as the command line takes it. */
    static final String GOLDEN_SLICE = "golden-slice.txt";

    /** What the model of random weights gives, computed by llama.cpp. */
    static final String RANDOM_REFERENCE = "tiny-f32w.json";

    private DemoResources() {}

    static Path path(String name) {
        try {
            return Path.of(url(name).toURI());
        } catch (URISyntaxException failure) {
            throw new AssertionError(failure);
        }
    }

    static JsonNode json(String name) {
        try (InputStream stream = url(name).openStream()) {
            return new ObjectMapper().readTree(stream);
        } catch (IOException failure) {
            throw new UncheckedIOException(failure);
        }
    }

    /** The ids of the golden slice: four windows of the shipped model's context length. */
    static int[] goldenSlice() {
        return ShippedModel.heldOutTokens();
    }

    static int[] ints(JsonNode array) {
        return StreamSupport.stream(array.spliterator(), false)
                .mapToInt(JsonNode::intValue)
                .toArray();
    }

    private static URL url(String name) {
        return Objects.requireNonNull(DemoResources.class.getResource(name), name);
    }
}
