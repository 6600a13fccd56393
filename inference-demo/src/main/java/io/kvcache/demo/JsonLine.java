package io.kvcache.demo;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;

/**
 * Results as JSON, for programs to read.
 *
 * <p>Thread-safe: stateless.
 */
public final class JsonLine {
    private JsonLine() {}

    /** Writes a value as one line. */
    public static String of(Object value) {
        try {
            return new ObjectMapper().writeValueAsString(value);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("cannot write as JSON: " + value, e);
        }
    }
}
