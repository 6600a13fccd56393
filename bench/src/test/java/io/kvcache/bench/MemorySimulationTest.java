package io.kvcache.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

final class MemorySimulationTest {
    private static TraceRequest request(int inputTokens, int outputTokens) {
        return new TraceRequest(0, inputTokens, outputTokens, 0, new int[0]);
    }

    private static MemoryOutcome simulate(TokenStorage storage, TraceRequest... requests) {
        return new MemorySimulation(storage, List.of(requests), requests.length).run();
    }

    private static void grow(TokenStorage.Stored stored, int tokens) {
        for (int i = 0; i < tokens; i++) {
            assertTrue(stored.tryGrow());
        }
    }

    private static TokenStorage.Stored start(TokenStorage storage, int tokens) {
        return Objects.requireNonNull(storage.start(tokens));
    }

    @Test
    void shouldSetAsideTheLongestRequestForEachSequence() {
        try (TokenStorage storage = new ContiguousBuffers(250, 100, BufferRule.WHOLE_CONTEXT)) {
            TokenStorage.Stored one = start(storage, 3);
            assertNotNull(storage.start(99));
            assertNull(storage.start(1));
            assertEquals(200, storage.reservedSlots());
            grow(one, 97);
            assertEquals(200, storage.reservedSlots());
            assertThrows(IllegalStateException.class, one::tryGrow);
            one.release();
            assertEquals(100, storage.reservedSlots());
        }
    }

    @Test
    void shouldDoublePowersOfTwoFromSixteenOnUpToTheLongest() {
        try (TokenStorage storage = new ContiguousBuffers(200, 100, BufferRule.POWER_OF_TWO)) {
            TokenStorage.Stored stored = start(storage, 3);
            assertEquals(16, storage.reservedSlots());
            grow(stored, 13);
            assertEquals(16, storage.reservedSlots());
            grow(stored, 1);
            assertEquals(32, storage.reservedSlots());
            assertEquals(16 + 32, storage.peakReservedSlots());
            grow(stored, 47);
            assertEquals(64, storage.reservedSlots());
            grow(stored, 1);
            assertEquals(100, storage.reservedSlots());
            assertEquals(64 + 100, storage.peakReservedSlots());
            stored.release();
            start(storage, 16);
            assertEquals(32, storage.reservedSlots(), "room for one more than the prompt");
        }
    }

    @Test
    void shouldFitThePromptAndOneTokenExactlyThenDouble() {
        try (TokenStorage storage = new ContiguousBuffers(60, 50, BufferRule.EXACT)) {
            TokenStorage.Stored stored = start(storage, 19);
            assertEquals(20, storage.reservedSlots());
            grow(stored, 1);
            grow(stored, 1);
            assertEquals(40, storage.reservedSlots());
            assertEquals(60, storage.peakReservedSlots());
        }
    }

    @Test
    void shouldNotDoubleWhereOldAndNewDoNotFitSideBySide() {
        try (TokenStorage storage = new ContiguousBuffers(59, 50, BufferRule.EXACT)) {
            TokenStorage.Stored stored = start(storage, 19);
            grow(stored, 1);
            assertFalse(stored.tryGrow());
            assertEquals(20, stored.tokens());
            assertEquals(20, storage.reservedSlots());
            assertEquals(20, storage.peakReservedSlots());
        }
    }

    @Test
    void shouldTakeWholeBlocks() {
        Random random = new Random(5);
        for (int tokensPerBlock : new int[] {16, 64}) {
            try (TokenStorage storage = new PagedBlocks(64 * 400, 5_000, tokensPerBlock)) {
                List<TokenStorage.Stored> running = new ArrayList<>();
                long most = 0;
                for (int i = 0; i < 2_000; i++) {
                    if (running.size() < 8 && random.nextInt(4) == 0) {
                        TokenStorage.Stored stored = storage.start(random.nextInt(3_000));
                        Stream.ofNullable(stored).forEach(running::add);
                    }
                    running.forEach(TokenStorage.Stored::tryGrow);
                    // The slot behind a prompt is reserved at start, and has its token now.
                    long expected = running.stream()
                            .mapToLong(
                                    stored -> (stored.tokens() + tokensPerBlock - 1L) / tokensPerBlock * tokensPerBlock)
                            .sum();
                    assertEquals(expected, storage.reservedSlots());
                    most = Math.max(most, expected);
                    if (!running.isEmpty() && random.nextInt(20) == 0) {
                        running.remove(random.nextInt(running.size())).release();
                    }
                }
                assertEquals(most, storage.peakReservedSlots());
                running.forEach(TokenStorage.Stored::release);
            }
        }
    }

    @Test
    void shouldRefuseABlockTooMany() {
        try (TokenStorage storage = new PagedBlocks(64, 64, 16)) {
            TokenStorage.Stored one = start(storage, 31);
            assertNull(storage.start(32));
            TokenStorage.Stored two = start(storage, 31);
            grow(one, 1);
            assertFalse(one.tryGrow());
            two.release();
            assertTrue(one.tryGrow());
            assertEquals(48, storage.reservedSlots());
            one.release();
        }
    }

    /** Two requests fit at a time; steps worked out by hand. */
    @Test
    void shouldServeInOrderWhileRoomLasts() {
        TraceRequest[] requests = {request(4, 2), request(2, 1), request(7, 3), request(5, 1)};
        try (TokenStorage storage = new ContiguousBuffers(20, 10, BufferRule.WHOLE_CONTEXT)) {
            MemoryOutcome outcome = simulate(storage, requests);
            // Step 0: lengths 5 and 3, the second leaves. 1: 6 and 8, the first leaves. The last request starts in step
            // 2: 9 and 6.
            assertEquals(3, outcome.steps());
            assertEquals(2, outcome.peakSequences());
            assertEquals(2, outcome.meanSequences());
            assertEquals(20, outcome.meanReservedSlots());
            assertEquals((8 + 14 + 15) / 3.0, outcome.meanUsedTokens(), 1e-9);
            assertEquals(0, outcome.preemptions());
            assertEquals(1 - 37 / 60.0, outcome.wasteShare(), 1e-9);
        }
    }

