package io.kvcache.demo;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.KvCache;
import io.kvcache.KvLayout;
import io.kvcache.NamespaceOptions;
import io.kvcache.Sequence;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The loop schedules, makes room, forks, guesses and shifts, on a model that sees every wrong key. */
@SuppressWarnings("FutureReturnValueIgnored") // a test looks at the results that it is about
final class DecodeLoopTest {
    private static final int VOCABULARY = 50;
    private static final int CONTEXT = 256;
    private static final int TOKENS_PER_BLOCK = 8;

    private final KvLayout layout = WitnessModel.layout(TOKENS_PER_BLOCK);
    private final List<String> told = new ArrayList<>(); // names of requests, in the order of their tokens
    private WitnessModel model = new WitnessModel(VOCABULARY, CONTEXT, 64);
    private KvCache cache = cacheOf(64);
    private long nanos;
    private DecodeLoop loop = loop(DecodeOptions.DEFAULT);

    private KvCache cacheOf(int blocks) {
        return KvCache.builder(layout)
                .maximumBytes(blocks * layout.blockBytes())
                .clock(() -> nanos)
                .seed(1)
                .build();
    }

    private DecodeLoop loop(DecodeOptions options) {
        return new DecodeLoop(model, cache, -1, options, () -> nanos);
    }

    /** Starts anew with another cache and other options. */
    private void use(int blocks, DecodeOptions options) {
        loop.close();
        cache.close();
        cache = cacheOf(blocks);
        loop = loop(options);
    }

    @AfterEach
    void nothingIsLost() {
        loop.close();
        cache.verify();
        assertEquals(0, cache.stats().openSequences());
        assertEquals(0, cache.stats().usedBlocks() - sessionBlocks());
        cache.close();
    }

    private int sessionBlocks() {
        return cache.stats().sessions() == 0 ? 0 : cache.stats().usedBlocks();
    }

    private static int[] prompt(int seed, int length) {
        return new Random(seed).ints(length, 0, VOCABULARY).toArray();
    }

    private DecodeRequest.Builder named(String name, int[] prompt, int tokens) {
        return DecodeRequest.builder(prompt).maxTokens(tokens).listener((sample, token) -> told.add(name));
    }

    private CompletableFuture<DecodeResult> submit(int[] prompt, int tokens) {
        return loop.submit(DecodeRequest.builder(prompt).maxTokens(tokens).build());
    }

    private static void assertContinues(int[] prompt, DecodeResult result, int tokens) {
        for (Sample sample : result.samples()) {
            assertArrayEquals(WitnessModel.continuation(prompt, tokens, VOCABULARY), sample.tokens());
        }
    }

    // ---- plain ----

    @Test
    void shouldContinueManyPromptsAtOnce() {
        List<CompletableFuture<DecodeResult>> results = IntStream.range(0, 10)
                .mapToObj(i -> submit(prompt(i, 5 + 3 * i), 10 + i))
                .toList();
        loop.run();
        for (int i = 0; i < results.size(); i++) {
            assertContinues(prompt(i, 5 + 3 * i), results.get(i).join(), 10 + i);
        }
        assertEquals(10, loop.stats().completed());
        assertTrue(loop.stats().steps() < 30, "ten ran side by side: " + loop.stats());
    }

    @Test
    void shouldComputeLongPromptsInChunksWhileOthersGenerate() {
        submit(prompt(1, 4), 40);
        loop.step();
        CompletableFuture<DecodeResult> result = submit(prompt(2, 200), 3);
        for (int rows : new int[] {63, 63, 63, 11}) {
            long before = model.computedRows;
            loop.step();
            assertEquals(rows + 1, model.computedRows - before, "the other one goes on");
        }
        loop.run();
        assertContinues(prompt(2, 200), result.join(), 3);
    }

    @Test
    void shouldEndASampleAtTheEndOfSequence() {
        int[] text = WitnessModel.continuation(prompt(3, 9), 12, VOCABULARY);
        loop = new DecodeLoop(model, cache, text[7], DecodeOptions.DEFAULT, () -> nanos);
        CompletableFuture<DecodeResult> result = submit(prompt(3, 9), 12);
        loop.run();
        Sample sample = result.join().samples().getFirst();
        assertArrayEquals(
                Arrays.copyOf(
                        text,
                        IntStream.range(0, 8)
                                .filter(i -> text[i] == text[7])
                                .findFirst()
                                .orElseThrow()),
                sample.tokens());
        assertEquals(FinishReason.END_OF_SEQUENCE, sample.reason());
    }

