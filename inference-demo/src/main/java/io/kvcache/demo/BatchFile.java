package io.kvcache.demo;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Reads files with a request on each line, as a JSON object. Blank lines are skipped, and counted.
 *
 * <p>Thread-safe: stateless.
 */
final class BatchFile {
    private static final ObjectMapper JSON = new ObjectMapper()
            .enable(JsonParser.Feature.STRICT_DUPLICATE_DETECTION)
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);

    private BatchFile() {}

    /**
     * Reads a file.
     *
     * @return its requests, at least one
     * @throws IllegalArgumentException if it cannot be read, or a line is no request, with the rule and the line's number
     */
    static List<BatchRequest> read(Path file) {
        List<String> lines = TextFile.read("requests", file).lines().toList();
        List<BatchRequest> requests = new ArrayList<>();
        for (int i = 0; i < lines.size(); i++) {
            if (!lines.get(i).isBlank()) {
                requests.add(request(file, i + 1, lines.get(i)));
            }
        }
        if (requests.isEmpty()) {
            throw new IllegalArgumentException("file has no request: requests=" + file);
        }
        return requests;
    }

    private static BatchRequest request(Path file, int line, String text) {
        try {
            return request(line, new JsonFields(JSON.readTree(text)));
        } catch (JsonProcessingException e) {
            throw new IllegalArgumentException(
                    "not JSON: cause=" + e.getOriginalMessage() + " requests=" + file + " line=" + line, e);
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException(e.getMessage() + " requests=" + file + " line=" + line, e);
        }
    }

    private static BatchRequest request(int line, JsonFields fields) {
        String namespace = fields.text("namespace");
        int samples = fields.integer("n", 1);
        BatchRequest request = new BatchRequest(
                line,
                id(fields),
                fields.text("prompt"),
                fields.integers("tokens"),
                fields.integer("max_tokens", 128),
                samples,
                fields.integer("best_of", samples),
                sampling(fields),
                fields.integer("priority", 0),
                namespace == null ? "default" : namespace,
                fields.text("session"),
                timeout(fields),
                fields.truth("ignore_eos"));
        fields.requireNoOthers();
        check(request);
        return request;
    }

    private static @Nullable JsonNode id(JsonFields fields) {
        JsonNode id = fields.value("id");
        if (id != null && !id.isTextual() && !id.isNumber()) {
            throw new IllegalArgumentException("neither a string nor a number: id=" + id);
        }
        return id;
    }

    private static SamplingOptions sampling(JsonFields fields) {
        return new SamplingOptions(
                fields.number("temperature", 0),
                fields.integer("top_k", 0),
                fields.number("top_p", 1),
                fields.longInteger("seed", 0));
    }

    private static @Nullable Duration timeout(JsonFields fields) {
        return fields.value("timeout_ms") == null ? null : Duration.ofMillis(fields.integer("timeout_ms", 0));
    }

    /** Has the request itself check its values, with a prompt of one token if there is none yet. */
    private static void check(BatchRequest request) {
        boolean isText = request.prompt() != null;
        if (isText == (request.tokens() != null)) {
            throw new IllegalArgumentException(
                    "either prompt or tokens must be given: prompt=" + isText + " tokens=" + isText);
        }
        request.request(request.newConversation(), isText ? new int[1] : request.ids());
    }
}
