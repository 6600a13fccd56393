package io.kvcache.demo;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The fields of a JSON object, each of the type that is asked for. Whatever is not asked for is an error.
 *
 * <p>Not thread-safe.
 */
final class JsonFields {
    private final JsonNode object;
    private final Set<String> unread = new HashSet<>();

    /**
     * Looks at an object.
     *
     * @throws IllegalArgumentException if it is none
     */
    JsonFields(JsonNode object) {
        this.object = object;
        require(object.isObject(), "not a JSON object: type=" + object.getNodeType());
        object.fieldNames().forEachRemaining(unread::add);
    }

    /** The value of a field as it is; null if there is none. */
    @Nullable
    JsonNode value(String name) {
        unread.remove(name);
        return object.get(name);
    }

    @Nullable
    String text(String name) {
        JsonNode value = value(name);
        require(value == null || value.isTextual(), "not a string: " + name + "=" + value);
        return value == null ? null : value.textValue();
    }

    int integer(String name, int otherwise) {
        JsonNode value = value(name);
        return value == null ? otherwise : integer(name, value);
    }

    long longInteger(String name, long otherwise) {
        JsonNode value = value(name);
        if (value == null) {
            return otherwise;
        }
        require(value.isIntegralNumber() && value.canConvertToLong(), "not a whole number: " + name + "=" + value);
        return value.longValue();
    }

    double number(String name, double otherwise) {
        JsonNode value = value(name);
        require(value == null || value.isNumber(), "not a number: " + name + "=" + value);
        return value == null ? otherwise : value.doubleValue();
    }

    boolean truth(String name) {
        JsonNode value = value(name);
        require(value == null || value.isBoolean(), "neither true nor false: " + name + "=" + value);
        return value != null && value.booleanValue();
    }

    @Nullable
    List<Integer> integers(String name) {
        JsonNode value = value(name);
        if (value == null) {
            return null;
        }
        require(value.isArray(), "not an array: " + name + "=" + value);
        List<Integer> numbers = new ArrayList<>();
        for (int i = 0; i < value.size(); i++) {
            numbers.add(integer(name + "[" + i + "]", value.get(i)));
        }
        return List.copyOf(numbers);
    }

    /**
     * Checks that every field was asked for.
     *
     * @throws IllegalArgumentException if not
     */
    void requireNoOthers() {
        object.fieldNames()
                .forEachRemaining(name -> require(!unread.contains(name), "field is unknown: field=" + name));
    }

    private static int integer(String name, JsonNode value) {
        require(value.isIntegralNumber() && value.canConvertToInt(), "not a whole number: " + name + "=" + value);
        return value.intValue();
    }

    private static void require(boolean holds, String rule) {
        if (!holds) {
            throw new IllegalArgumentException(rule);
        }
    }
}