    @Test
    void shouldStopWhereTheContextEnds() {
        CompletableFuture<DecodeResult> result = submit(prompt(3, CONTEXT - 2), 100);
        CompletableFuture<DecodeResult> full = submit(prompt(4, CONTEXT), 100);
        loop.run();
        assertContinues(prompt(3, CONTEXT - 2), result.join(), 3);
        assertContinues(prompt(4, CONTEXT), full.join(), 1);
    }

    // ---- sharing ----

    @Test
    void shouldComputeAPrefixInFlightOnce() {
        int[] shared = prompt(1, 160);
        List<int[]> prompts = IntStream.range(0, 6)
                .mapToObj(i -> {
                    int[] prompt = Arrays.copyOf(shared, 170);
                    System.arraycopy(prompt(100 + i, 10), 0, prompt, 160, 10);
                    return prompt;
                })
                .toList();
        List<CompletableFuture<DecodeResult>> results =
                prompts.stream().map(prompt -> submit(prompt, 2)).toList();
        loop.run();
        for (int i = 0; i < prompts.size(); i++) {
            assertContinues(prompts.get(i), results.get(i).join(), 2);
            assertEquals(i == 0 ? 0 : 160, results.get(i).join().cachedTokens());
        }
        assertEquals(160 + 6 * (10 + 1), model.computedRows, "the last token of each is not computed");
    }

    @Test
    void shouldGoOnWithoutOthersThatLeadAndDoNothing() {
        int[] prompt = prompt(1, 60);
        try (Sequence leader = cache.namespace("default").open(prompt)) {
            CompletableFuture<DecodeResult> result = submit(prompt, 5);
            loop.run();
            assertContinues(prompt, result.join(), 5);
            assertEquals(0, leader.length());
        }
    }

    // ---- order ----

    @Test
    void shouldStartTheMostUrgentFirst() {
        loop = loop(DecodeOptions.DEFAULT.withConcurrency(1));
        for (int priority : new int[] {0, 5, -1, 5, 2}) {
            loop.submit(named("p" + priority, prompt(told.size(), 4), 1)
                    .priority(priority)
                    .build());
        }
        loop.run();
        assertEquals(List.of("p5", "p5", "p2", "p0", "p-1"), told);
    }

    @Test
    void shouldStartThoseWithTheLongestCachedPrefixFirst() {
        loop = loop(DecodeOptions.DEFAULT.withConcurrency(1));
        submit(prompt(1, 40), 1);
        loop.run();
        loop.submit(named("none", prompt(2, 40), 1).build());
        loop.submit(named("half", joined(prompt(1, 16), prompt(3, 24)), 1).build());
        loop.submit(named("all", prompt(1, 40), 1).build());
        loop.run();
        assertEquals(List.of("all", "half", "none"), told);
    }

    private static int[] joined(int[] first, int[] second) {
        return IntStream.concat(Arrays.stream(first), Arrays.stream(second)).toArray();
    }

    @Test
    void shouldLetNobodyBeOvertakenForEver() {
        loop = loop(DecodeOptions.DEFAULT.withConcurrency(1).withOvertaking(3));
        loop.submit(named("patient", prompt(2, 40), 1).priority(-7).build());
        for (int i = 0; i < 8; i++) {
            loop.submit(named("urgent", prompt(1, 40), 1).build());
        }
        loop.run();
        assertEquals(4, told.indexOf("patient"), told::toString);
    }

    // ---- pressure ----

    @Test
    void shouldPreemptTheLeastUrgentThatStartedLast() {
        use(10, DecodeOptions.DEFAULT.withWatermark(0));
        List<CompletableFuture<DecodeResult>> results = new ArrayList<>();
        for (int i = 0; i < 4; i++) { // two blocks each, then three
            results.add(loop.submit(
                    named("r" + i, prompt(i, 14), 16).priority(i == 0 ? -1 : 0).build()));
        }
        loop.run();
        for (int i = 0; i < 4; i++) {
            assertContinues(prompt(i, 14), results.get(i).join(), 16);
        }
        assertTrue(results.get(0).join().preemptions() > 0, "the least urgent gave way");
        assertEquals(0, results.get(1).join().preemptions());
        assertEquals(0, results.get(2).join().preemptions());
    }

