package io.kvcache.demo;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Files damaged at random: each is read completely or refused with a {@link GgufException} of one line. */
final class GgufFuzzTest {
    private static final int ROUNDS = 10_000;

    /** With the trained model's vocabulary to read in every round. */
    private static final int TRAINED_ROUNDS = 1_500;

    /** Through a real file, since mapping and unmapping costs more. */
    private static final int FILE_ROUNDS = 500;

    /** Where the trained model's data begin. */
    private static final int TRAINED_HEADER_BYTES = 25_472;

    /** Values that break careless arithmetic. */
    private static final long[] EXTREMES = {
        0, 1, -1, 31, 33, 255, 1L << 31, (1L << 31) - 1, 1L << 32, 1L << 60, 1L << 62, Long.MAX_VALUE, Long.MIN_VALUE
    };

    @TempDir
    private Path directory;

    private int accepted;
    private int refused;

    @Test
    void shouldReadOrRefuseEveryMutationOfASmallFile() throws IOException {
        byte[] valid = smallFile();
        Random random = new Random(1);
        for (int round = 0; round < ROUNDS; round++) {
            byte[] mutant = mutant(valid, random);
            check(() -> readAll(new GgufParser("mutant", MemorySegment.ofArray(mutant)).parse()));
        }
        assertTrue(accepted > ROUNDS / 100, "accepted " + accepted);
        assertTrue(refused > ROUNDS / 10, "refused " + refused);
    }

    @Test
    void shouldReadOrRefuseEveryMutatedFile() throws IOException {
        byte[] valid = smallFile();
        Random random = new Random(2);
        Path path = directory.resolve("mutant.gguf");
        for (int round = 0; round < FILE_ROUNDS; round++) {
            Files.write(path, mutant(valid, random));
            check(() -> GgufFile.open(path).close());
        }
        assertTrue(accepted > FILE_ROUNDS / 100, "accepted " + accepted);
        assertTrue(refused > FILE_ROUNDS / 10, "refused " + refused);
    }

    @Test
    void shouldReadOrRefuseEveryMutationOfTheTrainedModelsHeader() throws IOException {
        byte[] valid = Files.readAllBytes(DemoResources.path(DemoResources.TRAINED_MODEL));
        Random random = new Random(3);
        byte[] header = Arrays.copyOf(valid, TRAINED_HEADER_BYTES);
        for (int round = 0; round < TRAINED_ROUNDS; round++) {
            byte[] mutant = withData(mutant(header, random), valid);
            check(() -> readAll(new GgufParser("mutant", MemorySegment.ofArray(mutant)).parse()));
        }
        assertTrue(accepted > TRAINED_ROUNDS / 100, "accepted " + accepted);
        assertTrue(refused > TRAINED_ROUNDS / 10, "refused " + refused);
    }

    private void check(Runnable reading) {
        try {
            reading.run();
            accepted++;
        } catch (GgufException failure) {
            assertFalse(String.valueOf(failure.getMessage()).lines().count() != 1, failure.getMessage());
            refused++;
        }
    }

    private static void readAll(GgufParser.Contents contents) {
        GgufMetadata metadata = contents.metadata();
        List<Consumer<String>> accessors = List.of(
                metadata::string,
                metadata::longValue,
                metadata::intValue,
                metadata::floatValue,
                metadata::booleanValue,
                metadata::strings,
                metadata::floats,
                metadata::ints);
        for (String key : metadata.keys()) {
            accessors.forEach(accessor -> tryTo(() -> accessor.accept(key)));
        }
        contents.tensors().values().forEach(tensor -> tryTo(() -> readEnds(tensor)));
        tryTo(() -> useTokenizer(metadata));
    }

    private static void readEnds(Tensor tensor) {
        float[] row = new float[Math.toIntExact(tensor.columns())];
        tensor.readRows(0, 1, row, 0);
        tensor.readRows(tensor.rows() - 1, 1, row, 0);
    }

