package io.kvcache.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

final class JlamaCacheTest {
    @Test
    void shouldHoldWhatWasAppendedInAllLayers() {
        int kvHeads = 2;
        float[] key = new float[kvHeads * 64];
        float[] value = new float[kvHeads * 64];
        key[key.length - 1] = 3;
        value[value.length - 1] = 5;
        try (JlamaCache cache = new JlamaCache(2, kvHeads, 100, key, value)) {
            assertEquals(98, cache.append(97));
            assertEquals(99, cache.append(98));
            for (int layer = 0; layer < 2; layer++) {
                assertEquals(3, cache.key(layer, 98, key.length - 1));
                assertEquals(5, cache.value(layer, 98, value.length - 1));
                assertEquals(0, cache.key(layer, 99, key.length - 1));
            }
        }
    }
}
