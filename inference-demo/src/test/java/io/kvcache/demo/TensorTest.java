package io.kvcache.demo;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class TensorTest {
    private static final int HALVES = 1 << 16;

    @TempDir
    private Path directory;

    @Test
    void shouldDecodeEveryHalf() {
        GgufBytes bytes = GgufBytes.header(1, 0).tensor("halves", 1, 0, HALVES).pad(32);
        for (int half = 0; half < HALVES; half++) {
            bytes.int16(half);
        }
        try (GgufFile file = GgufFile.open(bytes.write(directory.resolve("halves.gguf")))) {
            float[] values = file.tensor("halves").toFloats();
            for (int half = 0; half < HALVES; half++) {
                assertEquals(half(half), values[half], "half " + half);
            }
        }
    }

    /** The definition of the format: sign, 5 bits of exponent, 10 bits of fraction. */
    private static float half(int bits) {
        int exponent = bits >> 10 & 31;
        int fraction = bits & 1023;
        double magnitude = exponent == 0 ? fraction * 0x1p-24 : (1024 + fraction) * Math.pow(2, exponent - 25);
        if (exponent == 31) {
            magnitude = fraction == 0 ? Double.POSITIVE_INFINITY : Double.NaN;
        }
        return (float) ((bits & 0x8000) == 0 ? magnitude : -magnitude);
    }

    @Test
    void shouldDecodeBlocksOfBytes() {
        GgufBytes bytes = GgufBytes.header(1, 0).tensor("blocks", 8, 0, 32, 2).pad(32);
        bytes.int16(0x3800); // 0.5
        for (int element = 0; element < 32; element++) {
            bytes.int8(element - 16);
        }
        bytes.int16(0xC000); // -2
        for (int element = 0; element < 32; element++) {
            bytes.int8(element == 0 ? -128 : 127);
        }
        float[] expected = new float[64];
        for (int element = 0; element < 32; element++) {
            expected[element] = (element - 16) / 2f;
            expected[32 + element] = element == 0 ? 256 : -254;
        }
        try (GgufFile file = GgufFile.open(bytes.write(directory.resolve("blocks.gguf")))) {
            assertArrayEquals(expected, file.tensor("blocks").toFloats());
        }
    }

    @Test
    void shouldReadBackQuantisedValuesWithinHalfAStep() throws Exception {
        float[] values = randomValues(32 * 8);
        Path path = directory.resolve("quantised.gguf");
        new GgufWriter()
                .tensor("quantised", TensorType.Q8_0, List.of(64L, 4L), values)
                .write(path);
        try (GgufFile file = GgufFile.open(path)) {
            float[] read = file.tensor("quantised").toFloats();
            for (int index = 0; index < values.length; index++) {
                double step = largest(values, index / 32 * 32) / 127;
                assertEquals(values[index], read[index], step * (0.5 + 127 * 0x1p-11), "element " + index);
            }
        }
    }

    private static double largest(float[] values, int first) {
        double largest = 0;
        for (int index = first; index < first + 32; index++) {
            largest = Math.max(largest, Math.abs(values[index]));
        }
        return largest;
    }

    @ParameterizedTest
    @ValueSource(strings = {"F32", "F16", "Q8_0"})
    void shouldReadAnyRangeOfRowsIntoAnArray(String type) throws Exception {
        try (GgufFile file = GgufFile.open(fileOf(type))) {
            Tensor tensor = file.tensor("matrix");
            float[] all = tensor.toFloats();
            for (int first = 0; first <= 5; first++) {
                for (int count = 0; count <= 5 - first; count++) {
                    float[] rows = new float[5 * 96 + 3];
                    tensor.readRows(first, count, rows, 3);
                    float[] expected = new float[5 * 96 + 3];
                    System.arraycopy(all, first * 96, expected, 3, count * 96);
                    assertArrayEquals(expected, rows, "first " + first + " count " + count);
                }
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"F32", "F16", "Q8_0"})
    void shouldReadRowsIntoASegmentChunkByChunk(String type) throws Exception {
        float[] values = randomValues(64 * 300);
        Path path = directory.resolve("large.gguf");
        new GgufWriter()
                .tensor("large", typeOf(type), List.of(64L, 100L, 3L), values)
                .write(path);
        try (GgufFile file = GgufFile.open(path);
                Arena arena = Arena.ofConfined()) {
            Tensor tensor = file.tensor("large");
            assertEquals(300, tensor.rows());
            MemorySegment segment = arena.allocate(ValueLayout.JAVA_FLOAT, 64 * 298);
            tensor.readRows(1, 298L, segment);
            float[] expected = Arrays.copyOfRange(tensor.toFloats(), 64, 64 * 299);
            assertArrayEquals(expected, segment.toArray(ValueLayout.JAVA_FLOAT));
        }
    }

    @ParameterizedTest
    @CsvSource({
        "-1, 1, 0, 96, rows lie outside the tensor: tensor=matrix firstRow=-1 rowCount=1 rows=5",
        "5, 1, 0, 96, rows lie outside the tensor: tensor=matrix firstRow=5 rowCount=1 rows=5",
        "0, -1, 0, 96, rows lie outside the tensor: tensor=matrix firstRow=0 rowCount=-1 rows=5",
        "9223372036854775807, 2, 0, 96, rows lie outside the tensor: tensor=matrix firstRow=9223372036854775807 "
                + "rowCount=2 rows=5",
        "1, 2, 0, 191, destination is too small: tensor=matrix elements=192 room=191",
        "1, 1, 1, 96, destination is too small: tensor=matrix elements=96 room=95",
        "1, 0, 97, 96, offset lies outside the destination: tensor=matrix offset=97 length=96",
        "1, 0, -1, 96, offset lies outside the destination: tensor=matrix offset=-1 length=96"
    })
    void shouldNameTheOperandsOfAWrongRange(long first, int count, int offset, int length, String message)
            throws Exception {
        try (GgufFile file = GgufFile.open(fileOf("F16"))) {
            Tensor tensor = file.tensor("matrix");
            IndexOutOfBoundsException failure = assertThrows(
                    IndexOutOfBoundsException.class, () -> tensor.readRows(first, count, new float[length], offset));
            assertEquals(message, failure.getMessage());
        }
    }

    @Test
    void shouldNameTheOperandsOfASegmentThatIsTooSmall() throws Exception {
        try (GgufFile file = GgufFile.open(fileOf("F16"))) {
            Tensor tensor = file.tensor("matrix");
            MemorySegment segment = MemorySegment.ofArray(new byte[96 * 4 - 1]);
            IndexOutOfBoundsException failure =
                    assertThrows(IndexOutOfBoundsException.class, () -> tensor.readRows(0, 1L, segment));
            assertEquals("destination is too small: tensor=matrix elements=96 room=95", failure.getMessage());
        }
    }

    private Path fileOf(String type) throws Exception {
        Path path = directory.resolve("matrix.gguf");
        new GgufWriter()
                .tensor("before", TensorType.F32, List.of(3L), 1, 2, 3)
                .tensor("matrix", typeOf(type), List.of(96L, 5L), randomValues(96 * 5))
                .write(path);
        return path;
    }

    private static TensorType typeOf(String label) {
        return List.of(TensorType.F32, TensorType.F16, TensorType.Q8_0).stream()
                .filter(type -> type.label().equals(label))
                .findFirst()
                .orElseThrow();
    }

    private static float[] randomValues(int count) {
        Random random = new Random(7);
        float[] values = new float[count];
        for (int index = 0; index < count; index++) {
            values[index] = (float) random.nextGaussian();
        }
        return values;
    }
}
