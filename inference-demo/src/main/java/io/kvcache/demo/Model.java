package io.kvcache.demo;

import io.kvcache.Sequence;

/**
 * What a {@link DecodeLoop} needs of a model. It keeps keys and values in the sequences, and nothing of a request in itself.
 *
 * <p>Implementations need not be thread-safe: they own the activations of the step that they are computing.
 */
public interface Model {
    /** The number of token ids. */
    int vocabularySize();

    /** Positions that the model was made for. */
    int contextTokens();

    /** Tokens that are computed at once, at most. */
    int maximumRows();

    /**
     * Computes a batch: writes keys and values of all its rows, in all layers, and the logits that are wanted. Slots must be
     * reserved; committing is up to the caller.
     *
     * @param batch of 1 to {@link #maximumRows()} rows
     * @param logits [batch.logits()][vocabulary] at least, overwritten
     * @throws IllegalArgumentException if there are too many rows, or an id is outside the vocabulary
     */
    void forward(StepBatch batch, float[] logits);

    /**
     * Moves the keys of all reserved positions of a sequence, as {@link Sequence#discard} leaves them, to where they are now.
     *
     * @param by positions that they have moved towards the start
     */
    void moveKeys(Sequence sequence, int by);
}
