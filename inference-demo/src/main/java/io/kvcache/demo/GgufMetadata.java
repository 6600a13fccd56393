package io.kvcache.demo;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;

/**
 * The keys and values at the head of a model file. An accessor of a key that is missing, of another type or out of range
 * throws a {@link GgufException} that names the key; a variant with a default takes the default where the key is missing.
 *
 * <p>Arrays stay in the file: their accessors build a new array, and fail once the file is closed.
 *
 * <p>Immutable, hence thread-safe.
 */
public final class GgufMetadata {
    private static final String INTEGER = "an integer type";
    private static final String FLOATING_POINT = "FLOAT32 or FLOAT64";

    private final String source;
    private final Map<String, GgufValue> values;

    GgufMetadata(String source, Map<String, GgufValue> values) {
        this.source = source;
        this.values = Collections.unmodifiableMap(new LinkedHashMap<>(values));
    }

    /** The keys, in the order of the file. */
    public Set<String> keys() {
        return values.keySet();
    }

    /** Whether there is a value, of whatever type. */
    public boolean contains(String key) {
        return values.containsKey(key);
    }

    /** A string. */
    public String string(String key) {
        GgufValue value = value(key);
        if (value instanceof GgufValue.Text text) {
            return text.value();
        }
        throw wrongType(key, "STRING", value);
    }

    /** A string, or {@code missing}. */
    public String string(String key, String missing) {
        return contains(key) ? string(key) : missing;
    }

    /** An integer of any width. */
    public long longValue(String key) {
        GgufValue value = value(key);
        if (value instanceof GgufValue.Whole whole) {
            return signed(key, whole.type(), whole.value());
        }
        throw wrongType(key, INTEGER, value);
    }

    /** An integer of any width, or {@code missing}. */
    public long longValue(String key, long missing) {
        return contains(key) ? longValue(key) : missing;
    }

    /** An integer of any width whose value is an {@code int}. */
    public int intValue(String key) {
        return narrowed(key, longValue(key));
    }

    /** An integer of any width whose value is an {@code int}, or {@code missing}. */
    public int intValue(String key, int missing) {
        return contains(key) ? intValue(key) : missing;
    }

    /** A floating-point number of either width. */
    public float floatValue(String key) {
        GgufValue value = value(key);
        if (value instanceof GgufValue.Real real) {
            return (float) real.value();
        }
        throw wrongType(key, FLOATING_POINT, value);
    }

    /** A floating-point number of either width, or {@code missing}. */
    public float floatValue(String key, float missing) {
        return contains(key) ? floatValue(key) : missing;
    }

    /** A truth value. */
    public boolean booleanValue(String key) {
        GgufValue value = value(key);
        if (value instanceof GgufValue.Flag flag) {
            return flag.value();
        }
        throw wrongType(key, "BOOL", value);
    }

    /** A truth value, or {@code missing}. */
    public boolean booleanValue(String key, boolean missing) {
        return contains(key) ? booleanValue(key) : missing;
    }

    /** The elements of an array of strings. */
    public List<String> strings(String key) {
        GgufValue.Array array = array(key);
        if (array.elementType() != GgufValueType.STRING) {
            throw wrongElementType(key, "STRING", array);
        }
        GgufCursor cursor = new GgufCursor(source, array.elements());
        return IntStream.range(0, array.count())
                .mapToObj(index -> cursor.string())
                .toList();
    }

    /** The elements of an array of floating-point numbers of either width. */
    public float[] floats(String key) {
        GgufValue.Array array = array(key);
        if (!array.elementType().isReal()) {
            throw wrongElementType(key, FLOATING_POINT, array);
        }
        GgufValueReader reader = new GgufValueReader(new GgufCursor(source, array.elements()));
        float[] floats = new float[array.count()];
        for (int index = 0; index < floats.length; index++) {
            floats[index] = (float) reader.real(array.elementType());
        }
        return floats;
    }

    /** The elements of an array of integers of any width whose values are {@code int}. */
    public int[] ints(String key) {
        GgufValue.Array array = array(key);
        if (!array.elementType().isWhole()) {
            throw wrongElementType(key, INTEGER, array);
        }
        GgufValueReader reader = new GgufValueReader(new GgufCursor(source, array.elements()));
        int[] ints = new int[array.count()];
        for (int index = 0; index < ints.length; index++) {
            long element = reader.whole(array.elementType());
            ints[index] = narrowed(key, signed(key, array.elementType(), element));
        }
        return ints;
    }

    /** An exception about this file, for those who find what the values mean to be wrong. */
    GgufException failure(String rule, Object... operands) {
        return GgufException.of(source, rule, operands);
    }

    private GgufValue value(String key) {
        GgufValue value = values.get(key);
        if (value == null) {
            throw failure("metadata key is missing", "key", key);
        }
        return value;
    }

    private GgufValue.Array array(String key) {
        GgufValue value = value(key);
        if (value instanceof GgufValue.Array array) {
            return array;
        }
        throw wrongType(key, "ARRAY", value);
    }

    private long signed(String key, GgufValueType type, long value) {
        if (type == GgufValueType.UINT64 && value < 0) {
            throw failure("metadata value is too large for a long", "key", key, "value", Long.toUnsignedString(value));
        }
        return value;
    }

    private int narrowed(String key, long value) {
        if (value != (int) value) {
            throw failure("metadata value is too large for an int", "key", key, "value", value);
        }
        return (int) value;
    }

    private GgufException wrongType(String key, String expected, GgufValue value) {
        return failure("metadata value has another type", "key", key, "expected", expected, "actual", value.type());
    }

    private GgufException wrongElementType(String key, String expected, GgufValue.Array array) {
        return failure(
                "metadata array has another element type",
                "key",
                key,
                "expected",
                expected,
                "actual",
                array.elementType());
    }
}
