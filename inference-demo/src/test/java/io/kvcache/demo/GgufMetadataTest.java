package io.kvcache.demo;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.function.Function;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

final class GgufMetadataTest {
    private final GgufMetadata metadata = parse(GgufBytes.header(0, 21)
            .key("uint8", 0)
            .int8(0xFF)
            .key("int8", 1)
            .int8(0xFF)
            .key("uint16", 2)
            .int16(0xFFFE)
            .key("int16", 3)
            .int16(0xFFFE)
            .key("uint32", 4)
            .int32(0xFFFFFFFD)
            .key("int32", 5)
            .int32(0xFFFFFFFD)
            .key("float32", 6)
            .int32(0x3FC00000)
            .key("true", 7)
            .int8(1)
            .key("false", 7)
            .int8(0)
            .key("string", GgufBytes.STRING)
            .string("\u65e5\u672c \uD83D\uDE00\n")
            .key("uint64", 10)
            .int64(-1)
            .key("int64", 11)
            .int64(Long.MIN_VALUE)
            .key("float64", 12)
            .int64(0x3FF8000000000000L)
            .key("strings", GgufBytes.ARRAY)
            .int32(GgufBytes.STRING)
            .int64(3)
            .string("a")
            .string("")
            .string("\u00e9")
            .key("bytes", GgufBytes.ARRAY)
            .int32(0)
            .int64(2)
            .int8(0x80)
            .int8(1)
            .key("unsigned", GgufBytes.ARRAY)
            .int32(4)
            .int64(2)
            .int32(7)
            .int32(-1)
            .key("longs", GgufBytes.ARRAY)
            .int32(11)
            .int64(1)
            .int64(-5)
            .key("floats", GgufBytes.ARRAY)
            .int32(6)
            .int64(2)
            .int32(0x3FC00000)
            .int32(0xBF800000)
            .key("doubles", GgufBytes.ARRAY)
            .int32(12)
            .int64(1)
            .int64(0x3FF8000000000000L)
            .key("flags", GgufBytes.ARRAY)
            .int32(7)
            .int64(2)
            .int8(1)
            .int8(0)
            .key("nested", GgufBytes.ARRAY)
            .int32(GgufBytes.ARRAY)
            .int64(2)
            .int32(5)
            .int64(1)
            .int32(9)
            .int32(GgufBytes.STRING)
            .int64(0));

    @Test
    void shouldReadScalarsOfAllTypes() {
        assertEquals(255, metadata.longValue("uint8"));
        assertEquals(-1, metadata.longValue("int8"));
        assertEquals(65534, metadata.intValue("uint16"));
        assertEquals(-2, metadata.intValue("int16"));
        assertEquals(4294967293L, metadata.longValue("uint32"));
        assertEquals(-3, metadata.intValue("int32"));
        assertEquals(1.5f, metadata.floatValue("float32"));
        assertTrue(metadata.booleanValue("true"));
        assertFalse(metadata.booleanValue("false"));
        assertEquals("\u65e5\u672c \uD83D\uDE00\n", metadata.string("string"));
        assertEquals(Long.MIN_VALUE, metadata.longValue("int64"));
        assertEquals(1.5f, metadata.floatValue("float64"));
    }

    @Test
    void shouldReadArrays() {
        assertEquals(List.of("a", "", "\u00e9"), metadata.strings("strings"));
        assertArrayEquals(new int[] {128, 1}, metadata.ints("bytes"));
        assertArrayEquals(new int[] {-5}, metadata.ints("longs"));
        assertArrayEquals(new float[] {1.5f, -1}, metadata.floats("floats"));
        assertArrayEquals(new float[] {1.5f}, metadata.floats("doubles"));
    }

    @Test
    void shouldTakeTheDefaultOnlyIfTheKeyIsMissing() {
        assertEquals("x", metadata.string("none", "x"));
        assertEquals(7, metadata.longValue("none", 7));
        assertEquals(7, metadata.intValue("none", 7));
        assertEquals(7f, metadata.floatValue("none", 7));
        assertTrue(metadata.booleanValue("none", true));
        assertEquals(255, metadata.longValue("uint8", 7));
        assertEquals(255, metadata.intValue("uint8", 7));
        assertEquals(1.5f, metadata.floatValue("float32", 7));
        assertFalse(metadata.booleanValue("false", true));
        assertThrows(GgufException.class, () -> metadata.string("uint8", "x"));
    }

    @Test
    void shouldKeepTheOrderOfKeys() {
        assertEquals("uint8", metadata.keys().iterator().next());
        assertEquals(21, metadata.keys().size());
        assertTrue(metadata.contains("nested"));
    }

    static Stream<Arguments> wrongReads() {
        return Stream.of(
                wrong(m -> m.string("none"), "metadata key is missing: key=none"),
                wrong(m -> m.strings("none"), "metadata key is missing: key=none"),
                wrong(m -> m.string("int8"), "metadata value has another type: key=int8 expected=STRING actual=INT8"),
                wrong(
                        m -> m.longValue("string"),
                        "metadata value has another type: key=string expected=an integer type actual=STRING"),
                wrong(
                        m -> m.floatValue("int8"),
                        "metadata value has another type: key=int8 expected=FLOAT32 or FLOAT64 actual=INT8"),
                wrong(
                        m -> m.booleanValue("int8"),
                        "metadata value has another type: key=int8 expected=BOOL actual=INT8"),
                wrong(
                        m -> m.strings("string"),
                        "metadata value has another type: key=string expected=ARRAY actual=STRING"),
                wrong(
                        m -> m.strings("floats"),
                        "metadata array has another element type: key=floats expected=STRING actual=FLOAT32"),
                wrong(
                        m -> m.floats("bytes"),
                        "metadata array has another element type: key=bytes expected=FLOAT32 or FLOAT64 actual=UINT8"),
                wrong(
                        m -> m.ints("flags"),
                        "metadata array has another element type: key=flags expected=an integer type actual=BOOL"),
                wrong(
                        m -> m.ints("nested"),
                        "metadata array has another element type: key=nested expected=an integer type actual=ARRAY"),
                wrong(
                        m -> m.longValue("uint64"),
                        "metadata value is too large for a long: key=uint64 value=18446744073709551615"),
                wrong(m -> m.intValue("uint32"), "metadata value is too large for an int: key=uint32 value=4294967293"),
                wrong(
                        m -> m.ints("unsigned"),
                        "metadata value is too large for an int: key=unsigned value=4294967295"));
    }

    private static Arguments wrong(Function<GgufMetadata, Object> read, String message) {
        return Arguments.of(read, message);
    }

    @ParameterizedTest
    @MethodSource("wrongReads")
    void shouldNameTheKeyOfAWrongRead(Function<GgufMetadata, Object> read, String message) {
        GgufException failure = assertThrows(GgufException.class, () -> read.apply(metadata));
        assertEquals("model: " + message, failure.getMessage());
    }

    private static GgufMetadata parse(GgufBytes bytes) {
        return new GgufParser("model", MemorySegment.ofArray(bytes.toArray()))
                .parse()
                .metadata();
    }
}
