package io.kvcache.demo;

/**
 * Rotary position embedding, interleaved: elements 2i and 2i+1 of a head are rotated by position x base^(-2i / headSize)
 * (Su et al., "RoFormer", 2021; Llama's pairing).
 *
 * <p>Not thread-safe: {@link #prepare} sets the positions for the calls that follow.
 */
final class Rope {
    private final int headSize;
    private final double[] frequencies; // [headSize / 2] radians a position
    private final float[] cosines; // [rows][headSize / 2]
    private final float[] sines;

    /** Rotates up to {@code maximumRows} rows at once; {@code factors} [headSize / 2] divide the frequencies. */
    Rope(int headSize, float base, float[] factors, int maximumRows) {
        this.headSize = headSize;
        this.frequencies = new double[headSize / 2];
        for (int i = 0; i < frequencies.length; i++) {
            frequencies[i] = Math.pow(base, -2.0 * i / headSize) / factors[i];
        }
        this.cosines = new float[maximumRows * frequencies.length];
        this.sines = new float[cosines.length];
    }

    /** Computes the angles of a row's position, once for all layers. */
    void prepare(int row, int position) {
        for (int i = 0; i < frequencies.length; i++) {
            double angle = position * frequencies[i];
            cosines[row * frequencies.length + i] = (float) Math.cos(angle);
            sines[row * frequencies.length + i] = (float) Math.sin(angle);
        }
    }

    /** Rotates the prepared rows of {@code vectors} [rows][heads][headSize]. */
    void rotate(float[] vectors, int rows, int heads) {
        for (int row = 0; row < rows; row++) {
            for (int head = 0; head < heads; head++) {
                rotateHead(vectors, (row * heads + head) * headSize, row * frequencies.length);
            }
        }
    }

    private void rotateHead(float[] vectors, int from, int angles) {
        for (int i = 0; i < frequencies.length; i++) {
            float cosine = cosines[angles + i];
            float sine = sines[angles + i];
            float even = vectors[from + 2 * i];
            float odd = vectors[from + 2 * i + 1];
            vectors[from + 2 * i] = even * cosine - odd * sine;
            vectors[from + 2 * i + 1] = even * sine + odd * cosine;
        }
    }
}
