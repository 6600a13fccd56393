package io.kvcache.remote;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.CacheContents;
import io.kvcache.CacheEvent;
import io.kvcache.CachedBlock;
import io.kvcache.Identity;
import io.kvcache.RemovalCause;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

final class CacheMirrorTest {
    private static final List<Identity> ADAPTER = List.of(new Identity("adapter", "x"));
    private static final CacheContents EMPTY = new CacheContents(0, List.of());

    private final CacheMirror mirror = new CacheMirror();

    private static CacheEvent stored(long number, long block, long parent, Integer... tokens) {
        return new CacheEvent.Stored(number, "a", List.of(), block, parent, List.of(tokens));
    }

    private static CacheEvent removed(long number, long block, long parent) {
        return new CacheEvent.Removed(number, "a", block, parent, RemovalCause.CAPACITY);
    }

    private static CachedBlock block(long block, long parent, Integer... tokens) {
        return new CachedBlock("a", List.of(), block, parent, List.of(tokens));
    }

    private int cached(int... prompt) {
        return mirror.cachedTokens("a", List.of(), prompt);
    }

    /** A mirror of two blocks, [1 2] and [1 2][3 4]. */
    private void begin() {
        mirror.apply(EMPTY);
        assertTrue(mirror.apply(stored(1, 1, 0, 1, 2)));
        assertTrue(mirror.apply(stored(2, 2, 1, 3, 4)));
    }

    private void assertOutOfDate() {
        assertFalse(mirror.isUpToDate());
        assertEquals(0, cached(1, 2, 3, 4, 5));
        assertEquals(0, mirror.blocks());
        assertThrows(IllegalStateException.class, mirror::contents);
    }

    @Test
    void shouldKnowNothingBeforeTheFirstContents() {
        assertOutOfDate();
        assertFalse(mirror.apply(stored(1, 1, 0, 1, 2)));
        assertOutOfDate();
        assertEquals(
                "mirror is out of date: number=0 suspended=false",
                assertThrows(IllegalStateException.class, mirror::contents).getMessage());
        begin();
        assertTrue(mirror.isUpToDate());
    }

    @Test
    void shouldFindTheLongestPrefixInFullBlocks() {
        begin();
        assertEquals(4, cached(1, 2, 3, 4, 5));
        assertEquals(2, cached(1, 2, 3, 4), "one token is left to compute");
        assertEquals(2, cached(1, 2, 3, 9, 9));
        assertEquals(0, cached(1, 9, 3, 4, 5));
        assertEquals(0, cached(3, 4, 5), "not behind its parent");
        assertEquals(0, cached(1));
        assertEquals(0, cached());
        assertEquals(2, mirror.blocks());
        assertEquals(2, mirror.number());
    }

    @Test
    void shouldKeepNamespacesAndIdentitiesApart() {
        begin();
        assertEquals(0, mirror.cachedTokens("b", List.of(), new int[] {1, 2, 3}));
        assertEquals(0, mirror.cachedTokens("a", ADAPTER, new int[] {1, 2, 3}));
        assertTrue(mirror.apply(new CacheEvent.Stored(3, "a", ADAPTER, 3, 0, List.of(1, 2))));
        assertEquals(2, mirror.cachedTokens("a", ADAPTER, new int[] {1, 2, 3, 4, 5}));
        assertEquals(4, cached(1, 2, 3, 4, 5));
        assertTrue(mirror.apply(removed(4, 2, 1)));
        assertTrue(mirror.apply(removed(5, 1, 0)));
        assertEquals(0, cached(1, 2, 3));
        assertEquals(2, mirror.cachedTokens("a", ADAPTER, new int[] {1, 2, 3}));
    }

    @Test
    void shouldTellItsContentsAsTheCacheDoes() {
        begin();
        CacheContents contents = new CacheContents(2, List.of(block(1, 0, 1, 2), block(2, 1, 3, 4)));
        assertEquals(contents, mirror.contents());
        CacheMirror other = new CacheMirror();
        other.apply(contents);
        assertEquals(contents, other.contents());
        assertTrue(other.apply(removed(3, 2, 1)));
        assertEquals(new CacheContents(3, List.of(block(1, 0, 1, 2))), other.contents());
    }

