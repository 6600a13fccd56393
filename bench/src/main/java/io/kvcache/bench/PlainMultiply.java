package io.kvcache.bench;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * The limit of what multiplies and adds 32-bit floats: fused multiply-adds of vectors that never leave their registers.
 *
 * <p>Thread-safe: has no state.
 */
final class PlainMultiply {
    private static final VectorSpecies<Float> SPECIES = FloatVector.SPECIES_PREFERRED;
    private static final int ROUNDS = 1 << 20;
    private static final int CHAINS = 12; // independent of each other: more than latency x units of any core

    private PlainMultiply() {}

    /** Operations of a run, two for each multiply-add; a run takes milliseconds. */
    static double operations() {
        return 2.0 * ROUNDS * CHAINS * SPECIES.length();
    }

    /** Does them; returns a number that depends on all of them. */
    static float run(float start) {
        FloatVector half = FloatVector.broadcast(SPECIES, 0.5f);
        FloatVector a = FloatVector.broadcast(SPECIES, start);
        FloatVector b = a.add(half);
        FloatVector c = b.add(half);
        FloatVector d = c.add(half);
        FloatVector e = d.add(half);
        FloatVector f = e.add(half);
        FloatVector g = f.add(half);
        FloatVector h = g.add(half);
        FloatVector i = h.add(half);
        FloatVector j = i.add(half);
        FloatVector k = j.add(half);
        FloatVector l = k.add(half);
        for (int round = 0; round < ROUNDS; round++) {
            a = a.fma(half, half);
            b = b.fma(half, half);
            c = c.fma(half, half);
            d = d.fma(half, half);
            e = e.fma(half, half);
            f = f.fma(half, half);
            g = g.fma(half, half);
            h = h.fma(half, half);
            i = i.fma(half, half);
            j = j.fma(half, half);
            k = k.fma(half, half);
            l = l.fma(half, half);
        }
        FloatVector first = a.add(b).add(c.add(d)).add(e.add(f));
        FloatVector last = g.add(h).add(i.add(j)).add(k.add(l));
        return first.add(last).reduceLanes(VectorOperators.ADD);
    }
}
