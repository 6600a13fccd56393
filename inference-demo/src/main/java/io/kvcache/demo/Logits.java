package io.kvcache.demo;

/**
 * What a model predicts: a number for each token id, the greater the more probable.
 *
 * <p>Thread-safe: stateless.
 */
final class Logits {
    private Logits() {}

    /**
     * The natural logarithm of a token's probability: log-softmax, with the greatest logit taken off first, so that no power
     * overflows. NaN if the logits are no numbers.
     *
     * @param logits those from {@code from} to {@code from + size} count
     */
    static double logProbability(float[] logits, int from, int size, int token) {
        double greatest = Double.NEGATIVE_INFINITY;
        for (int i = from; i < from + size; i++) {
            greatest = Math.max(greatest, logits[i]);
        }
        double sum = 0;
        for (int i = from; i < from + size; i++) {
            sum += Math.exp(logits[i] - greatest);
        }
        return logits[from + token] - greatest - Math.log(sum);
    }
}
