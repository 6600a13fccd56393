package io.kvcache;

import static io.kvcache.Prompts.BLOCK_BYTES;
import static io.kvcache.Prompts.LAYOUT;
import static io.kvcache.Prompts.compute;
import static io.kvcache.Prompts.prompt;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** What a policy of an embedder's own is told, and what it may answer. */
final class EvictionPolicyTest {
    @RegisterExtension
    final Caches caches = new Caches();

    /** Evicts what was released last, and writes down what it is told. */
    private static final class Mru implements EvictionPolicy {
        private final List<String> told = new ArrayList<>();
        private final TreeMap<Long, Integer> leaves = new TreeMap<>();
        private int wrongAnswer = -2;

        @Override
        public void opened(long now) {
            told.add("opened " + now);
        }

        @Override
        public void published(int block, long fingerprint, int depth, int label, long now) {
            told.add("published " + block + " depth " + depth + " label " + label + " at " + now);
        }

        @Override
        public void touched(int block, int label, long now) {
            told.add("touched " + block + " label " + label + " at " + now);
        }

        @Override
        public void evictable(int block, int group, long released) {
            told.add("evictable " + block + " group " + group);
            leaves.put(released, block);
        }

        @Override
        public void unevictable(int block) {
            told.add("unevictable " + block);
            leaves.values().remove(block);
        }

        @Override
        public int victim(int group) {
            return wrongAnswer != -2 ? wrongAnswer : leaves.lastEntry().getValue();
        }

        @Override
        public void removed(int block, boolean evicted) {
            told.add((evicted ? "evicted " : "removed ") + block);
        }

        List<String> told() {
            List<String> copy = List.copyOf(told);
            told.clear();
            return copy;
        }
    }

    private final Mru policy = new Mru();
    private long nanos = 1000;

    private KvCache cache(int blocks) {
        return caches.add(KvCache.builder(LAYOUT)
                .maximumBytes(blocks * BLOCK_BYTES)
                .evictionPolicy(maximumBlocks -> {
                    assertEquals(blocks, maximumBlocks);
                    return policy;
                })
                .clock(() -> nanos)
                .build());
    }

    @Test
    void shouldHearOfTheLifeOfABlock() {
        KvCache cache = cache(4);
        Namespace namespace = cache.namespace("a");
        nanos += 5;
        compute(namespace, OpenOptions.DEFAULT.withLabel(3), prompt(1, 2)).close();
        assertEquals(
                List.of(
                        "opened 5",
                        "published 0 depth 0 label 3 at 5",
                        "published 1 depth 1 label 3 at 5",
                        "evictable 1 group 0"),
                policy.told());
        nanos += 5;
        namespace.open(prompt(1, 2), OpenOptions.DEFAULT.withLabel(4)).close();
        assertEquals(
                List.of(
                        "opened 10",
                        "touched 0 label 4 at 10",
                        "unevictable 1",
                        "touched 1 label 4 at 10",
                        "evictable 1 group 0"),
                policy.told());
        compute(cache.namespace("b", NamespaceOptions.DEFAULT.withFloorBytes(BLOCK_BYTES)), prompt(2, 2))
                .closeForGood();
        assertEquals(
                List.of(
                        "opened 10",
                        "unevictable 1",
                        "evicted 1",
                        "evictable 0 group 0",
                        "published 1 depth 0 label 0 at 10",
                        "published 2 depth 1 label 0 at 10",
                        "evictable 2 group 1"),
                policy.told());
        cache.namespace("b").renew();
        assertEquals(
                List.of("unevictable 2", "removed 2", "evictable 1 group 1", "unevictable 1", "removed 1"),
                policy.told());
    }

    @Test
    void shouldDecide() {
        KvCache cache = cache(6);
        Namespace namespace = cache.namespace("a");
        compute(namespace, prompt(1, 2)).close();
        compute(namespace, prompt(2, 2)).close();
        compute(namespace, prompt(3, 2)).close(); // three blocks, two of them free
        assertEquals(8, namespace.probe(prompt(1, 2)));
        assertEquals(4, namespace.probe(prompt(2, 2)));
    }

    @Test
    void shouldBeRefusedAVictimThatCannotGo() {
        KvCache cache = cache(2);
        Namespace namespace = cache.namespace("a");
        compute(namespace, prompt(1, 1)).close();
        try (Sequence sequence = namespace.open(prompt(2, 1))) {
            for (int answer : new int[] {-1, 1, 1000}) {
                policy.wrongAnswer = answer;
                String message = Thrown.message(IllegalStateException.class, () -> sequence.tryReserve(8));
                assertTrue(
                        message.startsWith("the policy must choose an evictable leaf: block=" + answer + " group=0"),
                        message);
                cache.verify();
            }
            policy.wrongAnswer = -2;
            assertTrue(sequence.tryReserve(8));
        }
        assertThrows(IllegalStateException.class, () -> new LeafQueue().remove(3));
    }
}