    @Test
    void shouldPreemptTheOneThatStartedLastAmongEquals() {
        use(10, DecodeOptions.DEFAULT.withWatermark(0));
        List<CompletableFuture<DecodeResult>> results =
                IntStream.range(0, 4).mapToObj(i -> submit(prompt(i, 14), 8)).toList(); // two blocks each, then three
        loop.run();
        assertEquals(
                List.of(0, 0, 0),
                results.stream()
                        .limit(3)
                        .map(result -> result.join().preemptions())
                        .toList());
        assertEquals(1, results.get(3).join().preemptions());
    }

    @Test
    void shouldRecomputeOnlyWhatWasEvicted() {
        use(12, DecodeOptions.DEFAULT.withWatermark(0));
        CompletableFuture<DecodeResult> first = submit(prompt(1, 40), 40); // 5 blocks, then 10
        CompletableFuture<DecodeResult> second = submit(prompt(2, 44), 8); // 6 blocks, then 7
        loop.run();
        assertContinues(prompt(1, 40), first.join(), 40);
        assertContinues(prompt(2, 44), second.join(), 8);
        assertEquals(1, second.join().preemptions());
        long evicted = cache.stats().traffic().evictedBlocks() * TOKENS_PER_BLOCK;
        long again = second.join().recomputedTokens();
        assertTrue(again > 0 && again < evicted + TOKENS_PER_BLOCK, "recomputed=" + again + " evicted=" + evicted);
        assertEquals(loop.stats().recomputedTokens(), again);
        assertEquals(40 + 39 + 44 + 7 + again, model.computedRows);
    }

    @Test
    void shouldAdmitNobodyWhoWouldTakeWhatOthersNeed() {
        use(20, DecodeOptions.DEFAULT.withWatermark(0.3)); // 6 blocks
        submit(prompt(1, 60), 5); // 8 blocks
        CompletableFuture<DecodeResult> large = submit(prompt(2, 60), 5); // leaves 4
        loop.step();
        assertEquals(1, loop.stats().waiting());
        CompletableFuture<DecodeResult> small = submit(prompt(3, 40), 5); // leaves 6
        loop.step();
        assertEquals(1, loop.stats().waiting(), "a smaller one fits");
        assertFalse(small.isDone());
        loop.run();
        assertContinues(prompt(2, 60), large.join(), 5);
        assertEquals(0, loop.stats().preemptions());
    }

    @Test
    void shouldRefuseAtOnceWhatCanNeverFit() {
        use(4, DecodeOptions.DEFAULT);
        assertRefused(
                "cache too small for prompt and continuation: promptTokens=20 newTokens=14 samples=1 blocksNeeded=5"
                        + " blocks=4 blockBytes=" + layout.blockBytes(),
                DecodeRequest.builder(prompt(1, 20)).maxTokens(14));
        assertRefused(
                "cache too small for prompt and continuation: promptTokens=20 newTokens=5 samples=3 blocksNeeded=5"
                        + " blocks=4 blockBytes=" + layout.blockBytes(),
                DecodeRequest.builder(prompt(1, 20)).maxTokens(5).samples(3));
        CompletableFuture<DecodeResult> result = submit(prompt(1, 20), 13);
        loop.run();
        assertContinues(prompt(1, 20), result.join(), 13);
    }

    @Test
    void shouldRefuseWhatMakesNoSense() {
        assertRefused(
                "token id outside the vocabulary: token=50 vocabularySize=50",
                DecodeRequest.builder(new int[] {1, 50}));
        assertRefused(
                "prompt is longer than the context: promptTokens=257 contextTokens=256",
                DecodeRequest.builder(prompt(1, 257)));
        assertRefused(
                "more samples than run at a time: samples=33 concurrency=32",
                DecodeRequest.builder(prompt(1, 2)).maxTokens(1).bestOf(33));
        assertRefused(
                "a shift must make room in the context: sinks=6 window=250 contextTokens=256",
                DecodeRequest.builder(prompt(1, 2)).shift(new ContextShift(6, 250)));
        assertEquals(
                "a step must have a row for each sample: concurrency=65 maximumRows=64",
                assertThrows(IllegalArgumentException.class, () -> loop(DecodeOptions.DEFAULT.withConcurrency(65)))
                        .getMessage());
    }

