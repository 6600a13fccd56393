package io.kvcache;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Compares the policy with its definition, worked out from scratch for every victim. */
final class HdePolicyTest {
    private static final int CAPACITY = 60;
    private static final int NAMES = 600;
    private static final int BUCKETS = 72;
    private static final double K = 200;

    private record Kind(boolean again, int label) {}

    private static final class Known {
        final int block;
        final int depth;
        Kind kind;
        long usedAt;

        Known(int block, int depth, Kind kind, long usedAt) {
            this.block = block;
            this.depth = depth;
            this.kind = kind;
            this.usedAt = usedAt;
        }
    }

    /** The definition; milliseconds, names of blocks stand for fingerprints. */
    private static final class Definition {
        final Map<Integer, Known> resident = new HashMap<>();
        final LinkedHashMap<Integer, Known> ghosts = new LinkedHashMap<>();
        final Map<Kind, double[]> hits = new HashMap<>();
        final Map<Kind, Integer> entries = new HashMap<>();
        Map<Kind, double[]> density = new HashMap<>();
        int requests;

        static int bucket(long age) {
            int bucket = age < 250 ? 0 : (int) Math.floor(4 * Math.log(age / 250.0) / Math.log(2) + 1e-9);
            return Math.min(bucket, BUCKETS - 1);
        }

        static double end(int bucket) {
            return 0.25 * Math.pow(2, (bucket + 1) / 4.0);
        }

        void request() {
            if (++requests % 50 == 0) {
                density = new HashMap<>();
                entries.keySet().forEach(kind -> density.put(kind, density(kind)));
            }
        }

        void use(Known known, Kind found, long now, int label, boolean again) {
            if (again) {
                hits.computeIfAbsent(found, kind -> new double[BUCKETS])[bucket(now - known.usedAt)]++;
            }
            known.kind = new Kind(again, label);
            known.usedAt = now;
            entries.merge(known.kind, 1, Integer::sum);
        }

        double[] density(Kind kind) {
            double all = entries.values().stream().mapToInt(n -> n).sum();
            double[] h = hits.getOrDefault(kind, new double[BUCKETS]).clone();
            for (int b = 0; b < BUCKETS; b++) {
                int bucket = b;
                h[b] += K
                        * hits.values().stream()
                                .mapToDouble(counts -> counts[bucket])
                                .sum()
                        / all;
            }
            double n = entries.getOrDefault(kind, 0) + K;
            double[] cost = IntStream.range(0, BUCKETS)
                    .mapToDouble(i -> {
                        double gone =
                                IntStream.range(0, i).mapToDouble(j -> h[j]).sum();
                        return (n - gone - h[i] / 2) * (end(i) - (i == 0 ? 0 : end(i - 1)));
                    })
                    .toArray();
            double[] best = new double[BUCKETS];
            for (int b = 0; b < BUCKETS; b++) {
                for (int e = b; e < BUCKETS; e++) {
                    best[b] = Math.max(best[b], sum(h, b, e) / sum(cost, b, e));
                }
            }
            return best;
        }

        private static double sum(double[] terms, int from, int to) {
            double sum = 0;
            for (int i = from; i <= to; i++) {
                sum += terms[i];
            }
            return sum;
        }

        double density(Known known, long now) {
            double[] ofKind = density.get(known.kind);
            return ofKind == null ? 0 : ofKind[bucket(now - known.usedAt)];
        }

        /** The oldest and the newest of every class, or the oldest of all where all are too young to be told apart. */
        List<Known> candidates(long now) {
            Known oldest = resident.values().stream().min(OLDER_THEN_DEEPER).orElseThrow();
            if (bucket(now - oldest.usedAt) == 0) {
                return List.of(oldest);
            }
            Map<Kind, List<Known>> byKind = new HashMap<>();
            resident.values()
                    .forEach(known -> byKind.computeIfAbsent(known.kind, kind -> new ArrayList<>())
                            .add(known));
            List<Known> candidates = new ArrayList<>();
            for (List<Known> sorted : byKind.values()) {
                sorted.sort(OLDER_THEN_DEEPER);
                candidates.add(sorted.getFirst());
                candidates.add(sorted.getLast());
            }
            return candidates;
        }
    }

