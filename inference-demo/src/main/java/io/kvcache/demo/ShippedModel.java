package io.kvcache.demo;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Arrays;
import java.util.Objects;

/**
 * The small trained model inside this module (2 MB), for running without a download, and a text to measure it with.
 *
 * <p>Thread-safe: stateless.
 */
public final class ShippedModel {
    private static final String RESOURCE = "kjv-tiny-f16.gguf";
    private static final String HELD_OUT = "golden-slice.txt";

    private ShippedModel() {}

    /** Opens the model from a temporary copy, which is deleted again when the program ends. */
    public static GgufFile open() {
        try (InputStream resource = Objects.requireNonNull(ShippedModel.class.getResourceAsStream(RESOURCE))) {
            Path copy = Files.createTempFile("kvcache-", "-" + RESOURCE);
            copy.toFile().deleteOnExit();
            Files.copy(resource, copy, StandardCopyOption.REPLACE_EXISTING);
            return GgufFile.open(copy);
        } catch (IOException e) {
            throw new UncheckedIOException("cannot copy the shipped model to a temporary file: " + e.getMessage(), e);
        }
    }

    /** Ids of a text that the model has not been trained on: four windows of its context length. */
    public static int[] heldOutTokens() {
        InputStream resource = Objects.requireNonNull(ShippedModel.class.getResourceAsStream(HELD_OUT));
        try (BufferedReader reader = new BufferedReader(new InputStreamReader(resource, StandardCharsets.UTF_8))) {
            return reader.lines()
                    .filter(line -> !line.startsWith("#"))
                    .flatMap(line -> Arrays.stream(line.split(",", -1)))
                    .mapToInt(Integer::parseInt)
                    .toArray();
        } catch (IOException e) {
            throw new UncheckedIOException("cannot read the held-out text: " + e.getMessage(), e);
        }
    }
}
