package io.kvcache.demo;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Objects;

/**
 * The small trained model inside this module (2 MB), for running without a download.
 *
 * <p>Thread-safe: stateless.
 */
public final class ShippedModel {
    private static final String RESOURCE = "kjv-tiny-f16.gguf";

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
}
