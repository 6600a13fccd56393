package io.kvcache.attention;

import java.util.Arrays;

/**
 * What tasks have found out: for each query head of each row the greatest score, the sum of exponentials, and the weighted sum
 * of values.
 *
 * <p>Thread-safe as far as tasks write their own part each.
 */
final class Partials {
    float[] greatest = new float[0]; // [tasks][kvHeads][queries]
    float[] totals = new float[0]; // likewise
    float[] sums = new float[0]; // likewise, [sumStride] each

    private int[] at = new int[1]; // [tasks + 1] the first query head of a task
    private int sumStride;

    /** Makes room for the tasks of a plan. */
    void prepare(AttentionPlan plan, LayerShape shape) {
        sumStride = shape.sumStride;
        if (at.length <= plan.tasks()) {
            at = new int[2 * plan.tasks() + 1];
        }
        for (int task = 0; task < plan.tasks(); task++) {
            at[task + 1] = Math.addExact(at[task], shape.kvHeads * RunAttention.laidOut(shape, plan.rows(task)));
        }
        int heads = at[plan.tasks()];
        if (greatest.length < heads) {
            greatest = new float[heads];
            totals = new float[heads];
        }
        int floats = Math.multiplyExact(heads, sumStride);
        if (sums.length < floats) {
            sums = new float[floats];
        }
    }

    /** Starts a task's part: nothing seen. */
    void clear(int from, int heads, int stride) {
        Arrays.fill(greatest, from, from + heads, -Float.MAX_VALUE);
        Arrays.fill(totals, from, from + heads, 0);
        Arrays.fill(sums, sumAt(from), sumAt(from) + heads * stride, 0);
    }

    /** The first query head of a task. */
    int at(int task) {
        return at[task];
    }

    /** Where the sums of a query head start. */
    int sumAt(int head) {
        return head * sumStride;
    }

    /** Adds what one task has found out to what another has, both for the same query and other positions. */
    void merge(int target, int source) {
        float maximum = Math.max(greatest[target], greatest[source]);
        float targetFactor = factor(greatest[target], maximum);
        float sourceFactor = factor(greatest[source], maximum);
        greatest[target] = maximum;
        totals[target] = totals[target] * targetFactor + totals[source] * sourceFactor;
        int to = sumAt(target);
        int from = sumAt(source);
        for (int i = 0; i < sumStride; i++) {
            sums[to + i] = sums[to + i] * targetFactor + sums[from + i] * sourceFactor;
        }
    }

    private static float factor(float before, float now) {
        return before == now ? 1 : (float) Math.exp(before - now);
    }
}