    private void assertRefused(String message, DecodeRequest.Builder request) {
        assertEquals(
                message,
                assertThrows(IllegalArgumentException.class, () -> loop.submit(request.build()))
                        .getMessage());
    }

    @Test
    void shouldFailARequestThatIsAloneAndHasNoRoom() {
        use(8, DecodeOptions.DEFAULT);
        try (Sequence other = cache.namespace("other").open(prompt(9, 1))) {
            assertTrue(other.tryReserve(50));
            CompletableFuture<DecodeResult> large = submit(prompt(1, 20), 3);
            CompletableFuture<DecodeResult> small = submit(prompt(2, 4), 3);
            loop.run();
            String message =
                    "" + assertThrows(CompletionException.class, large::join).getMessage();
            assertTrue(message.contains("no room though nobody else runs: blocks=8 "), message);
            assertContinues(prompt(2, 4), small.join(), 3);
            assertEquals(1, loop.stats().failed());
        }
    }

    @Test
    void shouldMakeRoomInTheNamespaceThatIsFull() {
        use(40, DecodeOptions.DEFAULT.withWatermark(0));
        cache.namespace("small", NamespaceOptions.DEFAULT.withCeilingBytes(5 * layout.blockBytes()));
        List<CompletableFuture<DecodeResult>> small = new ArrayList<>();
        List<CompletableFuture<DecodeResult>> others = new ArrayList<>();
        for (int i = 0; i < 2; i++) { // 2 blocks each, then 3
            small.add(loop.submit(DecodeRequest.builder(prompt(i, 14))
                    .maxTokens(10)
                    .namespace("small")
                    .build()));
        }
        for (int i = 0; i < 3; i++) {
            others.add(submit(prompt(10 + i, 14), 10));
        }
        loop.run();
        for (CompletableFuture<DecodeResult> other : others) {
            assertEquals(0, other.join().preemptions(), "they have room");
        }
        assertEquals(1, small.get(1).join().preemptions());
        assertContinues(prompt(1, 14), small.get(1).join(), 10);
    }

    // ---- samples ----

    @Test
    void shouldForkSamplesThatShareThePrompt() {
        CompletableFuture<DecodeResult> result = loop.submit(
                DecodeRequest.builder(prompt(1, 43)).maxTokens(20).samples(4).build());
        loop.step();
        assertEquals(4, loop.stats().running());
        loop.step();
        assertEquals(5 + 4, cache.stats().usedBlocks(), "five full blocks are shared, the sixth is copied on write");
        loop.run();
        assertEquals(4, result.join().samples().size());
        assertContinues(prompt(1, 43), result.join(), 20);
        assertEquals(43 + 4 * 19, model.computedRows);
    }

    @Test
    void shouldDrawSamplesApartFromEachOther() {
        SamplingOptions sampling = new SamplingOptions(1, 0, 1, 42);
        CompletableFuture<DecodeResult> several = loop.submit(DecodeRequest.builder(prompt(1, 10))
                .maxTokens(12)
                .sampling(sampling)
                .samples(3)
                .build());
        CompletableFuture<DecodeResult> one = loop.submit(DecodeRequest.builder(prompt(1, 10))
                .maxTokens(12)
                .sampling(sampling)
                .build());
        loop.run();
        List<Sample> samples = several.join().samples();
        assertArrayEquals(
                one.join().samples().getFirst().tokens(), samples.get(0).tokens());
        assertFalse(Arrays.equals(samples.get(0).tokens(), samples.get(1).tokens()));
        assertFalse(Arrays.equals(samples.get(1).tokens(), samples.get(2).tokens()));
    }

    @Test
    void shouldReturnTheMostProbableSamples() {
        SamplingOptions sampling = new SamplingOptions(1, 0, 1, 7);
        int[] prompt = prompt(1, 10);
        DecodeRequest.Builder request =
                DecodeRequest.builder(prompt).maxTokens(6).sampling(sampling);
        CompletableFuture<DecodeResult> all = loop.submit(request.samples(8).build());
        CompletableFuture<DecodeResult> best =
                loop.submit(request.samples(2).bestOf(8).build());
        loop.run();
        List<int[]> expected = all.join().samples().stream()
                .map(Sample::tokens)
                .sorted((a, b) -> Double.compare(logProbability(prompt, b), logProbability(prompt, a)))
                .toList();
        List<Sample> chosen = best.join().samples();
        assertEquals(2, chosen.size());
        for (int i = 0; i < 2; i++) {
            assertEquals(logProbability(prompt, expected.get(i)), chosen.get(i).logProbability(), 1e-9);
        }
    }

