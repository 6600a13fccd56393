package io.kvcache;

import java.time.Duration;
import java.util.Objects;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;

/**
 * How a warm-up goes about its work.
 *
 * <p>Thread-safe: immutable.
 *
 * @param retention of the prompts' blocks; it may pin
 * @param open how the prompts' sequences are opened, for instance with which identities
 * @param parallelism how many prompts are computed at a time, at most: by the calling thread, and virtual threads beside it
 * @param patience how long each prompt waits for a slot, for room and for what others compute
 * @param progress is told of every prompt that is done, by one thread at a time
 * @param cancelled is asked before each prompt: true ends the warm-up
 */
public record WarmupOptions(
        Retention retention,
        OpenOptions open,
        int parallelism,
        Duration patience,
        Consumer<WarmupProgress> progress,
        BooleanSupplier cancelled) {
    /** One prompt after the other, a minute's patience for each, the default retention, nobody told, never cancelled. */
    public static final WarmupOptions DEFAULT = new WarmupOptions(
            Retention.DEFAULT, OpenOptions.DEFAULT, 1, Duration.ofMinutes(1), progress -> {}, () -> false);

    /**
     * Makes options; the {@code with} methods of {@link #DEFAULT} read better.
     *
     * @throws IllegalArgumentException if the parallelism is not positive or the patience negative
     */
    public WarmupOptions {
        Objects.requireNonNull(retention, "retention");
        Objects.requireNonNull(open, "open");
        Objects.requireNonNull(progress, "progress");
        Objects.requireNonNull(cancelled, "cancelled");
        if (parallelism < 1 || patience.isNegative()) {
            throw new IllegalArgumentException("parallelism must be positive, patience not negative: parallelism="
                    + parallelism + " patience=" + patience);
        }
    }

    /**
     * Returns a copy with another retention.
     *
     * @param newRetention of the prompts' blocks
     * @return a copy
     */
    public WarmupOptions withRetention(Retention newRetention) {
        return new WarmupOptions(newRetention, open, parallelism, patience, progress, cancelled);
    }

    /**
     * Returns a copy that opens sequences in another way.
     *
     * @param newOpen for instance with identities
     * @return a copy
     */
    public WarmupOptions withOpen(OpenOptions newOpen) {
        return new WarmupOptions(retention, newOpen, parallelism, patience, progress, cancelled);
    }

    /**
     * Returns a copy that computes several prompts at a time.
     *
     * @param prompts positive
     * @return a copy
     */
    public WarmupOptions withParallelism(int prompts) {
        return new WarmupOptions(retention, open, prompts, patience, progress, cancelled);
    }

    /**
     * Returns a copy with another patience.
     *
     * @param newPatience not negative
     * @return a copy
     */
    public WarmupOptions withPatience(Duration newPatience) {
        return new WarmupOptions(retention, open, parallelism, newPatience, progress, cancelled);
    }

    /**
     * Returns a copy that tells somebody of every prompt that is done.
     *
     * @param newProgress if it throws, the warm-up ends and throws the same
     * @return a copy
     */
    public WarmupOptions withProgress(Consumer<WarmupProgress> newProgress) {
        return new WarmupOptions(retention, open, parallelism, patience, newProgress, cancelled);
    }

    /**
     * Returns a copy that can be cancelled.
     *
     * @param newCancelled is asked before each prompt
     * @return a copy
     */
    public WarmupOptions withCancellation(BooleanSupplier newCancelled) {
        return new WarmupOptions(retention, open, parallelism, patience, progress, newCancelled);
    }
}
