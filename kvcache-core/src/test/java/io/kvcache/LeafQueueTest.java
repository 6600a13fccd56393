package io.kvcache;

import static io.kvcache.Thrown.assertMisuse;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

final class LeafQueueTest {
    private static final int LISTS = 7;
    private static final int BLOCKS = 3_000;

    private final LeafQueue queue = new LeafQueue();

    /** The same as a map from key to block for each list. Keys are unique. */
    private final List<TreeMap<Long, Integer>> model = new ArrayList<>();

    private final Random random = new Random(1986);
    private long nextKey = 1 << 20;

    @Test
    void shouldAgreeWithSortedMaps() {
        for (int list = 0; list < LISTS; list++) {
            model.add(new TreeMap<>());
        }
        for (int i = 0; i < 1_000_000; i++) {
            boolean isGrowing = (i / 20_000) % 2 == 0; // full and empty in turn
            int block = random.nextInt(BLOCKS);
            if (!queue.contains(block) && (isGrowing || random.nextInt(4) == 0)) {
                add(random.nextInt(LISTS), block);
            } else if (queue.contains(block) && (!isGrowing || random.nextInt(4) == 0)) {
                removeFromListOf(block);
            }
            assertEnds(random.nextInt(LISTS));
        }
    }

    private void add(int list, int block) {
        boolean isLate = random.nextInt(10) < list; // in some lists never, in some more often than not
        long key = isLate ? random.nextLong(nextKey) : nextKey++;
        if (model.get(list).putIfAbsent(key, block) == null) {
            queue.add(list, block, key);
            assertEquals(list, queue.list(block));
            assertEquals(key, queue.key(block));
        }
    }

    /** The block, or one of the ends of its list. */
    private void removeFromListOf(int block) {
        int list = queue.list(block);
        int removed = switch (random.nextInt(3)) {
            case 0 -> queue.first(list);
            case 1 -> queue.last(list);
            default -> block;
        };
        assertEquals(removed, model.get(list).remove(queue.key(removed)));
        queue.remove(removed);
        assertFalse(queue.contains(removed));
    }

    private void assertEnds(int list) {
        TreeMap<Long, Integer> expected = model.get(list);
        assertEquals(expected.size(), queue.size(list));
        assertEquals(expected.isEmpty() ? LeafQueue.NONE : expected.firstEntry().getValue(), queue.first(list));
        assertEquals(expected.isEmpty() ? LeafQueue.NONE : expected.lastEntry().getValue(), queue.last(list));
    }

    @Test
    void shouldHandBlocksWithEqualKeysOutOnceEach() {
        for (int block = 0; block < 100; block++) {
            queue.add(0, block, block % 3);
        }
        for (int left = 100; left > 0; left--) {
            int block = left % 2 == 0 ? queue.first(0) : queue.last(0);
            assertEquals(block % 3, queue.key(block));
            for (int other = 0; other < 100; other++) {
                boolean isBeyond = left % 2 == 0 ? other % 3 < block % 3 : other % 3 > block % 3;
                assertFalse(isBeyond && queue.contains(other));
            }
            queue.remove(block);
        }
        assertEquals(0, queue.size(0));
        assertEquals(LeafQueue.NONE, queue.first(0));
    }

    @Test
    void shouldKnowNothingOfListsAndBlocksNeverUsed() {
        assertEquals(0, queue.size(99));
        assertEquals(LeafQueue.NONE, queue.first(99));
        assertEquals(LeafQueue.NONE, queue.last(99));
        assertFalse(queue.contains(-1));
        assertFalse(queue.contains(1_000_000));
    }

    @Test
    void shouldRefuseABlockTwiceAndOneThatIsNotThere() {
        queue.add(2, 5, 0);
        assertMisuse("block is in a list already: block=5 list=2", () -> queue.add(0, 5, 1));
        assertMisuse("block is in no list: block=6", () -> queue.remove(6));
        assertMisuse("block is in no list: block=-1", () -> queue.remove(-1));
    }
}
