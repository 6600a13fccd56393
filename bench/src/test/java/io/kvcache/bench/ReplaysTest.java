package io.kvcache.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.bench.Replays.Setup;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.agrona.concurrent.CachedNanoClock;
import org.junit.jupiter.api.Test;

final class ReplaysTest {
    private final Trace sample = TraceReader.sample();

    private static TraceRequest request(int... blocks) {
        return new TraceRequest(0, blocks.length * Trace.TOKENS_PER_BLOCK, 1, 0, blocks);
    }

    @Test
    void shouldAnswerAsAReplayDoesAndReplayOnce() {
        List<Setup> done = Collections.synchronizedList(new ArrayList<>());
        Replays replays = new Replays(sample, (setup, hitBlocks) -> done.add(setup));
        List<Setup> setups = TracePolicyNames.ALL.stream()
                .flatMap(policy -> IntStream.of(20, 150, 150).mapToObj(blocks -> new Setup(policy, blocks)))
                .toList();
        replays.replayAll(setups);
        assertEquals(setups.size() * 2 / 3, done.size());
        for (Setup setup : setups) {
            ReplayReport report =
                    new Replay(sample).run(setup.blocks(), setup.policy().factory(sample), requests -> {});
            assertEquals(report.hitBlocks(), replays.hitBlocks(setup));
            assertEquals(report.tokenHitRatio(), replays.tokenHitRatio(setup));
        }
        assertEquals(setups.size() * 2 / 3, done.size());
    }

    @Test
    void shouldKnowWithoutAReplayWhatRoomForAllHits() {
        Replays replays = new Replays(sample, (setup, hitBlocks) -> assertEquals("no replay", setup.toString()));
        int all = replays.distinctBlocks();
        assertEquals(sample.distinctBlocks(), all);
        long hits = new Replay(sample)
                .run(all, ReplayPolicy.LRU.factory(), requests -> {})
                .hitBlocks();
        assertEquals(hits, replays.reachableBlocks());
        assertEquals(hits, replays.hitBlocks(new Setup(ReplayPolicy.ARC, all)));
    }

    @Test
    void shouldTellBlocksApartByTheirWholePathAsACacheDoes() {
        Trace trace = new Trace(List.of(request(0, 1), request(2, 1), request(2, 1, 1), request(1), request(0, 1)), 3);
        Replays replays = new Replays(trace, (setup, hitBlocks) -> {});
        assertEquals(6, replays.distinctBlocks());
        assertEquals(4, replays.reachableBlocks());
        assertEquals(
                4,
                new Replay(trace)
                        .run(6, ReplayPolicy.LRU.factory(), requests -> {})
                        .hitBlocks());
    }

    @Test
    void shouldSayWhatFailed() {
        List<Callable<Integer>> tasks = List.of(() -> 1, () -> {
            throw new ArithmeticException("so be it");
        });
        IllegalStateException failure = assertThrows(IllegalStateException.class, () -> Replays.inParallel(tasks));
        assertEquals("a replay failed: reason=java.lang.ArithmeticException: so be it", failure.getMessage());
    }

    @Test
    void shouldSayAtMostOnceASecondHowManyAreDone() {
        CachedNanoClock clock = new CachedNanoClock();
        StringWriter out = new StringWriter();
        ReplaysProgress progress = new ReplaysProgress(clock, new PrintWriter(out));
        for (int done = 1; done <= 5; done++) {
            clock.advance(TimeUnit.MILLISECONDS.toNanos(600));
            progress.replayed(new Setup(ReplayPolicy.HDE, 100 * done), done);
        }
        assertEquals(
                List.of(
                        "replayed 2 times, at last with room for 200 blocks: hde hit 2",
                        "replayed 4 times, at last with room for 400 blocks: hde hit 4"),
                out.toString().lines().toList());
        assertTrue(out.toString().endsWith(System.lineSeparator()));
    }
}
