package io.kvcache.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

final class OptimumPolicyTest {
    private static long optimum(Trace trace, int maximumBlocks) {
        return hits(trace, maximumBlocks, OfflinePolicy.OPTIMUM);
    }

    private static long hits(Trace trace, int maximumBlocks, TracePolicy policy) {
        return new Replay(trace)
                .run(maximumBlocks, policy.factory(trace), done -> {})
                .hitBlocks();
    }

    private static Trace trace(int[]... prompts) {
        List<TraceRequest> requests = Arrays.stream(prompts)
                .map(blocks -> new TraceRequest(0, blocks.length * Trace.TOKENS_PER_BLOCK, 1, 0, blocks))
                .toList();
        int distinct = (int)
                Arrays.stream(prompts).flatMapToInt(IntStream::of).distinct().count();
        return new Trace(requests, distinct);
    }

    private static int[] prompt(int... blocks) {
        return blocks;
    }

    @Test
    void shouldKeepWhatIsNeededSoonest() {
        // Belady's classic: the third block that comes up replaces the one which is needed later of the other two.
        Trace trace = trace(prompt(1), prompt(2), prompt(3), prompt(1), prompt(2), prompt(3), prompt(1), prompt(2));
        assertEquals(0, hits(trace, 2, ReplayPolicy.LRU));
        // 3 replaces 2, 1 hits; 2 replaces 1, 3 hits; 1 replaces 3, 2 hits.
        assertEquals(3, optimum(trace, 2));
        assertEquals(5, optimum(trace, 3));
    }

    @Test
    void shouldKeepThePrefixThatOneNeedsAgainRatherThanTheEndOfAnotherThatNobodyDoes() {
        Trace trace = trace(prompt(0, 1), prompt(5, 6), prompt(7), prompt(0, 1), prompt(5));
        assertEquals(3, optimum(trace, 4)); // 6 makes room for 7, so 0, 1 and 5 hit
        assertEquals(2, hits(trace, 4, ReplayPolicy.LRU)); // 1 makes room for 7: 0 hits, and 5
    }

    @Test
    void shouldTakeALeafEvenWhereItIsNeededAsSoonAsItsParent() {
        Trace trace = trace(prompt(0, 1, 2), prompt(9), prompt(0, 1, 2));
        assertEquals(2, optimum(trace, 3));
    }

    @Test
    void shouldKnowBlocksByTheirWholePath() {
        // Number 1 comes up behind 0 and behind 5; only the one behind 0 is needed again.
        Trace trace = trace(prompt(0, 1), prompt(5, 1), prompt(7), prompt(0, 1));
        assertEquals(2, optimum(trace, 4));
    }

    @Test
    void shouldServeAPromptThatIsTooLongAndThoseAfterIt() {
        Trace trace = trace(prompt(8), prompt(0, 1, 2, 3, 4), prompt(0, 1, 2, 3, 4), prompt(8), prompt(0, 1, 2));
        assertEquals(3 + 0 + 2, optimum(trace, 3));
    }

    /** Which numbers blocks have. */
    private enum Shape {
        /** One for each path, as a trace should have it. */
        BY_PATH,

        /** The place among the parent's children, against the rules of a trace: only paths tell blocks apart. */
        BY_PLACE;

        /** The number of a block from its parent's (-1: none) and its place. */
        int number(int parent, int place) {
            return this == BY_PATH ? 4 * (parent + 1) + place : place;
        }
    }

    private static Trace randomTrace(Shape shape, int branches, Random random) {
        int[][] prompts = new int[5 + random.nextInt(8)][];
        List<int[]> before = new ArrayList<>(List.of(prompt()));
        for (int i = 0; i < prompts.length; i++) {
            int[] start = before.get(random.nextInt(before.size())); // go on with an earlier one, or with a part of it
            int kept = random.nextInt(start.length + 1);
            int[] blocks = Arrays.copyOf(start, Math.min(5, kept + random.nextInt(4)));
            for (int depth = kept; depth < blocks.length; depth++) {
                int parent = depth == 0 ? -1 : blocks[depth - 1];
                blocks[depth] = shape.number(parent, random.nextInt(branches));
            }
            prompts[i] = blocks;
            before.add(blocks);
        }
        return trace(prompts);
    }

    @Test
    void shouldHitAsManyAsTheBestOfAllChoicesOfVictims() {
        Random random = new Random(1966);
        int roundsWithMoreThanLru = 0;
        for (int round = 0; round < 3_000; round++) {
            Shape shape = Shape.values()[round % 2];
            Trace trace = randomTrace(shape, 1 + random.nextInt(4), random);
            int maximumBlocks = 2 + random.nextInt(6);
            long best = new BestReplay(trace, maximumBlocks).hitBlocks();
            assertEquals(
                    best,
                    optimum(trace, maximumBlocks),
                    () -> "maximumBlocks=" + maximumBlocks + " trace="
                            + trace.requests().stream()
                                    .map(request -> Arrays.toString(request.blocks()))
                                    .toList());
            roundsWithMoreThanLru += best > hits(trace, maximumBlocks, ReplayPolicy.LRU) ? 1 : 0;
        }
        assertTrue(roundsWithMoreThanLru > 300, "too few rounds tell anything: " + roundsWithMoreThanLru);
    }

    @Test
    void shouldHitMoreThanAnyPolicyOnTheSample() {
        Trace sample = TraceReader.sample();
        for (int maximumBlocks : new int[] {20, 60, 150, 400}) {
            long optimum = optimum(sample, maximumBlocks);
            for (ReplayPolicy policy : ReplayPolicy.values()) {
                assertTrue(hits(sample, maximumBlocks, policy) < optimum, policy + " maximumBlocks=" + maximumBlocks);
            }
        }
        int all = sample.distinctBlocks();
        assertEquals(hits(sample, all, ReplayPolicy.LRU), optimum(sample, all));
    }
}
