package io.kvcache.attention;

/**
 * How a layer attends: what scores are multiplied by, whether they are capped, and how far back a position sees.
 *
 * <p>With a window of w and s sinks, position p attends to the first s positions and to the last w up to itself
 * (StreamingLLM's attention sinks; Mistral's sliding window, with no sinks).
 *
 * <p>Thread-safe: immutable.
 *
 * @param scale what scores are multiplied by; 0 stands for 1 / sqrt(keyHeadSize)
 * @param softCap a score x becomes softCap x tanh(x / softCap), as in Gemma 2; 0 for no cap
 * @param window positions that a position sees up to itself; 0 for all
 * @param sinks first positions that all positions see besides
 */
public record AttentionOptions(float scale, float softCap, int window, int sinks) {
    /** Scale by head size, no cap, all positions. */
    public static final AttentionOptions DEFAULT = new AttentionOptions(0, 0, 0, 0);

    /**
     * Checks the operands.
     *
     * @throws IllegalArgumentException if a number is negative, infinite or NaN, or there are sinks without a window
     */
    public AttentionOptions {
        if (!(scale >= 0 && scale <= Float.MAX_VALUE && softCap >= 0 && softCap <= Float.MAX_VALUE)) {
            throw new IllegalArgumentException(
                    "scale and cap must be finite and not negative: scale=" + scale + " softCap=" + softCap);
        }
        if (window < 0 || sinks < 0 || (sinks > 0 && window == 0)) {
            throw new IllegalArgumentException("window and sinks must not be negative, and sinks need a window: window="
                    + window + " sinks=" + sinks);
        }
    }

    /**
     * Multiplies scores by another number.
     *
     * @param factor greater than 0
     * @return options with that scale
     */
    public AttentionOptions withScale(float factor) {
        return new AttentionOptions(factor, softCap, window, sinks);
    }

    /**
     * Caps scores.
     *
     * @param cap greater than 0
     * @return options with that cap
     */
    public AttentionOptions withSoftCap(float cap) {
        return new AttentionOptions(scale, cap, window, sinks);
    }

    /**
     * Limits what a position sees.
     *
     * @param positions up to and with itself
     * @param firstPositions that it sees besides
     * @return options with that window
     */
    public AttentionOptions withWindow(int positions, int firstPositions) {
        return new AttentionOptions(scale, softCap, positions, firstPositions);
    }

    /** The first position of the window of a position; sinks are counted apart. */
    int windowStart(int position) {
        return window == 0 ? 0 : Math.max(sinks, position + 1 - Math.min(window, position + 1));
    }
}
