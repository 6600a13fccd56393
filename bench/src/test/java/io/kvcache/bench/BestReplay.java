package io.kvcache.bench;

import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * The most that a replay can hit, found by trying every victim each time that room is needed. A cached block is a path from the
 * first block on, as in {@link SlowLruReplay}; only paths that no other one continues can go. Very slow.
 *
 * <p>Not thread-safe.
 */
final class BestReplay {
    private record State(int request, Set<List<Integer>> cached) {}

    private final int maximumBlocks;
    private final List<List<List<Integer>>> requests; // the paths of each, shortest first
    private final Map<State, Long> known = new HashMap<>();

    BestReplay(Trace trace, int maximumBlocks) {
        this.maximumBlocks = maximumBlocks;
        this.requests = trace.requests().stream()
                .map(request -> paths(IntStream.of(request.blocks()).boxed().toList()))
                .toList();
    }

    private static List<List<Integer>> paths(List<Integer> blocks) {
        return IntStream.rangeClosed(1, blocks.size())
                .mapToObj(depth -> List.copyOf(blocks.subList(0, depth)))
                .toList();
    }

    long hitBlocks() {
        return best(new State(0, Set.of()));
    }

    private long best(State state) {
        if (state.request == requests.size()) {
            return 0;
        }
        Long found = known.get(state);
        if (found == null) {
            found = serve(state);
            known.put(state, found);
        }
        return found;
    }

    private long serve(State state) {
        List<List<Integer>> wanted = requests.get(state.request);
        List<List<Integer>> held =
                wanted.stream().takeWhile(state.cached::contains).toList();
        int hits = held.size();
        int excess = state.cached.size() + wanted.size() - hits - maximumBlocks;
        Set<Set<List<Integer>>> outcomes = Set.of(state.cached);
        for (int victims = Math.min(excess, state.cached.size() - hits); victims > 0; victims--) {
            outcomes = outcomes.stream()
                    .flatMap(cached -> withoutOne(cached, held))
                    .collect(Collectors.toSet());
        }
        return hits
                + outcomes.stream()
                        .mapToLong(cached -> best(new State(state.request + 1, with(cached, wanted))))
                        .max()
                        .orElseThrow();
    }

    private static Stream<Set<List<Integer>>> withoutOne(Set<List<Integer>> cached, List<List<Integer>> held) {
        Set<List<Integer>> parents =
                cached.stream().map(path -> path.subList(0, path.size() - 1)).collect(Collectors.toSet());
        return cached.stream()
                .filter(path -> !parents.contains(path) && !held.contains(path))
                .map(victim -> {
                    Set<List<Integer>> rest = new HashSet<>(cached);
                    rest.remove(victim);
                    return rest;
                });
    }

    private Set<List<Integer>> with(Set<List<Integer>> cached, List<List<Integer>> wanted) {
        Set<List<Integer>> all = new HashSet<>(cached);
        for (List<Integer> path : wanted) {
            if (all.size() < maximumBlocks) {
                all.add(path);
            }
        }
        return all;
    }
}
