package io.kvcache.bench;

import io.kvcache.KvLayout;
import io.kvcache.bench.PlanReport.Need;
import io.kvcache.bench.PlanReport.Size;
import io.kvcache.bench.Replays.Setup;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.stream.LongStream;

/**
 * Finds out by replays what sizes of memory do for a trace, with keys and values of a given shape.
 *
 * <p>More memory need not hit more under every policy. So the memory for a part of what can be reached is searched for above the
 * largest size known to miss that part: all sizes that were replayed from the answer up reach it. Sizes between
 * them were not, and a smaller one may reach it too.
 *
 * <p>Not thread-safe: one caller; replays run in threads of their own.
 */
final class CapacityPlan {
    /** Of what can be reached, in percent. */
    static final int[] PARTS = {90, 99};

    /** The first size of the ladder is that much below what everything needs, at most: ten steps. */
    private static final int LADDER_SPAN = 1024;

    private static final double LARGEST_STEP = 1.02;

    private final Replays replays;
    private final KvLayout layout;
    private final List<TracePolicy> policies;
    private final long distinctBytes;

    /**
     * Makes a plan.
     *
     * @param layout with the blocks of a trace
     * @throws IllegalArgumentException if all blocks have more bytes than a long counts
     */
    CapacityPlan(Replays replays, KvLayout layout, List<TracePolicy> policies) {
        this.replays = replays;
        this.layout = layout;
        this.policies = List.copyOf(policies);
        int distinctBlocks = replays.distinctBlocks();
        if (distinctBlocks > Long.MAX_VALUE / layout.blockBytes()) {
            throw new IllegalArgumentException("all blocks have more bytes than a long counts: distinctBlocks="
                    + distinctBlocks + " blockBytes=" + layout.blockBytes());
        }
        this.distinctBytes = distinctBlocks * layout.blockBytes();
    }

    /** Powers of two, the last of which has room for everything. */
    List<Long> ladder() {
        long first = Math.max(layout.blockBytes(), distinctBytes / LADDER_SPAN);
        long last = Math.max(layout.blockBytes(), distinctBytes);
        return LongStream.iterate(powerOfTwo(first), size -> size > 0 && size / 2 < last, size -> 2 * size)
                .boxed()
                .toList();
    }

    /** The lowest that is not below; what is above the highest of a long stays as it is. */
    private static long powerOfTwo(long bytes) {
        long power = Long.highestOneBit(bytes);
        return power == bytes || 2 * power < 0 ? bytes : 2 * power;
    }

    /**
     * Replays.
     *
     * @param memories sizes in bytes
     * @throws IllegalArgumentException if a size holds no block
     */
    PlanReport report(List<Long> memories) {
        List<Long> sizes = memories.stream().sorted().distinct().toList();
        List<Integer> capacities = sizes.stream().map(this::blocks).toList();
        replays.replayAll(setups(capacities));
        Trace trace = replays.trace();
        return new PlanReport(
                trace.requests().size(),
                trace.blockReferences(),
                replays.distinctBlocks(),
                layout.bytesPerToken(),
                layout.blockBytes(),
                distinctBytes,
                replays.reachableBlocks(),
                ReplayReport.of(trace, replays.reachableBlocks()).tokenHitRatio(),
                sizes.stream()
                        .flatMap(size -> policies.stream().map(policy -> size(size, policy)))
                        .toList(),
                replays.reachableBlocks() == 0 ? List.of() : needs(capacities));
    }

    private int blocks(long memoryBytes) {
        long blocks = memoryBytes / layout.blockBytes();
        if (blocks == 0) {
            throw new IllegalArgumentException(
                    "memory must hold a block: memory=" + memoryBytes + " blockBytes=" + layout.blockBytes());
        }
        return (int) Math.min(blocks, Math.max(1, replays.distinctBlocks()));
    }

    private List<Setup> setups(List<Integer> capacities) {
        return capacities.stream()
                .flatMap(blocks -> policies.stream().map(policy -> new Setup(policy, blocks)))
                .toList();
    }

    private Size size(long memoryBytes, TracePolicy policy) {
        Setup setup = new Setup(policy, blocks(memoryBytes));
        return new Size(
                memoryBytes, setup.blocks(), policy.label(), replays.hitBlocks(setup), replays.tokenHitRatio(setup));
    }

    private List<Need> needs(List<Integer> capacities) {
        List<Callable<List<Need>>> searches = policies.stream()
                .<Callable<List<Need>>>map(policy -> () -> needs(policy, capacities))
                .toList();
        return Replays.inParallel(searches).stream().flatMap(List::stream).toList();
    }

    private List<Need> needs(TracePolicy policy, List<Integer> capacities) {
        CapacitySearch search = new CapacitySearch(
                blocks -> replays.hitBlocks(new Setup(policy, blocks)), replays.distinctBlocks(), LARGEST_STEP);
        capacities.forEach(search::measure);
        List<Need> needs = new ArrayList<>();
        for (int percent : PARTS) {
            int blocks = search.capacityFor(Math.ceilDiv(replays.reachableBlocks() * percent, 100L));
            long hitBlocks = replays.hitBlocks(new Setup(policy, blocks));
            needs.add(new Need(percent, policy.label(), blocks * layout.blockBytes(), blocks, hitBlocks));
        }
        return needs;
    }
}
