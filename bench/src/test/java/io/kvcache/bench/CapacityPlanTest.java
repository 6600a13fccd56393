package io.kvcache.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.KvLayout;
import io.kvcache.KvType;
import io.kvcache.bench.Replays.Setup;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

final class CapacityPlanTest {
    /** A block of 512 tokens takes 512 x 2 x 64 x 2 = 131,072 bytes. */
    private static final KvLayout LAYOUT = KvLayout.builder()
            .layers(1)
            .kvHeads(1)
            .headSize(64)
            .type(KvType.F16)
            .tokensPerBlock(Trace.TOKENS_PER_BLOCK)
            .build();

    private static final long BLOCK_BYTES = 131_072;
    private static final List<TracePolicy> POLICIES =
            List.of(ReplayPolicy.LRU, ReplayPolicy.HDE, OfflinePolicy.OPTIMUM);

    private static Replays replays(Trace trace) {
        return new Replays(trace, (setup, hitBlocks) -> {});
    }

    /** Prompts that go on with earlier ones, some milliseconds apart. */
    private static Trace randomTrace(int requests, Random random) {
        List<int[]> prompts = new ArrayList<>(List.of(new int[0]));
        List<TraceRequest> all = new ArrayList<>();
        int next = 0;
        for (int i = 0; i < requests; i++) {
            int[] before = prompts.get((int) (prompts.size() * Math.sqrt(random.nextDouble())));
            int[] blocks = Arrays.copyOf(before, before.length + random.nextInt(3));
            for (int depth = before.length; depth < blocks.length; depth++) {
                blocks[depth] = next++;
            }
            prompts.add(blocks);
            all.add(new TraceRequest(700L * i, blocks.length * Trace.TOKENS_PER_BLOCK + 9, 1, 0, blocks));
        }
        return new Trace(all, next);
    }

    @Test
    void shouldSayWhatEachSizeHitsSmallestFirst() {
        Trace trace = randomTrace(200, new Random(1));
        Replays replays = replays(trace);
        PlanReport report = new CapacityPlan(replays, LAYOUT, POLICIES)
                .report(List.of(64 * BLOCK_BYTES - 1, 7 * BLOCK_BYTES + 1, Long.MAX_VALUE, 7 * BLOCK_BYTES + 1));
        assertEquals(BLOCK_BYTES, report.blockBytes());
        assertEquals(256, report.bytesPerToken());
        assertEquals(trace.distinctBlocks() * BLOCK_BYTES, report.distinctBytes());
        assertEquals(trace.blockReferences() - trace.distinctBlocks(), report.reachableBlocks());
        int[] capacities = {7, 63, trace.distinctBlocks()};
        assertEquals(capacities.length * POLICIES.size(), report.sizes().size());
        int at = 0;
        for (int capacity : capacities) {
            for (TracePolicy policy : POLICIES) {
                PlanReport.Size size = report.sizes().get(at++);
                ReplayReport expected = new Replay(trace).run(capacity, policy.factory(trace), requests -> {});
                assertEquals(capacity, size.blocks());
                assertEquals(policy.label(), size.policy());
                assertEquals(expected.hitBlocks(), size.hitBlocks());
                assertEquals(expected.tokenHitRatio(), size.tokenHitRatio());
            }
        }
    }

    @Test
    void shouldFindMemoryThatIsEnoughWhereTwoPercentLessIsNot() {
        Random random = new Random(2);
        for (int round = 0; round < 10; round++) {
            Replays replays = replays(randomTrace(150, random));
            CapacityPlan plan = new CapacityPlan(replays, LAYOUT, POLICIES);
            PlanReport report = plan.report(plan.ladder());
            assertEquals(
                    POLICIES.size() * CapacityPlan.PARTS.length, report.needs().size());
            for (PlanReport.Need need : report.needs()) {
                TracePolicy policy = new TracePolicyNames().convert(need.policy());
                long enough = Math.ceilDiv(report.reachableBlocks() * need.percentOfReachable(), 100L);
                assertEquals(need.hitBlocks(), replays.hitBlocks(new Setup(policy, need.blocks())));
                assertTrue(need.hitBlocks() >= enough, need.toString());
                assertEquals(need.blocks() * BLOCK_BYTES, need.memoryBytes());
                // Blocks are few enough that 2% is one of them, or two.
                boolean lessIsTooLittle = replays.hitBlocks(new Setup(policy, need.blocks() - 1)) < enough
                        || replays.hitBlocks(new Setup(policy, Math.max(1, need.blocks() - 2))) < enough
                        || replays.hitBlocks(new Setup(policy, Math.max(1, need.blocks() - 3))) < enough;
                assertTrue(lessIsTooLittle, need.toString());
            }
        }
    }

