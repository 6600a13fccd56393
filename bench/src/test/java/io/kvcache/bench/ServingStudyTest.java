package io.kvcache.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.kvcache.KvLayout;
import io.kvcache.KvType;
import io.kvcache.bench.report.Findings;
import io.kvcache.bench.report.Row;
import io.kvcache.demo.DecodeResult;
import io.kvcache.demo.GgufFile;
import io.kvcache.demo.Llama;
import io.kvcache.demo.LlamaShape;
import io.kvcache.demo.ShippedModel;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What sharing finds is what the mixes have in common; all else is the same. */
final class ServingStudyTest {
    private static final int TOKENS_PER_BLOCK = 16;
    private static final GgufFile FILE = ShippedModel.open();
    private static final KvLayout LAYOUT = LlamaShape.of(FILE.metadata()).kvLayout(KvType.F16, TOKENS_PER_BLOCK);
    private static final Llama MODEL = new Llama(FILE, LAYOUT, 128);

    @AfterAll
    static void close() {
        MODEL.close();
        FILE.close();
    }

    static List<ServingMix> mixes() {
        return ServingStudy.mixes(Effort.SMOKE);
    }

    @ParameterizedTest
    @MethodSource("mixes")
    void shouldFindWithSharingWhatTheMixHasInCommon(ServingMix mix) {
        ServingOutcome outcome = ServingRun.of(mix, true, MODEL, LAYOUT);
        assertEveryRequestIsAnswered(mix, outcome);
        int withoutOpening = 0;
        for (int script = 0; script < mix.scripts().size(); script++) {
            ServingScript asked = mix.scripts().get(script);
            List<DecodeResult> results = outcome.results().get(script);
            withoutOpening += results.getFirst().cachedTokens() < asked.openingTokens() ? 1 : 0;
            for (int turn = 1; turn < asked.turns(); turn++) {
                // The last token of an answer is never computed, and only full blocks are found.
                int computed = asked.promptTokens(turn - 1) + asked.answerTokens() - 1;
                assertEquals(
                        computed / TOKENS_PER_BLOCK * TOKENS_PER_BLOCK,
                        results.get(turn).cachedTokens());
            }
        }
        int opening = mix.scripts().getFirst().openingTokens();
        assertEquals(opening == 0 ? 0 : 1, withoutOpening, "one computes the opening, all others find it");
        assertEquals(
                (mix.scripts().size() - withoutOpening) * opening,
                outcome.results().stream()
                        .mapToInt(results -> results.getFirst().cachedTokens())
                        .sum());
    }

    @ParameterizedTest
    @MethodSource("mixes")
    void shouldFindNothingWithoutSharingButGiveTheSameAnswers(ServingMix mix) {
        ServingOutcome separate = ServingRun.of(mix, false, MODEL, LAYOUT);
        ServingOutcome shared = ServingRun.of(mix, true, MODEL, LAYOUT);
        assertEveryRequestIsAnswered(mix, separate);
        assertEquals(0, separate.cachedTokens());
        assertEquals(shared.promptTokens(), separate.promptTokens());
        assertEquals(0, shared.answersUnlike(separate));
        boolean sharesAtATime = mix.scripts().getFirst().openingTokens() > 0;
        assertEquals(sharesAtATime, shared.peakBlocks() < separate.peakBlocks());
    }

    private static void assertEveryRequestIsAnswered(ServingMix mix, ServingOutcome outcome) {
        assertEquals(mix.scripts().size(), outcome.results().size());
        for (int script = 0; script < mix.scripts().size(); script++) {
            ServingScript asked = mix.scripts().get(script);
            List<DecodeResult> results = outcome.results().get(script);
            assertEquals(asked.turns(), results.size());
            for (int turn = 0; turn < asked.turns(); turn++) {
                assertEquals(asked.promptTokens(turn), results.get(turn).promptTokens());
                assertEquals(asked.answerTokens(), results.get(turn).generatedTokens());
                assertEquals(0, results.get(turn).preemptions());
            }
        }
    }

    @ParameterizedTest
    @MethodSource("fullMixes")
    void shouldAskForNoMoreThanTheContext(ServingMix mix) {
        int firstIds = (int) mix.scripts().stream()
                .mapToInt(script -> script.firstPrompt()[script.openingTokens()])
                .distinct()
                .count();
        assertEquals(mix.scripts().size(), firstIds);
        for (ServingScript script : mix.scripts()) {
            assertTrue(script.promptTokens(script.turns() - 1) + script.answerTokens() - 1 <= MODEL.contextTokens());
            assertEquals(0, script.openingTokens() % TOKENS_PER_BLOCK);
        }
    }

    static List<ServingMix> fullMixes() {
        return ServingStudy.mixes(Effort.FULL);
    }

    @Test
    void shouldReportEveryMixTwice(@TempDir Path directory) {
        Findings findings = new ServingStudy().run(new StudyRun(Effort.SMOKE, null, null, directory));
        assertEquals(6, findings.ratios().size());
        List<Row> rows = findings.tables().getFirst().rows();
        assertEquals(
                List.of(
                        List.of("chat", "shared"),
                        List.of("chat", "not shared"),
                        List.of("agent", "shared"),
                        List.of("agent", "not shared"),
                        List.of("batch", "shared"),
                        List.of("batch", "not shared")),
                rows.stream().map(Row::labels).toList());
        // Chat: prompts of 24, 80 and 136 tokens; 48 (of 24 + 31) and 96 (of 80 + 31 = 111) are in full blocks.
        assertEquals(2 * (24.0 + 80 + 136), rows.getFirst().values().get(1));
        assertEquals((48 + 96) / (24.0 + 80 + 136), rows.getFirst().values().get(2));
        assertEquals(0.0, rows.get(1).values().get(2));
        assertEquals(3, findings.plots().getFirst().lines().getFirst().points().size());
        assertFalse(findings.notes().isEmpty());
    }
}
