package io.kvcache.bench;

import io.kvcache.bench.report.Bar;
import io.kvcache.bench.report.Ratio;
import java.util.ArrayList;
import java.util.List;
import java.util.function.ToDoubleBiFunction;
import java.util.function.ToDoubleFunction;
import org.jspecify.annotations.Nullable;

/**
 * Rounds of one mix, each run with sharing and without.
 *
 * <p>Not thread-safe.
 */
final class ServingRounds {
    private final ServingMix mix;
    private final List<ServingOutcome> shared = new ArrayList<>(); // [rounds]
    private final List<ServingOutcome> separate = new ArrayList<>(); // [rounds]

    ServingRounds(ServingMix mix) {
        this.mix = mix;
    }

    ServingMix mix() {
        return mix;
    }

    /** Takes in what a run came to. */
    void add(boolean sharing, ServingOutcome outcome) {
        of(sharing).add(outcome);
    }

    /** The runs with sharing, or without. */
    List<ServingOutcome> of(boolean sharing) {
        return sharing ? shared : separate;
    }

    /** The median over rounds. */
    double median(boolean sharing, ToDoubleFunction<ServingOutcome> figure) {
        return Spread.of(of(sharing).stream().mapToDouble(figure).toArray()).median();
    }

    /** How many requests of all rounds were answered differently without sharing. */
    int unlikeAnswers() {
        int unlike = 0;
        for (int round = 0; round < shared.size(); round++) {
            unlike += shared.get(round).answersUnlike(separate.get(round));
        }
        return unlike;
    }

    /** A ratio of the two runs of each round. */
    Ratio ratio(
            String what,
            String rival,
            @Nullable Bar bar,
            ToDoubleBiFunction<ServingOutcome, ServingOutcome> ofSharedAndNot) {
        double[] values = new double[shared.size()]; // [rounds]
        for (int round = 0; round < values.length; round++) {
            values[round] = ofSharedAndNot.applyAsDouble(shared.get(round), separate.get(round));
        }
        Spread spread = Spread.of(values);
        return new Ratio(what, rival, spread.median(), spread.lowest(), spread.highest(), bar);
    }
}
