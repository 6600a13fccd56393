package io.kvcache.demo;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class GgufFileTest {
    @TempDir
    private Path directory;

    @Test
    void shouldReadTheConfigurationOfTheTrainedModel() {
        JsonNode expected = DemoResources.json(DemoResources.TRAINED_REFERENCE).path("config");
        try (GgufFile file = GgufFile.open(DemoResources.path(DemoResources.TRAINED_MODEL))) {
            GgufMetadata metadata = file.metadata();
            assertEquals(3, file.version());
            assertEquals(28, metadata.keys().size());
            assertEquals(47, file.tensors().size());
            assertEquals("llama", metadata.string("general.architecture"));
            assertEquals(expected.path("vocab").intValue(), metadata.intValue("llama.vocab_size"));
            assertEquals(expected.path("dim").intValue(), metadata.intValue("llama.embedding_length"));
            assertEquals(expected.path("ctx").intValue(), metadata.intValue("llama.context_length"));
            assertEquals(1e-5f, metadata.floatValue("llama.attention.layer_norm_rms_epsilon"));
        }
    }

    /** Reference values from Python's struct module ('e' and 'f' formats): sum of all elements, first, last. */
    @ParameterizedTest
    @CsvSource({
        "kjv-tiny-f16.gguf, token_embd.weight, F16, 128, 1024, -830.0966134667397, 0.307861328125, -0.041290283203125",
        "kjv-tiny-f16.gguf, blk.2.ffn_down.weight, F16, 320, 128, -8.701278686523438, 0.01076507568359375, "
                + "-0.042083740234375",
        "kjv-tiny-f16.gguf, output_norm.weight, F32, 128, 1, 273.483474612236, 2.0564146041870117, 2.261810064315796",
        "tiny-f16.gguf, token_embd.weight, F16, 64, 320, 119.40213441848755, 0.16015625, 0.050567626953125",
        "tiny-f16.gguf, output.weight, F16, 64, 320, -47.526868402957916, -0.494873046875, -0.14111328125",
        "tiny-f16.gguf, blk.1.ffn_norm.weight, F32, 64, 1, 65.17207652330399, 0.8131241202354431, 1.0727081298828125"
    })
    void shouldReadTheValuesThatPythonReads(
            String model, String name, String type, long columns, long rows, double sum, float first, float last) {
        try (GgufFile file = GgufFile.open(DemoResources.path(model))) {
            Tensor tensor = file.tensor(name);
            float[] values = tensor.toFloats();
            assertEquals(type, tensor.type().toString());
            assertEquals(columns, tensor.columns());
            assertEquals(rows, tensor.rows());
            assertEquals(
                    sum,
                    IntStream.range(0, values.length)
                            .mapToDouble(i -> values[i])
                            .sum(),
                    1e-9);
            assertEquals(first, values[0]);
            assertEquals(last, values[values.length - 1]);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {2, 3})
    void shouldReadWhatTheWriterWrote(int version) throws Exception {
        Path path = directory.resolve("written.gguf");
        new GgufWriter()
                .version(version)
                .alignment(64)
                .string("general.name", "h\u00e9llo")
                .array("numbers", GgufValueType.INT32, List.of(1, -2, 3))
                .tensor("first", TensorType.F32, List.of(3L), 1, 2, 3)
                .tensor("second", TensorType.F16, List.of(2L, 2L), 0.5f, -1, 65504, 0)
                .tensor("third", TensorType.F32, List.of(), 7)
                .write(path);
        try (GgufFile file = GgufFile.open(path)) {
            assertEquals(version, file.version());
            assertEquals("h\u00e9llo", file.metadata().string("general.name"));
            assertArrayEquals(new int[] {1, -2, 3}, file.metadata().ints("numbers"));
            assertArrayEquals(new float[] {1, 2, 3}, file.tensor("first").toFloats());
            assertArrayEquals(
                    new float[] {0.5f, -1, 65504, 0}, file.tensor("second").toFloats());
            assertArrayEquals(new float[] {7}, file.tensor("third").toFloats());
            assertEquals(List.of(), file.tensor("third").dimensions());
        }
    }

    @Test
    void shouldReadAFileWithoutTensors() {
        Path path = GgufBytes.header(0, 0).write(directory.resolve("nothing.gguf"));
        try (GgufFile file = GgufFile.open(path)) {
            assertTrue(file.tensors().isEmpty());
            assertTrue(file.metadata().keys().isEmpty());
            assertEquals(path, file.path());
        }
    }

    @Test
    void shouldNameATensorThatIsMissing() {
        Path path = GgufBytes.header(0, 0).write(directory.resolve("nothing.gguf"));
        try (GgufFile file = GgufFile.open(path)) {
            assertFalse(file.findTensor("output.weight").isPresent());
            GgufException failure = assertThrows(GgufException.class, () -> file.tensor("output.weight"));
            assertEquals(path + ": tensor is missing: tensor=output.weight", failure.getMessage());
        }
    }

    @Test
    void shouldListATensorOfAnUnknownTypeButRefuseToReadIt() {
        Path path = GgufBytes.header(2, 0)
                .tensor("a", 12, 0, 256)
                .tensor("b", 77, 32, 5, 7)
                .pad(32)
                .zeros(64)
                .write(directory.resolve("types.gguf"));
        try (GgufFile file = GgufFile.open(path)) {
            assertEquals(List.of(5L, 7L), file.tensor("b").dimensions());
            GgufException one =
                    assertThrows(GgufException.class, () -> file.tensor("a").toFloats());
            assertEquals(path + ": tensor type cannot be read: tensor=a type=Q4_K", one.getMessage());
            GgufException other =
                    assertThrows(GgufException.class, () -> file.tensor("b").readRows(0, 1, new float[5], 0));
            assertEquals(path + ": tensor type cannot be read: tensor=b type=type-77", other.getMessage());
        }
    }

    @Test
    void shouldRefuseToReadATensorOfAClosedFile() {
        GgufFile file = GgufFile.open(DemoResources.path(DemoResources.TRAINED_MODEL));
        Tensor tensor = file.tensor("output_norm.weight");
        file.close();
        file.close();
        assertThrows(IllegalStateException.class, tensor::toFloats);
        assertThrows(IllegalStateException.class, () -> file.metadata().strings("tokenizer.ggml.tokens"));
        assertEquals("kjv-tiny", file.metadata().string("general.name"));
    }
}
