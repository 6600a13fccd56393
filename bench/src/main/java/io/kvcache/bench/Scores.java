package io.kvcache.bench;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.ToDoubleFunction;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Scores of several rounds. In each round every method ran once with each of its parameters, in a process of its own, so that a ratio
 * within a round compares what ran close together.
 *
 * <p>Thread-safe: immutable.
 *
 * @param rounds [rounds][scores]; all rounds have scores of the same methods and parameters
 */
record Scores(List<List<Score>> rounds) {
    Scores {
        rounds = rounds.stream().map(List::copyOf).toList();
    }

    /** The scores of the first round, which stand for their methods and parameters. */
    List<Score> distinct() {
        return rounds.getFirst();
    }

    /** Scores of a method, one for each of its parameters; a name may have its suite and a dot in front. */
    List<Score> of(String method) {
        List<Score> found =
                distinct().stream().filter(score -> score.isNamed(method)).toList();
        if (found.isEmpty()) {
            throw new IllegalArgumentException("nothing was measured of this method: method=" + method);
        }
        return found;
    }

    /** The one score of a method that agrees with parameters. */
    Score of(String method, Map<String, String> params) {
        List<Score> found =
                of(method).stream().filter(score -> score.agreesWith(params)).toList();
        if (found.size() != 1) {
            throw new IllegalArgumentException(
                    "one score must agree: method=" + method + " params=" + params + " found=" + found.size());
        }
        return found.getFirst();
    }

    /** A quantity over all rounds. */
    Spread spread(ToDoubleFunction<Round> quantity) {
        return Spread.of(rounds.stream().map(Round::new).mapToDouble(quantity).toArray());
    }

    /** One round. */
    record Round(List<Score> scores) {
        /** The figure, or for null the score, that a method and its parameters have in this round. */
        double of(Score same, @Nullable String figure) {
            Score found = scores.stream()
                    .filter(score -> score.isOf(same))
                    .findFirst()
                    .orElseThrow();
            return Objects.requireNonNull(found.figure(figure), () -> "no figure " + figure + " of " + found);
        }

        double of(Score same) {
            return of(same, null);
        }
    }

    /** Parameters of a suite that have more than one value, with those of a score. */
    SortedMap<String, String> varying(Score score) {
        SortedMap<String, String> varying = new TreeMap<>(score.params());
        varying.keySet().removeIf(param -> values(score.suite(), param).size() < 2);
        return varying;
    }

    /** Parameters of a suite that have one value. */
    SortedMap<String, String> fixed(String suite) {
        return new TreeMap<>(distinct().stream()
                .filter(score -> score.suite().equals(suite))
                .flatMap(score -> score.params().entrySet().stream())
                .filter(param -> values(suite, param.getKey()).size() == 1)
                .collect(Collectors.toMap(Map.Entry::getKey, Map.Entry::getValue, (one, same) -> one)));
    }

    private List<String> values(String suite, String param) {
        return distinct().stream()
                .filter(score -> score.suite().equals(suite))
                .map(score -> score.params().get(param))
                .filter(Objects::nonNull)
                .distinct()
                .toList();
    }

    /** A text with the varying parameters of a score behind it. */
    String label(String text, Score score) {
        return label(text, score, "");
    }

    /** The same without one of them. */
    String label(String text, Score score, String without) {
        String params = varying(score).entrySet().stream()
                .filter(param -> !param.getKey().equals(without))
                .map(param -> param.getKey() + " " + param.getValue())
                .collect(Collectors.joining(", "));
        return params.isEmpty() ? text : text + ", " + params;
    }
}
