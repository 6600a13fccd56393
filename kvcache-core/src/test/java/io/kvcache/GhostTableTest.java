package io.kvcache;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;

final class GhostTableTest {
    private static final int CAPACITY = 100;

    @Test
    void shouldRememberTheNewest() {
        Random random = new Random(5);
        GhostTable ghosts = new GhostTable(CAPACITY);
        Map<Long, Long> expected = new LinkedHashMap<>();
        int found = 0;
        for (int step = 0; step < 200_000; step++) {
            long fingerprint = random.nextInt(300) * 0x1_0000_0001L; // tags that collide
            Long known = expected.remove(fingerprint);
            assertEquals(known == null ? GhostTable.NONE : known, ghosts.take(fingerprint));
            found += known == null ? 0 : 1;
            if (random.nextInt(3) > 0) {
                if (expected.size() == CAPACITY) {
                    expected.remove(expected.keySet().iterator().next());
                }
                expected.put(fingerprint, (long) step);
                ghosts.put(fingerprint, step);
            }
            assertEquals(expected.size(), ghosts.size());
        }
        assertTrue(found > 10_000);
    }
}
