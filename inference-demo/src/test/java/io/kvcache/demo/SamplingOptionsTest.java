package io.kvcache.demo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class SamplingOptionsTest {
    @ParameterizedTest
    @CsvSource({
        "-0.5, 0, 1, temperature must be finite and not negative: temperature=-0.5",
        "NaN, 0, 1, temperature must be finite and not negative: temperature=NaN",
        "Infinity, 0, 1, temperature must be finite and not negative: temperature=Infinity",
        "1, -1, 1, topK must not be negative: topK=-1",
        "1, 0, 0, topP must be above 0 and at most 1: topP=0.0",
        "1, 0, 1.5, topP must be above 0 and at most 1: topP=1.5",
        "1, 0, NaN, topP must be above 0 and at most 1: topP=NaN"
    })
    void shouldNameTheValueThatIsOutOfRange(double temperature, int topK, double topP, String message) {
        IllegalArgumentException failure =
                assertThrows(IllegalArgumentException.class, () -> new SamplingOptions(temperature, topK, topP, 1));
        assertEquals(message, failure.getMessage());
    }

    @Test
    void shouldBeGreedyAtTemperatureZero() {
        assertEquals(new SamplingOptions(0, 0, 1, 0), SamplingOptions.greedy());
    }
}
