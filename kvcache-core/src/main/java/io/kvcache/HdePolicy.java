package io.kvcache;

import java.util.Arrays;

/**
 * Hit-density eviction: learns from past uses how soon blocks of each class are used again, and evicts the leaf that promises
 * the fewest hits for the memory and time it takes, under the best time to hold it. The measure is a Gittins index over the
 * hazard of reuse by age, in the family of LHD (Beckmann, Chen, Cidon, NSDI 2018), with classes for prefix caches: used once or
 * more often, times the label of the request.
 *
 * <p>Ages in the first bucket tell nothing apart: the index would keep whatever was used twice for good. So where even the
 * leaf used longest ago is that young, because time stands still or requests come by the thousand, it goes, as under LRU.
 *
 * <p>Not thread-safe: guarded by the lock of the {@link SequencePool}.
 */
final class HdePolicy implements EvictionPolicy {
    private static final int LABELS = 8;
    private static final int CLASSES = 2 * LABELS;
    private static final int BUCKETS = 72;
    private static final int BUCKETS_PER_OCTAVE = 4;
    private static final double FIRST_MILLIS = 250;
    private static final double PRIOR = 200; // uses that the curve of all classes counts for in each
    private static final int REQUESTS_BETWEEN_UPDATES = 50;
    private static final int GHOSTS_PER_BLOCK = 4;
    private static final long NANOS_PER_MILLI = 1_000_000;
    private static final double MILLIS_PER_SECOND = 1000;
    private static final double SMALLEST_RISK = 1e-9;
    private static final int DEPTH_BITS = 22;
    private static final int MOST_DEPTH = (1 << DEPTH_BITS) - 1;
    private static final int CLASS_BITS = 4;

    private static final double[] STEPS = {Math.pow(2, 0.25), Math.pow(2, 0.5), Math.pow(2, 0.75)};
    private static final double[] WIDTHS = widths();

    private final LeafQueue leaves =
            new LeafQueue(); // list = group * CLASSES + class, in order of last use, deeper first
    private final GhostTable ghosts;

    // [blocks]
    private long[] fingerprints = new long[0];
    private long[] usedAt = new long[0]; // milliseconds
    private long[] order = new long[0]; // of the last use, with the depth below: a path goes deepest first
    private byte[] classes = new byte[0];

    private final double[][] hits = new double[CLASSES][BUCKETS]; // by the class and age that a use has found
    private final double[] entries = new double[CLASSES]; // how often a block has entered a class
    private final double[][] index = new double[CLASSES][BUCKETS]; // expected hits a block-second
    private final double[] allHits = new double[BUCKETS];
    private final double[] smoothed = new double[BUCKETS];
    private final double[] cost = new double[BUCKETS];
    private int requests;
    private long now; // milliseconds
    private long instant; // grows with time and with requests, for many may come in a millisecond

    HdePolicy(int maximumBlocks) {
        ghosts = new GhostTable((int) Math.min((long) GHOSTS_PER_BLOCK * maximumBlocks, Integer.MAX_VALUE / 2));
    }

    @Override
    public void opened(long time) {
        advanceTo(time);
        instant++;
        if (++requests % REQUESTS_BETWEEN_UPDATES == 0) {
            update();
        }
    }

    private void advanceTo(long time) {
        long millis = time / NANOS_PER_MILLI;
        if (millis != now) {
            now = millis;
            instant++;
        }
    }

    @Override
    public void published(int block, long fingerprint, int depth, int label, long time) {
        advanceTo(time);
        ensureCapacity(block);
        fingerprints[block] = fingerprint;
        order[block] = (long) MOST_DEPTH - Math.min(depth, MOST_DEPTH);
        long ghost = ghosts.take(fingerprint);
        if (ghost == GhostTable.NONE) {
            enter(block, label);
        } else {
            hits[(int) ghost & (CLASSES - 1)][bucket(now - (ghost >>> CLASS_BITS))]++;
            enter(block, LABELS + label);
        }
    }

    @Override
    public void touched(int block, int label, long time) {
        advanceTo(time);
        hits[classes[block]][bucket(now - usedAt[block])]++;
        enter(block, LABELS + label);
    }

    private void enter(int block, int newClass) {
        classes[block] = (byte) newClass;
        usedAt[block] = now;
        order[block] = (instant << DEPTH_BITS) | (order[block] & MOST_DEPTH);
        entries[newClass]++;
    }