    /** From the logits that the model is defined by: 2 for the best token, 1 for the next, 0 for the others. */
    private static double logProbability(int[] prompt, int[] tokens) {
        double sum = Math.log(Math.exp(2) + Math.exp(1) + VOCABULARY - 2);
        int[] text = joined(prompt, tokens);
        double result = 0;
        for (int i = prompt.length; i < text.length; i++) {
            int best = WitnessModel.next(text[i - 3], text[i - 2], text[i - 1], VOCABULARY);
            int logit = text[i] == best ? 2 : text[i] == (best + 1) % VOCABULARY ? 1 : 0;
            result += logit - sum;
        }
        return result;
    }

    // ---- guesses ----

    @Test
    void shouldSaveAStepForEachRightGuess() {
        int[] prompt = prompt(5, 30);
        CompletableFuture<DecodeResult> plain = submit(prompt, 150);
        loop.run();
        long plainSteps = loop.stats().steps();
        use(64, DecodeOptions.DEFAULT.withDraftTokens(5));
        CompletableFuture<DecodeResult> guessing = submit(prompt, 150);
        loop.run();
        assertArrayEquals(
                plain.join().samples().getFirst().tokens(),
                guessing.join().samples().getFirst().tokens());
        DecodeResult result = guessing.join();
        assertTrue(result.acceptedTokens() > 20, "the text repeats itself: " + result);
        assertEquals(plainSteps - result.acceptedTokens(), loop.stats().steps(), "each right guess saves a step");
        assertEquals(result.acceptedTokens(), loop.stats().acceptedTokens());
    }

    @Test
    void shouldRollWrongGuessesBackAndDrawTheSameTokens() {
        SamplingOptions sampling = new SamplingOptions(0.4, 5, 1, 3);
        DecodeRequest request = DecodeRequest.builder(prompt(5, 30))
                .maxTokens(200)
                .sampling(sampling)
                .build();
        CompletableFuture<DecodeResult> plain = loop.submit(request);
        loop.run();
        use(64, DecodeOptions.DEFAULT.withDraftTokens(4));
        CompletableFuture<DecodeResult> guessing = loop.submit(request);
        loop.run();
        assertArrayEquals(
                plain.join().samples().getFirst().tokens(),
                guessing.join().samples().getFirst().tokens());
        DecodeResult result = guessing.join();
        assertTrue(result.acceptedTokens() > 10, "some guesses are right: " + result);
        assertTrue(result.acceptedTokens() < result.draftedTokens() - 10, "some are wrong: " + result);
    }

    @Test
    void shouldLeaveGuessesOutBeforeAnybodyGivesWay() {
        use(8, DecodeOptions.DEFAULT.withDraftTokens(6).withWatermark(0));
        // Together they fill the cache to the last slot: there is no room for a wrong guess.
        CompletableFuture<DecodeResult> one = submit(prompt(5, 8), 25);
        CompletableFuture<DecodeResult> two = submit(prompt(6, 8), 25);
        loop.run();
        assertContinues(prompt(5, 8), one.join(), 25);
        assertContinues(prompt(6, 8), two.join(), 25);
        assertEquals(0, loop.stats().preemptions());
    }

    // ---- endless ----

    @Test
    void shouldShiftAFullContext() {
        model = new WitnessModel(VOCABULARY, 64, 64);
        use(20, DecodeOptions.DEFAULT);
        int[] prompt = prompt(1, 60);
        CompletableFuture<DecodeResult> endless = loop.submit(DecodeRequest.builder(prompt)
                .maxTokens(500)
                .shift(new ContextShift(3, 30))
                .build());
        CompletableFuture<DecodeResult> other = submit(prompt, 4);
        loop.run();
        assertContinues(prompt, endless.join(), 500); // the next token depends on three tokens only
        assertContinues(prompt, other.join(), 4);
        assertEquals((60 + 500 - 1 - 64 + 30) / 31, loop.stats().shifts());
        assertEquals(60 + 499 + 4 + 3, model.computedRows, "nothing is computed again");
        CompletableFuture<DecodeResult> again = submit(prompt, 4);
        loop.run();
        assertContinues(prompt, again.join(), 4);
        assertEquals(59, again.join().cachedTokens(), "what was computed before the shift is still found");
    }