    @Test
    void shouldNotMindEventsThatTheContentsCountIn() {
        mirror.apply(new CacheContents(3, List.of(block(2, 0, 5, 6))));
        assertTrue(mirror.apply(stored(1, 1, 0, 1, 2)));
        assertTrue(mirror.apply(stored(2, 2, 0, 5, 6)));
        assertTrue(mirror.apply(removed(3, 1, 0)));
        assertTrue(mirror.apply(new CacheEvent.Lost(1, 3)));
        assertEquals(new CacheContents(3, List.of(block(2, 0, 5, 6))), mirror.contents());
        assertTrue(mirror.apply(removed(4, 2, 0)));
        assertEquals(0, mirror.blocks());
    }

    @Test
    void shouldCountEventsThatChangeNothing() {
        begin();
        assertTrue(mirror.apply(new CacheEvent.Loaded(3, "a", 2, "disk")));
        assertTrue(mirror.apply(new CacheEvent.Offloaded(4, "a", 2, "disk")));
        assertTrue(mirror.apply(new CacheEvent.TierChanged(5, "disk", false, true, null)));
        assertEquals(5, mirror.number());
        assertEquals(4, cached(1, 2, 3, 4, 5));
    }

    @Test
    void shouldBeOutOfDateWhereAnEventIsMissing() {
        begin();
        assertFalse(mirror.apply(removed(4, 2, 1)));
        assertOutOfDate();
        assertFalse(mirror.apply(removed(5, 1, 0)), "until it gets contents");
        assertOutOfDate();
        mirror.apply(new CacheContents(5, List.of(block(1, 0, 1, 2))));
        assertEquals(2, cached(1, 2, 3, 4, 5));
    }

    @Test
    void shouldBeOutOfDateWhereEventsAreLost() {
        begin();
        assertFalse(mirror.apply(new CacheEvent.Lost(3, 3)));
        assertOutOfDate();
    }

    @Test
    void shouldBeOutOfDateWhereAnEventDoesNotFit() {
        List<CacheEvent> unfit = List.of(
                stored(3, 3, 9, 5, 6), // behind an unknown parent
                stored(3, 2, 1, 5, 6), // a number that is taken
                stored(3, 3, 1, 5), // a block of another size
                stored(3, 3, 1),
                new CacheEvent.Stored(3, "b", List.of(), 3, 1, List.of(5, 6)), // behind a parent of another namespace
                new CacheEvent.Stored(3, "a", ADAPTER, 3, 1, List.of(5, 6)),
                removed(3, 9, 0), // not there
                removed(3, 1, 0)); // block 2 continues it
        for (CacheEvent event : unfit) {
            begin();
            assertFalse(mirror.apply(event), event::toString);
            assertOutOfDate();
        }
    }

    @Test
    void shouldRefuseContentsThatDoNotFit() {
        begin();
        assertEquals(
                "contents are parents first, each block once: block=2 parent=1 tokens=2",
                assertThrows(
                                IllegalArgumentException.class,
                                () -> mirror.apply(new CacheContents(9, List.of(block(2, 1, 3, 4), block(1, 0, 1, 2)))))
                        .getMessage());
        assertEquals(4, cached(1, 2, 3, 4, 5));
        assertEquals(2, mirror.number());
    }

    @Test
    void shouldAnswerNothingWhileSuspended() {
        begin();
        mirror.suspend();
        assertOutOfDate();
        assertTrue(mirror.apply(stored(3, 3, 2, 5, 6)), "it goes on");
        assertOutOfDate();
        mirror.resume();
        assertEquals(6, cached(1, 2, 3, 4, 5, 6, 7));
        mirror.suspend();
        mirror.apply(EMPTY);
        assertTrue(mirror.isUpToDate());
    }

    @Test
    void shouldFindEachOfManyBlocks() {
        mirror.apply(EMPTY);
        Random random = new Random(1);
        int count = 5_000;
        int[][] paths = new int[count + 1][];
        paths[0] = new int[0];
        for (int block = 1; block <= count; block++) {
            int parent = random.nextInt(block);
            paths[block] = IntStream.concat(IntStream.of(paths[parent]), IntStream.of(block, -block))
                    .toArray();
            assertTrue(mirror.apply(stored(block, block, parent, block, -block)));
        }
        for (int[] path : paths) {
            int[] prompt =
                    IntStream.concat(IntStream.of(path), IntStream.of(0, 0, 0)).toArray();
            assertEquals(path.length, cached(prompt));
        }
        for (int block = count; block > 0; block--) { // a parent has the smaller number
            int[] path = paths[block];
            assertTrue(mirror.apply(removed(2L * count + 1 - block, block, 0)));
            int[] prompt = IntStream.concat(IntStream.of(path), IntStream.of(0)).toArray();
            assertEquals(path.length - 2, cached(prompt));
        }
        assertEquals(0, mirror.blocks());
    }
}
