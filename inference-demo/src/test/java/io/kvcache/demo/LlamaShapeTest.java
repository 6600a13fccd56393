package io.kvcache.demo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The shape of a model is what its file says, and what the decoder would get wrong is refused. */
final class LlamaShapeTest {
    private static final String SCALING = "only rotation of whole heads without scaling is supported: "
            + "llama.rope.dimension_count=%d keyHeadSize=16 llama.rope.scaling.type=%s factor=%s";

    private final Map<String, GgufValue> values = new LinkedHashMap<>();

    LlamaShapeTest() {
        text("general.architecture", "llama");
        whole("llama.block_count", 3);
        whole("llama.embedding_length", 96);
        whole("llama.attention.head_count", 6);
        whole("llama.feed_forward_length", 100);
        whole("llama.context_length", 1000);
        real("llama.attention.layer_norm_rms_epsilon", 0.25);
    }

    private void text(String key, String value) {
        values.put(key, new GgufValue.Text(GgufValueType.STRING, value));
    }

    private void whole(String key, long value) {
        values.put(key, new GgufValue.Whole(GgufValueType.UINT32, value));
    }

    private void real(String key, double value) {
        values.put(key, new GgufValue.Real(GgufValueType.FLOAT32, value));
    }

    private LlamaShape shape() {
        return LlamaShape.of(new GgufMetadata("model", values));
    }

    private void assertRefused(String message) {
        assertEquals(
                "model: " + message,
                assertThrows(GgufException.class, this::shape).getMessage());
    }

    @Test
    void shouldTakeTheUsualDefaults() {
        assertEquals(new LlamaShape(3, 96, 6, 6, 16, 16, 100, 1000, 10_000, 0.25f), shape());
    }

    @Test
    void shouldTakeEverythingFromTheFile() {
        whole("llama.attention.head_count_kv", 2);
        whole("llama.attention.key_length", 10);
        whole("llama.attention.value_length", 7);
        whole("llama.rope.dimension_count", 10);
        real("llama.rope.freq_base", 500_000);
        assertEquals(new LlamaShape(3, 96, 6, 2, 10, 7, 100, 1000, 500_000, 0.25f), shape());
    }

    @Test
    void shouldRefuseHeadsThatDoNotFitTogether() {
        whole("llama.attention.head_count_kv", 4);
        assertRefused("query heads must be a multiple of K/V heads: queryHeads=6 kvHeads=4");
        whole("llama.attention.head_count_kv", 2);
        whole("llama.attention.key_length", 9);
        assertRefused("head sizes must be positive, and even for keys: keyHeadSize=9 valueHeadSize=16");
    }

    @ParameterizedTest
    @ValueSource(strings = {"llama.attention.key_length", "llama.attention.value_length"})
    void shouldRefuseHeadsWhoseElementsAnIntDoesNotCount(String key) {
        whole("llama.attention.head_count", (1 << 30) + 1);
        whole("llama.attention.head_count_kv", 1);
        whole("llama.attention.key_length", 2);
        whole("llama.attention.value_length", 2);
        whole(key, 4); // 4 elements in all, were they counted in 32 bits
        int keySize = key.contains("key") ? 4 : 2;
        assertRefused("heads have more elements than an int counts: queryHeads=1073741825 keyHeadSize=" + keySize
                + " valueHeadSize=" + (6 - keySize));
    }

    @Test
    void shouldRefuseRotationOfAPartOfTheHead() {
        whole("llama.rope.dimension_count", 8);
        assertRefused(SCALING.formatted(8, "linear", "1.0"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"llama.rope.scaling.factor", "llama.rope.scale_linear"})
    void shouldRefuseScaledRotationEvenWhereNoTypeIsNamed(String key) {
        real(key, 4);
        assertRefused(SCALING.formatted(16, "linear", "4.0"));
        text("llama.rope.scaling.type", "none");
        assertEquals(16, shape().keyHeadSize());
    }

    @Test
    void shouldTakeScalingByOneForNone() {
        text("llama.rope.scaling.type", "linear");
        real("llama.rope.scaling.factor", 1);
        assertEquals(16, shape().keyHeadSize());
        text("llama.rope.scaling.type", "yarn");
        assertRefused(SCALING.formatted(16, "yarn", "1.0"));
    }

    @Test
    void shouldRefuseConstantsThatAreNoNumbers() {
        real("llama.rope.freq_base", Double.POSITIVE_INFINITY);
        assertRefused("must be finite and positive: ropeBase=Infinity normEpsilon=0.25");
        real("llama.rope.freq_base", 10_000);
        real("llama.attention.layer_norm_rms_epsilon", Double.NaN);
        assertRefused("must be finite and positive: ropeBase=10000.0 normEpsilon=NaN");
    }

    @Test
    void shouldRefuseAnotherArchitectureAndWhatIsNotPositive() {
        whole("llama.block_count", 0);
        assertRefused("must be positive: llama.block_count=0");
        text("general.architecture", "mamba");
        assertRefused("architecture is not supported: general.architecture=mamba supported=llama");
    }
}
