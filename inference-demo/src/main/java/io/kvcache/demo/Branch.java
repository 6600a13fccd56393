package io.kvcache.demo;

import io.kvcache.Sequence;
import java.util.Arrays;
import java.util.Objects;
import org.agrona.collections.IntArrayList;
import org.jspecify.annotations.Nullable;

/**
 * A sample in the making: its text, and, while it runs, the sequence that holds the keys and values of the text's beginning. What the
 * sequence has not got is computed next, be it a prompt, the last token, or what was lost by making room for others.
 *
 * <pre>
 *   text  | prompt              | generated        | guesses
 *         0                                      length
 *         | sequence            | pending          |
 * </pre>
 *
 * <p>Not thread-safe: belongs to the thread of the loop.
 */
final class Branch {
    final Job job;
    final int index;
    private final Sampler sampler;
    private final int vocabularySize;
    private final int[] text; // ids, as the model sees them
    private final IntArrayList output;
    private final int[] chosen; // [guesses + 1] in this step
    private int length;
    private int chosenTokens;
    private double logProbability;
    private int known; // positions that were computed at some time
    private @Nullable Sequence sequence;
    private @Nullable Sample sample;

    // The step at hand.
    int rows; // of the text to compute
    int guesses; // behind them
    int firstLogit;

    /** A sample at the start of its prompt. */
    Branch(Job job, int index, int vocabularySize, int capacity, int mostGuesses) {
        this.job = job;
        this.index = index;
        this.sampler = new Sampler(job.request.sampling().forSample(index));
        this.vocabularySize = vocabularySize;
        this.text = job.request.promptIn(capacity + mostGuesses);
        this.length = job.request.promptTokens();
        this.output = new IntArrayList(Math.min(job.limit, capacity), IntArrayList.DEFAULT_NULL_VALUE);
        this.chosen = new int[mostGuesses + 1];
    }

    // ---- text ----

    int length() {
        return length;
    }

    /** The ids up to the length, not to be changed. */
    int[] text() {
        return generated() == 0 ? job.request.prompt() : Arrays.copyOf(text, length);
    }

    int generated() {
        return output.size();
    }

    /** Tokens that the sequence has not got. */
    int pending() {
        return length - sequence().length();
    }

    /** Whether this step computes all that is pending, so that the next token can be chosen. */
    boolean isCaughtUp() {
        return rows == pending();
    }

    // ---- memory ----

    Sequence sequence() {
        return Objects.requireNonNull(sequence, "sample does not run");
    }

    boolean isRunning() {
        return sequence != null;
    }

    void start(Sequence newSequence) {
        sequence = newSequence;
    }

    /** Gives the memory back, if it has any. What it had computed is known by then. */
    void stop() {
        if (sequence != null) {
            sequence.close();
            sequence = null;
        }
    }

    /** Continues as a fork of another sample of the same prompt. */
    void forkFrom(Branch other) {
        sequence = other.sequence().fork();
        known = other.known;
        rows = 0;
        guesses = 0;
        firstLogit = other.firstLogit;
    }

    /**
     * Drops the middle of the text, so that there are positions again.
     *
     * @return whether there was memory for private copies; if not, nothing has changed
     */
    boolean shift(ContextShift shift, Model model) {
        Sequence shifted = sequence();
        int from = shift.sinks();
        int to = shifted.length() - shift.window();
        if (!shifted.discard(from, to)) {
            return false;
        }
        System.arraycopy(text, to, text, from, length - to);
        length -= to - from;
        model.moveKeys(shifted, to - from);
        shifted.commit(text, from, shifted.reserved());
        known = shifted.length();
        return true;
    }

    // ---- a step ----

    /** Looks for guesses at what comes next. */
    void guess(int most) {
        guesses = NgramDraft.append(text, length, Math.min(most, job.limit - generated() - 1));
    }

    /** Adds to a batch what this step computes. */
    void addTo(StepBatch batch) {
        Sequence computed = sequence();
        int wanted = isCaughtUp() ? 1 + guesses : 0;
        firstLogit = batch.logits();
        batch.add(computed, text, computed.length(), rows + guesses, wanted);
    }

    /**
     * Commits what was computed, guesses apart.
     *
     * @return how much of it had been computed before
     */
    int commit() {
        int before = sequence().length();
        sequence().commit(text, before, rows);
        int again = Math.max(0, Math.min(known, before + rows) - before);
        known = Math.max(known, before + rows);
        return again;
    }

    /** Chooses the next token, and one more for each guess that was right. */
    void choose(float[] logits, int end) {
        chosenTokens = 0;
        boolean goesOn = true;
        while (goesOn) {
            int from = (firstLogit + chosenTokens) * vocabularySize;
            int token = sampler.sample(logits, from, vocabularySize);
            if (job.choosesAmongSamples()) {
                logProbability += Logits.logProbability(logits, from, vocabularySize, token);
            }
            goesOn = chosenTokens < guesses && token == text[length + chosenTokens] && token != end;
            chosen[chosenTokens++] = token;
        }
    }

    int chosenTokens() {
        return chosenTokens;
    }

    int chosen(int index) {
        return chosen[index];
    }

    /**
     * Keeps the keys and values of the guesses that were right, and rolls the others back.
     *
     * @return how many were right
     */
    int settleGuesses() {
        int right = chosenTokens - 1;
        Sequence verified = sequence();
        if (guesses > 0) {
            verified.commit(text, verified.length(), right);
            verified.truncate(verified.length());
            known = Math.max(known, verified.length());
        }
        return right;
    }

    /** Takes a token into the text. */
    void append(int token) {
        text[length++] = token;
        output.addInt(token);
    }

    // ---- the end ----

    /** Ends it with the tokens that it has. */
    void finish(FinishReason reason) {
        KvUsage kv = sequence == null ? KvUsage.NONE : KvUsage.of(sequence);
        sample = new Sample(index, output.toIntArray(), reason, logProbability, kv);
        stop();
    }

    boolean isFinished() {
        return sample != null;
    }

    Sample sample() {
        return Objects.requireNonNull(sample, "sample is not finished");
    }
}
