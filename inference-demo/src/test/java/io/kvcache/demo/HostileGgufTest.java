package io.kvcache.demo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Files that are wrong in one place each: all give one clear line, and none makes the reader claim much memory. */
final class HostileGgufTest {
    private static final long HIGHEST_ALLOCATION_BYTES = 4L << 20;

    @TempDir
    private Path directory;

    static Stream<Arguments> wrongFiles() {
        return Stream.of(
                wrong(new GgufBytes(), "file is empty: bytes=0"),
                wrong(new GgufBytes().raw("GG"), "file is not a GGUF file: bytes=2 expectedStart=GGUF"),
                wrong(new GgufBytes().raw("PK\3\4 and more"), "file is not a GGUF file: bytes=13 expectedStart=GGUF"),
                wrong(new GgufBytes().raw("GGUF"), "file is truncated: position=4 needed=4 remaining=0"),
                wrong(version(1), "GGUF version is not supported: version=1 oldest=2 newest=3"),
                wrong(version(4), "GGUF version is not supported: version=4 oldest=2 newest=3"),
                wrong(version(3 << 24), "GGUF version is not supported: version=50331648 oldest=2 newest=3"),
                wrong(version(-1), "GGUF version is not supported: version=4294967295 oldest=2 newest=3"),
                wrong(GgufBytes.header(-1, 0), "count is too large: tensors=18446744073709551615 maximum=65536"),
                wrong(GgufBytes.header(1L << 40, 0), "count is too large: tensors=1099511627776 maximum=65536"),
                wrong(GgufBytes.header(1, 0), "file is truncated: tensors=1 minimumBytes=24 remaining=8"),
                wrong(GgufBytes.header(0, 65537), "count is too large: keys=65537 maximum=65536"),
                wrong(GgufBytes.header(0, 2).zeros(25), "file is truncated: keys=2 minimumBytes=13 remaining=25"),
                wrong(
                        GgufBytes.header(0, 1).int64(Long.MAX_VALUE).zeros(64),
                        "file is truncated: position=32 needed=9223372036854775807 remaining=64"),
                wrong(
                        GgufBytes.header(0, 1).int64(-1).zeros(64),
                        "file is truncated: position=32 needed=18446744073709551615 remaining=64"),
                wrong(
                        GgufBytes.header(0, 1).int64(2).int8(0xC3).int8(0x28).zeros(64),
                        "string is not UTF-8: position=32 bytes=2 "
                                + "cause=java.nio.charset.MalformedInputException: Input length = 1"),
                wrong(GgufBytes.header(0, 1).key("a", 13).zeros(8), "value type is unknown: type=13 position=33"),
                wrong(
                        GgufBytes.header(0, 1).key("a", -1).zeros(8),
                        "value type is unknown: type=4294967295 position=33"),
                wrong(
                        GgufBytes.header(0, 1).key("a", 7).int8(2),
                        "truth value is neither 0 nor 1: value=2 position=37"),
                wrong(
                        GgufBytes.header(0, 2).key("a", 0).int8(2).key("a", 0).int8(2),
                        "metadata key is a duplicate: key=a"),
                wrong(
                        GgufBytes.header(0, 1).key("a", 11).int32(1),
                        "file is truncated: position=37 needed=8 remaining=4"),
                wrong(array(0, -1), "count is too large: arrayCount=18446744073709551615 maximum=4194304"),
                wrong(array(0, 1L << 32), "count is too large: arrayCount=4294967296 maximum=4194304"),
                wrong(array(12, 9), "file is truncated: arrayCount=9 minimumBytes=8 remaining=64"),
                wrong(array(8, 9), "file is truncated: arrayCount=9 minimumBytes=8 remaining=64"),
                wrong(array(99, 1), "value type is unknown: type=99 position=37"),
                wrong(
                        GgufBytes.header(0, 1)
                                .key("a", GgufBytes.ARRAY)
                                .int32(GgufBytes.STRING)
                                .int64(1)
                                .int64(100),
                        "file is truncated: position=57 needed=100 remaining=0"),
                wrong(nested(5), "arrays are nested too deeply: depth=5 maximum=4"),
                wrong(nested(100_000), "arrays are nested too deeply: depth=5 maximum=4"),
                wrong(alignment(0), "alignment is not a power of two: alignment=0"),
                wrong(alignment(48), "alignment is not a power of two: alignment=48"),
                wrong(
                        GgufBytes.header(0, 1)
                                .key("general.alignment", GgufBytes.STRING)
                                .string("32"),
                        "metadata value has another type: key=general.alignment expected=an integer type "
                                + "actual=STRING"),
                wrong(
                        GgufBytes.header(1, 1)
                                .key("general.alignment", 10)
                                .int64(1L << 62)
                                .tensor("t", 0, 0, 1)
                                .zeros(64),
                        "tensor has too many elements for the file: tensor=t dimensions=[1] type=F32 "
                                + "maximumElements=0"),
                wrong(tensor(0, 0, 1, 1, 1, 1, 1), "tensor has too many dimensions: tensor=t dimensions=5 maximum=4"),
                wrong(
                        GgufBytes.header(1, 0).string("t").int32(-1).zeros(64),
                        "tensor has too many dimensions: tensor=t dimensions=4294967295 maximum=4"),
                wrong(tensor(0, 0, 4, 0), "tensor dimension is not positive: tensor=t dimension=0"),
                wrong(tensor(0, 0, -4), "tensor dimension is not positive: tensor=t dimension=-4"),
                wrong(
                        tensor(0, 0, 1L << 32, 1L << 32),
                        "tensor has too many elements for the file: tensor=t dimensions=[4294967296, 4294967296] "
                                + "type=F32 maximumElements=16"),
                wrong(
                        tensor(99, 0, 1L << 32, 1L << 31),
                        "tensor has too many elements for the file: tensor=t dimensions=[4294967296, 2147483648] "
                                + "type=type-99 maximumElements=9223372036854775807"),
                wrong(
                        tensor(1, 0, 33),
                        "tensor has too many elements for the file: tensor=t dimensions=[33] type=F16 "
                                + "maximumElements=32"),
                wrong(tensor(8, 0, 33), "tensor row is not made of whole blocks: tensor=t columns=33 blockElements=32"),
                wrong(
                        tensor(0, 64, 1),
                        "tensor lies beyond the end of the file: tensor=t offset=64 bytes=4 dataBytes=64"),
                wrong(
                        tensor(0, -32, 1),
                        "tensor lies beyond the end of the file: tensor=t offset=18446744073709551584 bytes=0 "
                                + "dataBytes=64"),
                wrong(
                        tensor(0, 96, 1),
                        "tensor lies beyond the end of the file: tensor=t offset=96 bytes=0 dataBytes=64"),
                wrong(tensor(0, 4, 1), "tensor offset is not aligned: tensor=t offset=4 alignment=32"),
                wrong(
                        GgufBytes.header(2, 0)
                                .tensor("t", 0, 0, 1)
                                .tensor("t", 0, 0, 1)
                                .pad(32)
                                .zeros(64),
                        "tensor name is a duplicate: tensor=t"),
                wrong(
                        GgufBytes.header(0, 2)
                                .key("a\nb\u2028c", 0)
                                .int8(2)
                                .key("a\nb\u2028c", 0)
                                .int8(2),
                        "metadata key is a duplicate: key=a?b?c"),
                wrong(
                        GgufBytes.header(0, 2)
                                .key("k".repeat(5000), 0)
                                .int8(2)
                                .key("k".repeat(5000), 0)
                                .int8(2),
                        "metadata key is a duplicate: key=" + "k".repeat(120) + "..."));
    }

