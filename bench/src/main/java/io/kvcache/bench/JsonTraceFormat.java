package io.kvcache.bench;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import org.agrona.collections.LongArrayList;

/**
 * The lines of Mooncake's traces (FAST 2025), with an optional label; other fields are passed over.
 *
 * <pre>{"timestamp": 27482, "input_length": 1100, "output_length": 52, "hash_ids": [46, 47, 2353], "label": 3}</pre>
 *
 * <p>Not thread-safe.
 */
final class JsonTraceFormat implements TraceFormat {
    private final JsonFactory json = new JsonFactory();

    @Override
    public void parse(String line, TraceLine into) {
        try (JsonParser parser = json.createParser(line)) {
            require(parser.nextToken() == JsonToken.START_OBJECT, "line must be a JSON object", line);
            while (parser.nextToken() == JsonToken.FIELD_NAME) {
                String name = parser.currentName();
                parser.nextToken();
                parseField(name, parser, into);
            }
            require(parser.nextToken() == null, "line must hold one JSON object only", line);
        } catch (JsonProcessingException e) {
            throw new IllegalArgumentException("line is not JSON: reason=" + e.getOriginalMessage(), e);
        } catch (IOException e) {
            throw new IllegalStateException("a string cannot fail to be read", e);
        }
    }

    private static void parseField(String name, JsonParser parser, TraceLine into) throws IOException {
        switch (name) {
            case "timestamp" -> into.millis(number(name, parser));
            case "input_length" -> into.inputTokens(number(name, parser));
            case "output_length" -> into.outputTokens(number(name, parser));
            case "label" -> into.label(number(name, parser));
            case "hash_ids" -> parseIds(parser, into.ids);
            default -> parser.skipChildren();
        }
    }

    private static void parseIds(JsonParser parser, LongArrayList ids) throws IOException {
        require(
                parser.currentToken() == JsonToken.START_ARRAY,
                "field must be an array: name=hash_ids",
                parser.getText());
        ids.clear();
        while (parser.nextToken() != JsonToken.END_ARRAY) {
            ids.addLong(number("hash_ids", parser));
        }
    }

    private static long number(String name, JsonParser parser) throws IOException {
        require(
                parser.currentToken() == JsonToken.VALUE_NUMBER_INT,
                "field must be a whole number: name=" + name,
                parser.getText());
        return parser.getLongValue();
    }

    private static void require(boolean holds, String rule, String found) {
        if (!holds) {
            throw new IllegalArgumentException(rule + " found=" + TraceFormat.quote(found));
        }
    }
}
