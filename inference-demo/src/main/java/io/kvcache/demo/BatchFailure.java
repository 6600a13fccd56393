package io.kvcache.demo;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.databind.JsonNode;
import org.jspecify.annotations.Nullable;

/**
 * A request that got no answer.
 *
 * <p>Immutable, hence thread-safe.
 *
 * @param line its number, from 1
 * @param id what the file calls it, if it does
 * @param error why
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
record BatchFailure(int line, @Nullable JsonNode id, String error) implements BatchOutcome {
    @Override
    public String text() {
        return "[line " + line + (id == null ? "" : ", id " + id.asText()) + " failed: " + error + "]";
    }
}