    private static Arguments wrong(GgufBytes bytes, String message) {
        return Arguments.of(message, bytes);
    }

    private static GgufBytes version(int version) {
        return new GgufBytes().raw("GGUF").int32(version).zeros(16);
    }

    private static GgufBytes array(int elementType, long count) {
        return GgufBytes.header(0, 1)
                .key("a", GgufBytes.ARRAY)
                .int32(elementType)
                .int64(count)
                .zeros(64);
    }

    private static GgufBytes nested(int depth) {
        GgufBytes bytes = GgufBytes.header(0, 1).string("a");
        for (int level = 0; level < depth; level++) {
            bytes.int32(GgufBytes.ARRAY);
            if (level > 0) {
                bytes.int64(1);
            }
        }
        return bytes.int32(0).int64(1).int8(0).zeros(16);
    }

    private static GgufBytes alignment(int alignment) {
        return GgufBytes.header(0, 1).key("general.alignment", 4).int32(alignment);
    }

    /** A file of one tensor and 64 bytes of data. */
    private static GgufBytes tensor(int type, long offset, long... dimensions) {
        return GgufBytes.header(1, 0)
                .tensor("t", type, offset, dimensions)
                .pad(32)
                .zeros(64);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("wrongFiles")
    void shouldSayInOneLineWhatIsWrong(String message, GgufBytes bytes) {
        Path path = bytes.write(directory.resolve("wrong.gguf"));
        long before = allocatedBytes();
        GgufException failure = assertThrows(GgufException.class, () -> GgufFile.open(path));
        assertTrue(allocatedBytes() - before < HIGHEST_ALLOCATION_BYTES);
        assertEquals(path + ": " + message, failure.getMessage());
    }

    @Test
    void shouldRefuseEveryTruncationOfTheTrainedModelsHeader() throws IOException {
        byte[] bytes = Files.readAllBytes(DemoResources.path(DemoResources.TRAINED_MODEL));
        for (int length = 0; length < 30_000; length += 61) {
            Path path = Files.write(directory.resolve("cut.gguf"), Arrays.copyOf(bytes, length));
            assertThrows(GgufException.class, () -> GgufFile.open(path), "length " + length);
        }
    }

    @Test
    void shouldRefuseATruncationOfTheLastTensor() throws IOException {
        byte[] bytes = Files.readAllBytes(DemoResources.path(DemoResources.TRAINED_MODEL));
        int dataStart = 25_472;
        int lastEnd = dataStart + 1_987_584 + 128 * Float.BYTES;
        Path whole = Files.write(directory.resolve("whole.gguf"), Arrays.copyOf(bytes, lastEnd));
        GgufFile.open(whole).close();
        Path cut = Files.write(directory.resolve("cut.gguf"), Arrays.copyOf(bytes, lastEnd - 1));
        GgufException failure = assertThrows(GgufException.class, () -> GgufFile.open(cut));
        assertEquals(
                cut + ": tensor lies beyond the end of the file: tensor=output_norm.weight offset=1987584 bytes=512 "
                        + "dataBytes=1988095",
                failure.getMessage());
    }

    @Test
    void shouldRefuseAHugeStringOfASparseFile() throws IOException {
        Path path = GgufBytes.header(0, 1).int64(1L << 30).write(directory.resolve("sparse.gguf"));
        extend(path, 3L << 30);
        long before = allocatedBytes();
        GgufException failure = assertThrows(GgufException.class, () -> GgufFile.open(path));
        assertTrue(allocatedBytes() - before < HIGHEST_ALLOCATION_BYTES);
        assertEquals(
                path + ": header is too large: position=32 needed=1073741824 maximum=134217728", failure.getMessage());
    }

    @Test
    void shouldOpenALargeSparseTensorWithoutReadingIt() throws IOException {
        Path path = GgufBytes.header(1, 0)
                .tensor("large", 1, 0, 1L << 20, 1L << 11)
                .pad(32)
                .write(directory.resolve("sparse.gguf"));
        extend(path, Files.size(path) + (1L << 32));
        long before = allocatedBytes();
        try (GgufFile file = GgufFile.open(path)) {
            float[] row = {1, 1};
            file.tensor("large").readRows((1L << 11) - 1, 0, row, 0);
            IndexOutOfBoundsException failure = assertThrows(
                    IndexOutOfBoundsException.class, () -> file.tensor("large").toFloats());
            assertEquals(
                    "destination is too small: tensor=large elements=2147483648 room=2147483639", failure.getMessage());
        }
        assertTrue(allocatedBytes() - before < HIGHEST_ALLOCATION_BYTES);
    }

    @Test
    void shouldSayThatAFileIsMissing() {
        Path path = directory.resolve("none.gguf");
        GgufException failure = assertThrows(GgufException.class, () -> GgufFile.open(path));
        assertEquals(path + ": file does not exist", failure.getMessage());
    }

    @Test
    void shouldSayThatAFileIsADirectory() {
        GgufException failure = assertThrows(GgufException.class, () -> GgufFile.open(directory));
        assertEquals(directory + ": file is a directory", failure.getMessage());
    }

    private static void extend(Path path, long bytes) throws IOException {
        try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
            file.setLength(bytes);
        }
    }

    private static long allocatedBytes() {
        return ((ThreadMXBean) ManagementFactory.getThreadMXBean()).getCurrentThreadAllocatedBytes();
    }
}
