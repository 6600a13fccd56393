package io.kvcache.bench;

import io.kvcache.bench.report.Bar;
import io.kvcache.bench.report.Ratio;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.ToDoubleFunction;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Makes ratios of the scores of JMH suites. A rule that finds none of its methods fails; one whose parameters were left out, as where
 * there is little time, has no ratio.
 *
 * <p>Thread-safe: rules have no state.
 */
@FunctionalInterface
interface RatioRule {
    /** All parameters. */
    Map<String, String> ANY = Map.of();

    /** The ratios. */
    List<Ratio> of(Scores scores);

    /**
     * A method's score divided by another's, for each set of parameters that both have.
     *
     * @param what says what the ratio is
     * @param rival what it is compared with
     * @throws IllegalArgumentException if there is no such set
     */
    static RatioRule quotient(String what, String rival, String above, String below, @Nullable Bar bar) {
        return scores -> {
            List<Ratio> ratios = scores.of(below).stream()
                    .flatMap(lower -> scores.of(above).stream()
                            .filter(upper -> upper.agreesWith(lower.params()))
                            .map(upper -> {
                                Score longer =
                                        upper.params().size() > lower.params().size() ? upper : lower;
                                return ratio(
                                        scores,
                                        scores.label(what, longer),
                                        rival,
                                        round -> round.of(upper) / round.of(lower),
                                        bar);
                            }))
                    .toList();
            if (ratios.isEmpty()) {
                throw new IllegalArgumentException(
                        "methods must have parameters in common: above=" + above + " below=" + below);
            }
            return ratios;
        };
    }

    /** A ratio that a method reports itself, where its parameters agree with those given. */
    static RatioRule reported(
            String what, String rival, String method, String figure, Map<String, String> where, @Nullable Bar bar) {
        return scores -> scores.of(method).stream()
                .filter(score -> score.agreesWith(where))
                .map(score -> ratio(scores, scores.label(what, score), rival, round -> round.of(score, figure), bar))
                .toList();
    }

    /** A method's score divided by what it may be at most, in the unit of the score, where its parameters agree with those given. */
    static RatioRule limit(String what, String limit, String method, Map<String, String> where, double most) {
        return scores -> scores.of(method).stream()
                .filter(score -> score.agreesWith(where))
                .map(score ->
                        ratio(scores, scores.label(what, score), limit, round -> round.of(score) / most, Bar.atMost(1)))
                .toList();
    }

    /** A method's score with one value of a parameter divided by that with another, other parameters being equal. */
    static RatioRule between(
            String what, String rival, String method, String param, String above, String below, @Nullable Bar bar) {
        return scores -> scores.of(method).stream()
                .filter(upper -> above.equals(upper.params().get(param)))
                .flatMap(upper -> scores.of(method).stream()
                        .filter(lower -> below.equals(lower.params().get(param))
                                && others(lower, param).equals(others(upper, param)))
                        .map(lower -> ratio(
                                scores,
                                scores.label(what, upper, param),
                                rival,
                                round -> round.of(upper) / round.of(lower),
                                bar)))
                .toList();
    }

    /**
     * A method's score at the greatest value of a numeric parameter divided by that at the least, other parameters being equal.
     *
     * @param most values above do not count
     */
    static RatioRule growth(String what, String method, String param, long most, @Nullable Bar bar) {
        return scores -> ends(scores, method, param, most).stream()
                .map(ends -> ratio(
                        scores,
                        scores.label(what, ends.large, param),
                        ends.words(param),
                        round -> round.of(ends.large) / round.of(ends.small),
                        bar))
                .toList();
    }

    /** The growth of a method divided by that of a limit, which has no other parameter. */
    static RatioRule growthAgainst(
            String what, String rival, String method, String limit, String param, long most, @Nullable Bar bar) {
        return scores -> ends(scores, method, param, most).stream()
                .map(ends -> {
                    Score large = scores.of(limit, ends.large.params());
                    Score small = scores.of(limit, ends.small.params());
                    return ratio(
                            scores,
                            scores.label(what, ends.large, param),
                            rival + ", " + ends.words(param),
                            round -> round.of(ends.large) / round.of(ends.small) * round.of(small) / round.of(large),
                            bar);
                })
                .toList();
    }

    /** Scores that differ in a parameter: at its least and at its greatest value. */
    record Ends(Score small, Score large) {
        String words(String param) {
            return param + " from " + small.params().get(param) + " to "
                    + large.params().get(param);
        }
    }

    private static List<Ends> ends(Scores scores, String method, String param, long most) {
        Comparator<Score> byParam = Comparator.comparingLong(score -> number(score, param));
        return scores.of(method).stream()
                .filter(score -> number(score, param) <= most)
                .collect(Collectors.groupingBy(
                        score -> others(score, param).toString(), TreeMap::new, Collectors.toList()))
                .values()
                .stream()
                .map(alike -> new Ends(
                        alike.stream().min(byParam).orElseThrow(),
                        alike.stream().max(byParam).orElseThrow()))
                .filter(ends -> !ends.small.isOf(ends.large))
                .toList();
    }

    private static Map<String, String> others(Score score, String param) {
        Map<String, String> others = new TreeMap<>(score.params());
        others.remove(param);
        return others;
    }

    private static long number(Score score, String param) {
        return Long.parseLong(Optional.ofNullable(score.params().get(param))
                .orElseThrow(() -> new IllegalArgumentException(
                        "method must have the parameter: method=" + score.method() + " param=" + param)));
    }

    private static Ratio ratio(
            Scores scores, String what, String rival, ToDoubleFunction<Scores.Round> quantity, @Nullable Bar bar) {
        Spread spread = scores.spread(quantity);
        return new Ratio(what, rival, spread.median(), spread.lowest(), spread.highest(), bar);
    }
}
