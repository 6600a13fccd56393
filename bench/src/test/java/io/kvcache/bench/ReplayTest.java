package io.kvcache.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.EvictionPolicy;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.agrona.concurrent.CachedNanoClock;
import org.junit.jupiter.api.Test;

final class ReplayTest {
    private static ReplayReport replay(Trace trace, int maximumBlocks, EvictionPolicy.Factory policy) {
        return new Replay(trace).run(maximumBlocks, policy, done -> {});
    }

    private static TraceRequest request(int... blocks) {
        return new TraceRequest(0, blocks.length * Trace.TOKENS_PER_BLOCK + 100, 10, 0, blocks);
    }

    @Test
    void shouldHitTheWholePathsOfAnUnboundedCache() {
        Trace trace = new Trace(List.of(request(0, 1, 2), request(0, 1, 2), request(0, 1, 3), request()), 4);
        ReplayReport report = replay(trace, 4, EvictionPolicy.lru());
        assertEquals(new ReplayReport(4, 9, 4, 5, 5 * 512 / (9 * 512 + 4 * 100.0)), report);
    }

    @Test
    void shouldKeepWhatThereIsRoomForOfAPathThatIsTooLong() {
        Trace trace = new Trace(List.of(request(0, 1, 2, 3, 4), request(0, 1, 2, 3, 4), request(9)), 6);
        assertEquals(3, replay(trace, 3, EvictionPolicy.lru()).hitBlocks());
    }

    @Test
    void shouldHitAsASlowSimulationOfLeastRecentlyUsedLeaves() {
        Trace sample = TraceReader.sample();
        for (int maximumBlocks : new int[] {1, 7, 20, 60, 150, 400, 1000, sample.distinctBlocks()}) {
            assertEquals(
                    new SlowLruReplay(maximumBlocks).hitBlocks(sample),
                    replay(sample, maximumBlocks, EvictionPolicy.lru()).hitBlocks(),
                    "maximumBlocks=" + maximumBlocks);
        }
    }

    @Test
    void shouldReplayAnyTraceWithEveryPolicyTheSameTwice() {
        Random random = new Random(77);
        List<TraceRequest> requests = IntStream.range(0, 2_000)
                .mapToObj(i -> request(IntStream.iterate(random.nextInt(5), block -> 3 * block + 5 + random.nextInt(3))
                        .limit(random.nextInt(6))
                        .toArray()))
                .toList();
        Trace trace = new Trace(requests, 2_000);
        for (TracePolicy policy : TracePolicyNames.ALL) {
            for (int maximumBlocks : new int[] {1, 4, 30, 200}) {
                ReplayReport report = replay(trace, maximumBlocks, policy.factory(trace));
                assertTrue(report.hitBlocks() > 0, policy + " " + maximumBlocks);
                assertEquals(report, replay(trace, maximumBlocks, policy.factory(trace)));
            }
        }
    }

    @Test
    void shouldSayEverySecondHowFarItIs() {
        CachedNanoClock clock = new CachedNanoClock();
        StringWriter out = new StringWriter();
        ReplayProgress progress = new ReplayProgress(9, clock, new PrintWriter(out));
        for (int done = 1; done <= 9; done++) {
            clock.advance(TimeUnit.MILLISECONDS.toNanos(300));
            progress.accept(done);
        }
        assertEquals(
                List.of("replayed 4 of 9 requests", "replayed 8 of 9 requests"),
                out.toString().lines().toList());
    }
}