    // ---- cancel, fail, time out ----

    @Test
    void shouldEndCancelledRequestsWhereverTheyAre() {
        loop = loop(DecodeOptions.DEFAULT.withConcurrency(2));
        CompletableFuture<DecodeResult> running = submit(prompt(1, 20), 50);
        CompletableFuture<DecodeResult> going = submit(prompt(2, 20), 50);
        CompletableFuture<DecodeResult> waiting = submit(prompt(3, 20), 50);
        loop.step();
        running.cancel(false);
        waiting.cancel(false);
        loop.run();
        assertContinues(prompt(2, 20), going.join(), 50);
        assertEquals(2, loop.stats().cancelled());
        assertTrue(model.computedRows < 100);
    }

    @Test
    void shouldEndARequestWhoseListenerThrowsAndNoOther() {
        IllegalStateException failure = new IllegalStateException("no ears");
        CompletableFuture<DecodeResult> failing = loop.submit(DecodeRequest.builder(prompt(1, 20))
                .samples(3)
                .listener((sample, token) -> {
                    if (sample == 1) {
                        throw failure;
                    }
                })
                .build());
        CompletableFuture<DecodeResult> other = submit(prompt(2, 20), 10);
        loop.run();
        assertSame(
                failure, assertThrows(CompletionException.class, failing::join).getCause());
        assertContinues(prompt(2, 20), other.join(), 10);
        assertEquals(1, loop.stats().failed());
    }

    @Test
    void shouldEndARequestAtItsDeadlineWithWhatItHas() {
        loop = loop(DecodeOptions.DEFAULT.withConcurrency(1));
        model.duringForward = () -> nanos += 1_000_000;
        CompletableFuture<DecodeResult> running = loop.submit(DecodeRequest.builder(prompt(1, 20))
                .timeout(Duration.ofMillis(5))
                .build());
        CompletableFuture<DecodeResult> waiting = loop.submit(DecodeRequest.builder(prompt(2, 20))
                .timeout(Duration.ofMillis(4))
                .build());
        loop.run();
        assertContinues(prompt(1, 20), running.join(), 5);
        assertEquals(FinishReason.DEADLINE, running.join().samples().getFirst().reason());
        assertEquals(0, waiting.join().samples().getFirst().size());
        assertEquals(FinishReason.DEADLINE, waiting.join().samples().getFirst().reason());
        assertEquals(1_000_000, running.join().firstTokenNanos());
        assertEquals(4_000_000, running.join().decodeNanos());
    }

    @Test
    void shouldLeaveNothingHalfDoneWhenTheModelFails() {
        CompletableFuture<DecodeResult> one = submit(prompt(1, 20), 10);
        CompletableFuture<DecodeResult> two = submit(prompt(2, 70), 10);
        loop.step();
        model.failures = 2;
        assertThrows(IllegalStateException.class, () -> loop.step());
        assertThrows(IllegalStateException.class, () -> loop.step());
        cache.verify();
        loop.run();
        assertContinues(prompt(1, 20), one.join(), 10);
        assertContinues(prompt(2, 70), two.join(), 10);
    }

    @Test
    void shouldCancelWhatIsLeftWhenClosed() {
        CompletableFuture<DecodeResult> running = submit(prompt(1, 20), 10);
        loop.step();
        CompletableFuture<DecodeResult> submitted = submit(prompt(2, 20), 10);
        loop.close();
        assertThrows(CancellationException.class, running::join);
        assertThrows(CancellationException.class, submitted::join);
        assertEquals(
                "loop is closed",
                assertThrows(IllegalStateException.class, () -> submit(prompt(1, 1), 1))
                        .getMessage());
        assertThrows(IllegalStateException.class, () -> loop.step());
    }

    // ---- sessions ----

