package io.kvcache.bench;

import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;

/**
 * What a replay with least recently used leaves should hit, said plainly: a cached block is a path from the first block on,
 * and room is made by the path used longest ago that no other one continues. Slow.
 *
 * <p>Not thread-safe.
 */
final class SlowLruReplay {
    private final int maximumBlocks;
    private final Map<List<Integer>, Long> lastUses = new HashMap<>(); // by path; a deeper block counts as used earlier
    private long clock;

    SlowLruReplay(int maximumBlocks) {
        this.maximumBlocks = maximumBlocks;
    }

    long hitBlocks(Trace trace) {
        return trace.requests().stream().mapToLong(this::serve).sum();
    }

    private long serve(TraceRequest request) {
        List<Integer> blocks = IntStream.of(request.blocks()).boxed().toList();
        Set<List<Integer>> held = new LinkedHashSet<>();
        for (int depth = 1; depth <= blocks.size(); depth++) {
            held.add(blocks.subList(0, depth));
        }
        long hits = held.stream().takeWhile(lastUses::containsKey).count();
        long wanted = held.size() - hits;
        Set<List<Integer>> found = new HashSet<>(held.stream().limit(hits).toList());
        while (lastUses.size() + wanted > maximumBlocks && evictOne(found)) {}
        int room = maximumBlocks - lastUses.size();
        List<List<Integer>> kept = held.stream().limit(hits + room).toList();
        for (List<Integer> path : kept.reversed()) {
            lastUses.put(path, clock++);
        }
        return hits;
    }

    private boolean evictOne(Set<List<Integer>> held) {
        Set<List<Integer>> parents = new HashSet<>();
        for (List<Integer> path : lastUses.keySet()) {
            parents.add(path.subList(0, path.size() - 1));
        }
        return lastUses.keySet().stream()
                .filter(path -> !parents.contains(path) && !held.contains(path))
                .min((left, right) -> Long.compare(use(left), use(right)))
                .map(lastUses::remove)
                .isPresent();
    }

    private long use(List<Integer> path) {
        return lastUses.getOrDefault(path, 0L);
    }
}
