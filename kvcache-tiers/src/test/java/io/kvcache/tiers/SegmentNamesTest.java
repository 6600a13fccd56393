package io.kvcache.tiers;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;

class SegmentNamesTest {
    private static long firstUnused(long... ids) {
        return SegmentNames.firstUnused(LongStream.of(ids)
                .mapToObj(id -> new FileAccess.Entry(Path.of(SegmentNames.of(id)), 0))
                .toList());
    }

    @Test
    void shouldGoOnBehindTheHighestId() {
        assertEquals(0, firstUnused());
        assertEquals(1, firstUnused(0));
        assertEquals(8, firstUnused(7, 2));
    }

    @Test
    void shouldNotRunOutOfIdsBecauseOfAStray() {
        assertEquals(0, firstUnused(Long.MAX_VALUE));
        assertEquals(3, firstUnused(1, 2, Long.MAX_VALUE));
        assertEquals(3, firstUnused(2, Long.MAX_VALUE - 1));
    }

    @Test
    void shouldKnowItsOwnNames() {
        Path path = Path.of("d", SegmentNames.of(Long.MAX_VALUE));
        assertTrue(SegmentNames.isOurs(path));
        assertEquals(Long.MAX_VALUE, SegmentNames.id(path));
        assertFalse(SegmentNames.isOurs(Path.of("segment-8000000000000000.kv")));
    }
}
