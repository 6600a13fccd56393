package io.kvcache.demo;

/**
 * Scales rows by the inverse of their root mean square, with epsilon inside the root, and by learned weights.
 *
 * <p>Immutable, hence thread-safe.
 */
final class RmsNorm {
    private final float[] weights; // [width]
    private final float epsilon;

    RmsNorm(float[] weights, float epsilon) {
        this.weights = weights;
        this.epsilon = epsilon;
    }

    /** Normalises the first rows of {@code input} [rows][width] into {@code output}. */
    void apply(float[] input, int rows, float[] output) {
        for (int row = 0; row < rows; row++) {
            applyToRow(input, row * weights.length, output, row * weights.length);
        }
    }

    /** Normalises one row; offsets in elements. */
    void applyToRow(float[] input, int from, float[] output, int to) {
        double squares = 0;
        for (int i = 0; i < weights.length; i++) {
            squares += (double) input[from + i] * input[from + i];
        }
        float factor = (float) (1 / Math.sqrt(squares / weights.length + epsilon));
        for (int i = 0; i < weights.length; i++) {
            output[to + i] = input[from + i] * factor * weights[i];
        }
    }
}
