package io.kvcache;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/**
 * Builds the caches of a test. After the test it checks the invariants of each, closes them (which fails if a sequence
 * leaked) and checks that nothing was in use any more.
 *
 * <p>Not thread-safe.
 */
final class Caches implements AfterEachCallback {
    private final List<KvCache> open = new ArrayList<>();

    KvCache of(KvLayout layout, int blocks) {
        return add(KvCache.builder(layout)
                .maximumBytes(layout.blockBytes() * blocks)
                .build());
    }

    KvCache add(KvCache cache) {
        open.add(cache);
        return cache;
    }

    @Override
    public void afterEach(ExtensionContext context) {
        for (KvCache cache : open) {
            cache.verify();
            CacheStats stats = cache.stats();
            cache.close();
            int used = stats.sessions() > 0 ? 0 : stats.usedBlocks() - stats.pinnedBlocks();
            assertEquals(0, used, "blocks in use with no sequence open");
        }
    }
}
