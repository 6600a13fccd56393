package io.kvcache.bench;

import io.kvcache.bench.MemoryOutcome.Moment;
import java.util.ArrayList;
import java.util.List;

/**
 * Adds up what each step found, however many there are: where moments become too many, two neighbours become one.
 *
 * <p>Not thread-safe.
 */
final class MemoryTimeline {
    private static final int MOST_MOMENTS = 400;

    private final List<Sum> moments = new ArrayList<>(); // all but the last of stepsPerMoment steps
    private final Sum all = new Sum();
    private int peakSequences;
    private long stepsPerMoment = 1;

    private static final class Sum {
        long steps;
        long sequences;
        long reserved;
        long used;

        void add(long moreSteps, long moreSequences, long moreReserved, long moreUsed) {
            steps += moreSteps;
            sequences += moreSequences;
            reserved += moreReserved;
            used += moreUsed;
        }

        Sum plus(Sum other) {
            add(other.steps, other.sequences, other.reserved, other.used);
            return this;
        }

        double mean(long sum) {
            return (double) sum / steps;
        }
    }

    /** Takes note of the next step. */
    void add(int sequences, long reservedSlots, long usedTokens) {
        peakSequences = Math.max(peakSequences, sequences);
        all.add(1, sequences, reservedSlots, usedTokens);
        if (moments.isEmpty() || moments.getLast().steps == stepsPerMoment) {
            if (moments.size() == MOST_MOMENTS) {
                halve();
            }
            moments.add(new Sum());
        }
        moments.getLast().add(1, sequences, reservedSlots, usedTokens);
    }

    private void halve() {
        for (int i = 0; i < MOST_MOMENTS / 2; i++) {
            moments.set(i, moments.get(2 * i).plus(moments.get(2 * i + 1)));
        }
        moments.subList(MOST_MOMENTS / 2, MOST_MOMENTS).clear();
        stepsPerMoment *= 2;
    }

    /** What came out, beside what others have counted. */
    MemoryOutcome outcome(long peakReservedSlots, long preemptions, long recomputedTokens) {
        return new MemoryOutcome(
                all.steps,
                peakSequences,
                all.mean(all.sequences),
                all.mean(all.reserved),
                all.mean(all.used),
                peakReservedSlots,
                preemptions,
                recomputedTokens,
                line());
    }

    private List<Moment> line() {
        List<Moment> line = new ArrayList<>();
        long step = 0;
        for (Sum sum : moments) {
            line.add(new Moment(step, sum.mean(sum.sequences), sum.mean(sum.reserved), sum.mean(sum.used)));
            step += sum.steps;
        }
        return line;
    }
}