    @Override
    public void evictable(int block, int group, long released) {
        leaves.add(group * CLASSES + classes[block], block, order[block]);
    }

    @Override
    public void unevictable(int block) {
        leaves.remove(block);
    }

    @Override
    public int victim(int group) {
        int oldest = LeafQueue.NONE;
        int victim = LeafQueue.NONE;
        for (int list = group * CLASSES; list < (group + 1) * CLASSES; list++) {
            if (leaves.size(list) > 0) {
                oldest = older(oldest, leaves.first(list));
                victim = better(victim, leaves.first(list));
                victim = better(victim, leaves.last(list));
            }
        }
        return bucket(now - usedAt[oldest]) == 0 ? oldest : victim;
    }

    /** The one used longer ago, or deeper. */
    private int older(int oldest, int candidate) {
        return oldest == LeafQueue.NONE || order[candidate] < order[oldest] ? candidate : oldest;
    }

    /** The one with fewer expected hits; with as many, the one used longer ago, or deeper. */
    private int better(int best, int candidate) {
        if (best == LeafQueue.NONE) {
            return candidate;
        }
        int compared = Double.compare(density(candidate), density(best));
        return compared < 0 || (compared == 0 && order[candidate] < order[best]) ? candidate : best;
    }

    private double density(int block) {
        return index[classes[block]][bucket(now - usedAt[block])];
    }

    @Override
    public void removed(int block, boolean evicted) {
        if (evicted) {
            ghosts.put(fingerprints[block], (usedAt[block] << CLASS_BITS) | classes[block]);
        }
    }

    // ---- learn ----

    private void update() {
        double allEntries = 0;
        Arrays.fill(allHits, 0);
        for (int c = 0; c < CLASSES; c++) {
            allEntries += entries[c];
            for (int b = 0; b < BUCKETS; b++) {
                allHits[b] += hits[c][b];
            }
        }
        for (int c = 0; c < CLASSES; c++) {
            update(c, Math.max(1, allEntries));
        }
    }

    /** Computes, for each age, the hits per block-second from there on under the best time to hold. */
    private void update(int c, double allEntries) {
        double atRisk = entries[c] + PRIOR;
        for (int b = 0; b < BUCKETS; b++) {
            smoothed[b] = hits[c][b] + PRIOR * allHits[b] / allEntries;
            cost[b] = Math.max(SMALLEST_RISK, atRisk - smoothed[b] / 2) * WIDTHS[b];
            atRisk -= smoothed[b];
        }
        for (int from = 0; from < BUCKETS; from++) {
            double sumOfHits = 0;
            double sumOfCosts = 0;
            double best = 0;
            for (int to = from; to < BUCKETS; to++) {
                sumOfHits += smoothed[to];
                sumOfCosts += cost[to];
                best = Math.max(best, sumOfHits / sumOfCosts);
            }
            index[c][from] = best;
        }
    }

    /** Four buckets an octave, from 250 ms; what is younger is in the first, what is older than all in the last. */
    private static int bucket(long ageMillis) {
        double ratio = ageMillis / FIRST_MILLIS;
        if (ratio < 1) {
            return 0;
        }
        int octave = Math.getExponent(ratio);
        double rest = ratio / (1L << octave);
        int step = 0;
        while (step < STEPS.length && rest >= STEPS[step]) {
            step++;
        }
        return Math.min(octave * BUCKETS_PER_OCTAVE + step, BUCKETS - 1);
    }

    private static double[] widths() {
        double[] widths = new double[BUCKETS];
        double start = 0;
        for (int b = 0; b < BUCKETS; b++) {
            double end = FIRST_MILLIS * Math.pow(2, (b + 1) / (double) BUCKETS_PER_OCTAVE) / MILLIS_PER_SECOND;
            widths[b] = end - start;
            start = end;
        }
        return widths;
    }

    private void ensureCapacity(int block) {
        if (block >= classes.length) {
            int capacity = (int) Math.min(Math.max(block + 64L, classes.length * 3L / 2), Integer.MAX_VALUE - 8);
            fingerprints = Arrays.copyOf(fingerprints, capacity);
            usedAt = Arrays.copyOf(usedAt, capacity);
            order = Arrays.copyOf(order, capacity);
            classes = Arrays.copyOf(classes, capacity);
        }
    }
}