    private static void useTokenizer(GgufMetadata metadata) {
        Tokenizer tokenizer = new Tokenizer(metadata);
        int[] ids = tokenizer.encode("in the beginning \uD83D\uDE00\uD800");
        assertFalse(tokenizer.decode(ids).length() > 1000);
    }

    private static void tryTo(Runnable reading) {
        try {
            reading.run();
        } catch (GgufException refused) {
            assertFalse(String.valueOf(refused.getMessage()).isEmpty());
        }
    }

    /** The bytes that follow the header of {@code valid}, after another header. */
    private static byte[] withData(byte[] header, byte[] valid) {
        byte[] result = Arrays.copyOf(header, header.length + valid.length - TRAINED_HEADER_BYTES);
        System.arraycopy(valid, TRAINED_HEADER_BYTES, result, header.length, valid.length - TRAINED_HEADER_BYTES);
        return result;
    }

    /** With one to three changes. */
    private static byte[] mutant(byte[] valid, Random random) {
        byte[] mutant = valid.clone();
        for (int change = random.nextInt(3); change >= 0 && mutant.length > 0; change--) {
            mutant = changed(mutant, random);
        }
        return mutant;
    }

    private static byte[] changed(byte[] bytes, Random random) {
        int position = random.nextInt(bytes.length);
        return switch (random.nextInt(6)) {
            case 0 -> Arrays.copyOf(bytes, position);
            case 1 -> spliced(bytes, position, random.nextInt(bytes.length), random.nextInt(40));
            case 2 -> withNumber(bytes, position, EXTREMES[random.nextInt(EXTREMES.length)], Long.BYTES);
            case 3 -> withNumber(bytes, position, EXTREMES[random.nextInt(EXTREMES.length)], Integer.BYTES);
            case 4 -> withNumber(bytes, position, random.nextInt(16), 1);
            default -> withNumber(bytes, position, random.nextInt(), 1);
        };
    }

    /** With {@code count} bytes from {@code from} put in at {@code to}. */
    private static byte[] spliced(byte[] bytes, int to, int from, int count) {
        byte[] result = Arrays.copyOf(bytes, bytes.length + count);
        System.arraycopy(bytes, to, result, to + count, bytes.length - to);
        System.arraycopy(bytes, from, result, to, Math.min(count, bytes.length - from));
        return result;
    }

    /** With the lowest {@code count} bytes of {@code number} written at {@code position}. */
    private static byte[] withNumber(byte[] bytes, int position, long number, int count) {
        byte[] result = bytes.clone();
        for (int index = 0; index < count && position + index < result.length; index++) {
            result[position + index] = (byte) (number >> (index * Byte.SIZE));
        }
        return result;
    }

    private byte[] smallFile() throws IOException {
        Path path = directory.resolve("valid.gguf");
        new GgufWriter()
                .alignment(32)
                .string("general.name", "small")
                .value("uint64", GgufValueType.UINT64, -1L)
                .value("float64", GgufValueType.FLOAT64, 1.5)
                .bool("flag", true)
                .array("flags", GgufValueType.BOOL, List.of(true, false))
                .string("tokenizer.ggml.model", "llama")
                .array("tokenizer.ggml.tokens", GgufValueType.STRING, List.of("<unk>", "<s>", "<0x0A>", "in", "i", "n"))
                .array("tokenizer.ggml.scores", GgufValueType.FLOAT32, List.of(0, 0, 0, 0, -1, -2))
                .array("tokenizer.ggml.token_type", GgufValueType.INT32, List.of(2, 3, 6, 1, 1, 1))
                .uint32("tokenizer.ggml.bos_token_id", 1)
                .uint32("tokenizer.ggml.unknown_token_id", 0)
                .tensor("a", TensorType.F32, List.of(3L, 2L), 1, 2, 3, 4, 5, 6)
                .tensor("b", TensorType.F16, List.of(5L), 1, 2, 3, 4, 5)
                .tensor("c", TensorType.Q8_0, List.of(32L, 1L), new float[32])
                .write(path);
        return Files.readAllBytes(path);
    }
}