    @Test
    void shouldLetTheLatestGiveWayAndGoOnWhereItWas() {
        // Buffers of exactly the prompt and a token: 6 and 4 slots of 25. In step 1 the first needs 12 beside its 6:
        // the second has 4.
        TraceRequest[] requests = {request(5, 4), request(3, 2), request(1, 1)};
        try (TokenStorage storage = new ContiguousBuffers(21, 12, BufferRule.EXACT)) {
            MemoryOutcome outcome = simulate(storage, requests);
            // Step 0: 6 of 6, 4 of 4, 2 of 2, all three have started.
            assertEquals(1, outcome.steps());
            assertEquals(12, outcome.meanUsedTokens());
        }
        try (TokenStorage storage = new ContiguousBuffers(21, 12, BufferRule.EXACT)) {
            TraceRequest[] more = {request(5, 4), request(3, 2), request(11, 1), request(1, 1)};
            MemoryOutcome outcome = simulate(storage, more);
            // Step 0: 6 of 6 and 4 of 4; the third needs 12, 11 are free.
            // Step 1: the first doubles, 6 + 12 + 4 are too many: the second, 4 tokens, gives way; 7 of 12.
            // Step 2: the second starts with 5 slots; 8 of 12, 5 of 5; it leaves.
            // Step 3: 9 of 12; it leaves. Step 4: the third, 12 of 12, and the fourth, 2 of 2, start.
            assertEquals(1, outcome.preemptions());
            assertEquals(4, outcome.recomputedTokens());
            assertEquals(5, outcome.steps());
            assertEquals((10 + 7 + 13 + 9 + 14) / 5.0, outcome.meanUsedTokens(), 1e-9);
            assertEquals((10 + 12 + 17 + 12 + 14) / 5.0, outcome.meanReservedSlots(), 1e-9);
            assertEquals(18, outcome.peakReservedSlots());
        }
    }

    /** A slot is a token; it remembers with how many tokens sequences started. */
    private static final class Tokens implements TokenStorage {
        private static final int SLOTS = 20;

        final List<Integer> starts = new ArrayList<>();
        private int used;

        @Override
        public @Nullable Stored start(int tokens) {
            if (used + tokens + 1 > SLOTS) {
                return null;
            }
            starts.add(tokens);
            used += tokens;
            return new Stored() {
                private int held = tokens;

                @Override
                public int tokens() {
                    return held;
                }

                @Override
                public boolean tryGrow() {
                    if (used == SLOTS) {
                        return false;
                    }
                    used++;
                    held++;
                    return true;
                }

                @Override
                public void release() {
                    used -= held;
                }
            };
        }

        @Override
        public long reservedSlots() {
            return used;
        }

        @Override
        public long peakReservedSlots() {
            return SLOTS;
        }

        @Override
        public void close() {}
    }

    @Test
    void shouldStartThoseThatGaveWayInTheOrderInWhichTheyStartedFirst() {
        Tokens storage = new Tokens();
        simulate(storage, request(6, 10), request(5, 12), request(4, 3), request(19, 1));
        // The third gives way with 5 tokens, then the second with 9, which need 10 slots: both wait until the first has
        // left, though the third would fit before.
        assertEquals(List.of(6, 5, 4, 9, 5, 19), storage.starts);
    }

    @Test
    void shouldBeginTheTraceAnewWhereItIsShort() {
        try (TokenStorage storage = new ContiguousBuffers(10, 10, BufferRule.WHOLE_CONTEXT)) {
            MemoryOutcome outcome = new MemorySimulation(storage, List.of(request(1, 3), request(1, 5)), 5).run();
            assertEquals(3 + 5 + 3 + 5 + 1, outcome.steps());
            assertEquals(1, outcome.meanSequences());
        }
    }

    @Test
    void shouldRefuseAMemoryThatIsTooSmallForARequest() {
        try (TokenStorage storage = new ContiguousBuffers(25, 100, BufferRule.EXACT)) {
            assertThrows(IllegalStateException.class, () -> simulate(storage, request(8, 20), request(20, 1)));
            assertThrows(IllegalStateException.class, () -> simulate(storage, request(30, 1)));
        }
    }

    @Test
    void shouldKeepMeansOfLongTimelines() {
        MemoryTimeline timeline = new MemoryTimeline();
        int steps = 12_345;
        for (int step = 0; step < steps; step++) {
            timeline.add(step, 2L * step, step);
        }
        MemoryOutcome outcome = timeline.outcome(7, 8, 9);
        assertEquals((steps - 1) / 2.0, outcome.meanSequences());
        assertEquals(steps - 1, outcome.peakSequences());
        assertEquals(0.5, outcome.wasteShare());
        List<MemoryOutcome.Moment> line = outcome.timeline();
        assertTrue(line.size() > 150 && line.size() <= 400, "size=" + line.size());
        for (int i = 0; i < line.size(); i++) {
            MemoryOutcome.Moment moment = line.get(i);
            long end = i + 1 < line.size() ? line.get(i + 1).step() : steps;
            assertEquals((moment.step() + end - 1) / 2.0, moment.sequences());
            assertEquals(2 * moment.sequences(), moment.reservedSlots());
        }
    }
}