    @Test
    void shouldNeedLeastWhereTheFutureIsKnown() {
        CapacityPlan plan = new CapacityPlan(replays(TraceReader.sample()), LAYOUT, POLICIES);
        List<PlanReport.Need> needs = plan.report(plan.ladder()).needs();
        PlanReport.Need lru = needs.getFirst();
        PlanReport.Need optimum = needs.get(2 * CapacityPlan.PARTS.length);
        assertEquals("optimum", optimum.policy());
        assertTrue(optimum.blocks() < lru.blocks(), needs.toString());
    }

    @Test
    void shouldLookAtPowersOfTwoUpToRoomForAll() {
        Trace trace = randomTrace(3_000, new Random(3));
        List<Long> ladder = new CapacityPlan(replays(trace), LAYOUT, POLICIES).ladder();
        long all = trace.distinctBlocks() * BLOCK_BYTES;
        assertTrue(ladder.size() == 11 || ladder.size() == 10, ladder.toString());
        assertTrue(ladder.getLast() >= all && ladder.getLast() / 2 < all, ladder.toString());
        for (int i = 0; i < ladder.size(); i++) {
            assertEquals(1, Long.bitCount(ladder.get(i)));
            assertEquals(ladder.getFirst() << i, ladder.get(i));
        }
    }

    @Test
    void shouldHaveNothingToSayWhereNothingComesAgain() {
        Trace once = new Trace(List.of(new TraceRequest(0, 1030, 1, 0, new int[] {0, 1})), 2);
        Trace none = new Trace(List.of(new TraceRequest(0, 30, 1, 0, new int[0])), 0);
        for (Trace trace : List.of(once, none)) {
            CapacityPlan plan = new CapacityPlan(replays(trace), LAYOUT, POLICIES);
            PlanReport report = plan.report(plan.ladder());
            assertEquals(0, report.reachableBlocks());
            assertEquals(List.of(), report.needs());
            assertTrue(report.sizes().stream().allMatch(size -> size.hitBlocks() == 0));
            assertTrue(PlanText.of(report).endsWith("no block is asked for twice: no memory is worth anything here"));
        }
    }

    @Test
    void shouldRefuseMemoryBelowABlockAndMoreBytesThanALongCounts() {
        Replays replays = replays(TraceReader.sample());
        CapacityPlan plan = new CapacityPlan(replays, LAYOUT, POLICIES);
        assertEquals(
                "memory must hold a block: memory=131071 blockBytes=131072",
                assertThrows(IllegalArgumentException.class, () -> plan.report(List.of(BLOCK_BYTES - 1)))
                        .getMessage());
        KvLayout huge = KvLayout.builder()
                .layers(1 << 16)
                .kvHeads(1 << 14)
                .headSize(1 << 10)
                .type(KvType.F32)
                .tokensPerBlock(Trace.TOKENS_PER_BLOCK)
                .build();
        assertEquals(
                "all blocks have more bytes than a long counts: distinctBlocks=2439 blockBytes=4503599627370496",
                assertThrows(IllegalArgumentException.class, () -> new CapacityPlan(replays, huge, POLICIES))
                        .getMessage());
    }

    @Test
    void shouldPlanTheLargestThatALongCounts() {
        KvLayout huge = KvLayout.builder()
                .layers(1 << 15)
                .kvHeads(1 << 15)
                .headSize(1 << 14)
                .type(KvType.F32)
                .tokensPerBlock(Trace.TOKENS_PER_BLOCK)
                .build(); // 2^56 bytes a block
        Trace trace = randomTrace(90, new Random(4));
        assertTrue(trace.distinctBlocks() > 64 && trace.distinctBlocks() < 128, "blocks=" + trace.distinctBlocks());
        CapacityPlan plan = new CapacityPlan(replays(trace), huge, POLICIES);
        List<Long> ladder = plan.ladder();
        assertEquals(1L << 62, ladder.getLast()); // the next one is no long
        assertEquals(64, plan.report(ladder).sizes().getLast().blocks());
    }
}