    private static final Comparator<Known> OLDER_THEN_DEEPER =
            Comparator.comparingLong((Known known) -> known.usedAt).thenComparingInt(known -> -known.depth);

    /** The spread is the logarithm of the longest time between requests: 8 s, 55 ms and 7 ms. */
    @ParameterizedTest
    @ValueSource(ints = {9, 4, 2})
    void shouldChooseByItsDefinition(int spread) {
        Random random = new Random(11);
        EvictionPolicy policy = EvictionPolicy.hde().create(CAPACITY);
        Definition definition = new Definition();
        long now = 0;
        long released = 0;
        int fromGhosts = 0;
        int decided = 0;
        for (int request = 0; request < 6000; request++) {
            now += (long) Math.exp(random.nextDouble() * spread);
            policy.opened(now * 1_000_000);
            definition.request();
            int label = random.nextInt(3);
            int name = (int) Math.min(NAMES - 1.0, Math.abs(random.nextGaussian()) * (label == 0 ? 20 : 300));
            Known known = definition.resident.get(name);
            if (known != null) {
                policy.unevictable(known.block);
                policy.touched(known.block, label, now * 1_000_000);
                definition.use(known, known.kind, now, label, true);
            } else {
                int block = definition.resident.size();
                if (block == CAPACITY) {
                    block = evict(policy, definition, now);
                    decided += definition.density.isEmpty() ? 0 : 1;
                }
                Known ghost = definition.ghosts.remove(name);
                fromGhosts += ghost == null ? 0 : 1;
                known = new Known(block, name % 7, new Kind(false, label), ghost == null ? now : ghost.usedAt);
                policy.published(block, name, name % 7, label, now * 1_000_000);
                definition.use(known, ghost == null ? known.kind : ghost.kind, now, label, ghost != null);
                definition.resident.put(name, known);
            }
            policy.evictable(known.block, 0, released++);
        }
        assertTrue(fromGhosts > 500 && decided > 1000, "ghosts " + fromGhosts + " decisions " + decided);
    }

    @Test
    void shouldEvictWhatWasUsedLongestAgoWhileTimeStandsStill() {
        EvictionPolicy policy = EvictionPolicy.hde().create(CAPACITY);
        for (int request = 0; request < 50; request++) {
            policy.opened(0);
            policy.published(request, request, request % 7, 0, 0);
        }
        policy.opened(0);
        for (int again : new int[] {3, 0, 2}) { // a path of one request, deeper ones to go first
            policy.touched(again, 0, 0);
        }
        for (int request = 0; request < 50; request++) {
            policy.evictable(request, 0, request);
        }
        List<Integer> victims = new ArrayList<>();
        for (int i = 0; i < 50; i++) {
            int victim = policy.victim(0);
            policy.unevictable(victim);
            policy.removed(victim, true);
            victims.add(victim);
        }
        List<Integer> expected = new ArrayList<>(List.of(1));
        IntStream.range(4, 50).forEach(expected::add);
        expected.addAll(List.of(3, 2, 0));
        assertEquals(expected, victims);
    }

    private static int evict(EvictionPolicy policy, Definition definition, long now) {
        int victim = policy.victim(0);
        List<Known> candidates = definition.candidates(now);
        double lowest = candidates.stream()
                .mapToDouble(known -> definition.density(known, now))
                .min()
                .orElseThrow();
        Map.Entry<Integer, Known> chosen = definition.resident.entrySet().stream()
                .filter(entry -> entry.getValue().block == victim)
                .findFirst()
                .orElseThrow();
        assertEquals(lowest, definition.density(chosen.getValue(), now), lowest * 1e-9, "fewest hits a block-second");
        Known expected = candidates.stream()
                .filter(known -> definition.density(known, now) <= lowest * (1 + 1e-9))
                .min(OLDER_THEN_DEEPER)
                .orElseThrow();
        assertEquals(expected.usedAt, chosen.getValue().usedAt, "ties go by age");
        assertEquals(expected.depth, chosen.getValue().depth, "then by depth");
        policy.unevictable(victim);
        policy.removed(victim, true);
        definition.resident.remove(chosen.getKey());
        definition.ghosts.put(chosen.getKey(), chosen.getValue());
        if (definition.ghosts.size() > 4 * CAPACITY) {
            definition.ghosts.remove(definition.ghosts.keySet().iterator().next());
        }
        return victim;
    }
}
