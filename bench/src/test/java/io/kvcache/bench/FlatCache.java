package io.kvcache.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.kvcache.EvictionPolicy;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;

/**
 * A cache in which every block is a leaf: calls a policy as a cache does, and compares each victim with a model's. An id is in
 * the group {@code id % groups}, and its own fingerprint.
 *
 * <p>Not thread-safe.
 */
final class FlatCache {
    private static final int POPULAR_IDS = 300;

    private final EvictionPolicy policy;
    private final PolicyModel model;
    private final int groups;
    private final int mostHeld;
    private final Random random;
    private final Map<Long, Integer> blocks = new HashMap<>(); // by id
    private final ArrayDeque<Integer> freeBlocks = new ArrayDeque<>();
    private final ArrayDeque<Long> held = new ArrayDeque<>(); // an id once for each reference
    private long releases;

    /** Whoever asks for an id holds it until {@code mostHeld} others were asked for. */
    FlatCache(EvictionPolicy policy, PolicyModel model, int maximumBlocks, int groups, int mostHeld, long seed) {
        this.policy = policy;
        this.model = model;
        this.groups = groups;
        this.mostHeld = mostHeld;
        this.random = new Random(seed);
        for (int block = 0; block < maximumBlocks; block++) {
            freeBlocks.add(block);
        }
    }

    /** One group, nothing held. */
    FlatCache(EvictionPolicy policy, PolicyModel model, int maximumBlocks) {
        this(policy, model, maximumBlocks, 1, 0, 0);
    }

    Set<Long> ids() {
        return blocks.keySet();
    }

    void request(long... ids) {
        for (long id : ids) {
            request(id);
        }
    }

    /** Popular ids, scans of ids that do not come back soon, and now and then an erasure. */
    void requestAtRandom(int requests) {
        long scan = POPULAR_IDS;
        for (int i = 0; i < requests; i++) {
            int kind = random.nextInt(100);
            if (kind < 20) {
                request(scan++ % (10 * POPULAR_IDS));
            } else {
                request((long) (POPULAR_IDS * Math.pow(random.nextDouble(), 3)));
            }
            if (kind == 99) {
                eraseAny();
            }
        }
    }

    private void request(long id) {
        Integer block = blocks.get(id);
        if (block == null) {
            publish(id);
        } else {
            if (!held.contains(id)) {
                policy.unevictable(block);
            }
            policy.touched(block, 0, 0);
            model.touched(id);
        }
        held.add(id);
        if (held.size() > mostHeld) {
            release(held.remove());
        }
    }

    private void publish(long id) {
        if (freeBlocks.isEmpty()) {
            evict();
        }
        int block = freeBlocks.remove();
        blocks.put(id, block);
        policy.published(block, id, 0, 0, 0);
        model.published(id);
    }

    private void release(long id) {
        releases++;
        if (!held.contains(id)) {
            policy.evictable(block(id), group(id), releases);
            model.released(id);
        }
    }

    private void evict() {
        List<Long> candidates = evictable();
        int group = group(candidates.get(random.nextInt(candidates.size())));
        long expected = model.victim(id -> group(id) == group && candidates.contains(id));
        assertEquals(block(expected), policy.victim(group));
        remove(expected, true);
    }

    private void eraseAny() {
        List<Long> candidates = evictable();
        if (!candidates.isEmpty()) {
            remove(candidates.get(random.nextInt(candidates.size())), false);
        }
    }

    private List<Long> evictable() {
        return blocks.keySet().stream().filter(id -> !held.contains(id)).toList();
    }

    private void remove(long id, boolean evicted) {
        int block = block(id);
        policy.unevictable(block);
        policy.removed(block, evicted);
        model.removed(id, evicted);
        blocks.remove(id);
        freeBlocks.add(block);
    }

    private int block(long id) {
        return blocks.getOrDefault(id, -1);
    }

    private int group(long id) {
        return (int) (id % groups);
    }
}
