package io.kvcache.demo;

import io.kvcache.Sequence;

/**
 * A model that claims to have a shorter context than it has.
 *
 * <p>Not thread-safe.
 */
record ShortContext(Model model, int contextTokens) implements Model {
    @Override
    public int vocabularySize() {
        return model.vocabularySize();
    }

    @Override
    public int maximumRows() {
        return model.maximumRows();
    }

    @Override
    public void forward(StepBatch batch, float[] logits) {
        model.forward(batch, logits);
    }

    @Override
    public void moveKeys(Sequence sequence, int by) {
        model.moveKeys(sequence, by);
    }
}