    @Test
    void shouldContinueASessionComputingOnlyWhatIsNew() {
        int[] first = prompt(1, 20);
        CompletableFuture<DecodeResult> turn = loop.submit(
                DecodeRequest.builder(first).maxTokens(10).session("chat").build());
        loop.run();
        int[] second = joined(joined(first, turn.join().samples().getFirst().tokens()), prompt(2, 7));
        long before = model.computedRows;
        turn = loop.submit(
                DecodeRequest.builder(second).maxTokens(5).session("chat").build());
        loop.run();
        assertContinues(second, turn.join(), 5);
        assertEquals(29, turn.join().cachedTokens(), "all but the last token, from which nothing was computed");
        assertEquals(8 + 4, model.computedRows - before);
        int[] other = prompt(3, 25);
        turn = loop.submit(
                DecodeRequest.builder(other).maxTokens(5).session("chat").build());
        loop.run();
        assertContinues(other, turn.join(), 5);
        assertEquals(0, turn.join().cachedTokens(), "another text does not continue the session");
        assertTrue(cache.namespace("default").remove("chat"));
    }

    // ---- garbage ----

    @Test
    void shouldMakeNoGarbageForTokens() {
        use(32 * 32, DecodeOptions.DEFAULT);
        double bytes = Double.MAX_VALUE;
        for (int round = 0;
                round < 25 && bytes >= 0.5;
                round++) { // until all is compiled, and the cache has all its memory
            for (int i = 0; i < 32; i++) {
                submit(prompt(100 * round + i, 8), 240);
            }
            for (int step = 0; step < 20; step++) {
                loop.step();
            }
            long tokens = loop.stats().generatedTokens();
            long before = WitnessModel.allocated() - model.allocatedBytes;
            for (int step = 0; step < 200; step++) {
                loop.step();
            }
            bytes = (double) (WitnessModel.allocated() - model.allocatedBytes - before)
                    / (loop.stats().generatedTokens() - tokens);
            loop.run();
        }
        assertTrue(bytes < 0.5, "bytes a token: " + bytes);
    }

    // ---- all at once ----

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4, 5, 6, 7, 8})
    void shouldGiveEveryRequestItsTokensWhateverHappens(int seed) {
        Random random = new Random(seed);
        model = new WitnessModel(VOCABULARY, CONTEXT, 8 + random.nextInt(60));
        int concurrency = 1 + random.nextInt(8);
        int most = Math.min(3, concurrency);
        use(
                40 + random.nextInt(60),
                new DecodeOptions(concurrency, random.nextInt(3) * 0.1, random.nextInt(2) * 4, random.nextInt(9)));
        List<int[]> prefixes = IntStream.range(0, 5)
                .mapToObj(i -> prompt(1000 + i, random.nextInt(80)))
                .toList();
        List<int[]> prompts = new ArrayList<>();
        List<DecodeRequest> requests = new ArrayList<>();
        List<CompletableFuture<DecodeResult>> results = new ArrayList<>();
        while (requests.size() < 150 || loop.stats().running() > 0) {
            if (requests.size() < 150 && random.nextInt(3) > 0) {
                int[] prompt = joined(prefixes.get(random.nextInt(5)), prompt(requests.size(), 1 + random.nextInt(40)));
                int number = requests.size();
                DecodeRequest request = DecodeRequest.builder(prompt)
                        .maxTokens(1 + random.nextInt(60))
                        .samples(random.nextInt(4) == 0 ? 1 + random.nextInt(most) : 1)
                        .priority(random.nextInt(3))
                        .namespace("n" + random.nextInt(2))
                        .listener((sample, token) -> {
                            if (number % 10 == 7 && token % 5 == 0) {
                                throw new IllegalStateException("listener of " + number);
                            }
                        })
                        .build();
                prompts.add(prompt);
                requests.add(request);
                results.add(loop.submit(request));
            }
            if (random.nextInt(10) == 0 && !results.isEmpty()) {
                int at = random.nextInt(results.size());
                if (at % 10 == 3) {
                    results.get(at).cancel(false);
                }
            }
            loop.step();
            if (random.nextInt(20) == 0) {
                cache.verify();
            }
        }
        loop.run();
        int exact = 0;
        for (int i = 0; i < requests.size(); i++) {
            assertTrue(results.get(i).isDone());
            if (!results.get(i).isCompletedExceptionally()) {
                assertContinues(
                        prompts.get(i), results.get(i).join(), requests.get(i).maxTokens());
                exact++;
            } else {
                assertTrue(i % 10 == 7 || i % 10 == 3, "request " + i + " was not to fail: " + results.get(i));
            }
        }
        assertTrue(exact >= 120, "finished: " + exact);
        assertEquals(
                150,
                loop.stats().completed() + loop.stats().failed() + loop.stats().cancelled());
    }
}
