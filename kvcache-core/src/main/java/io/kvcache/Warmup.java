package io.kvcache;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One warm-up: takes prompts from a list, in order, and computes what is not cached of them.
 *
 * <p>Thread-safe.
 */
final class Warmup {
    private final Namespace namespace;
    private final List<int[]> prompts;
    private final Prefill prefill;
    private final WarmupOptions options;
    private final int tokensPerBlock;

    private final Object telling = new Object(); // held while progress is told
    private int done; // guarded by telling

    // Guarded by this.
    private final @Nullable WarmedPrompt[] results;
    private int next;
    private boolean stopped;
    private @Nullable Throwable failure; // of the progress callback

    Warmup(Namespace namespace, List<int[]> prompts, Prefill prefill, WarmupOptions options, int tokensPerBlock) {
        this.namespace = namespace;
        this.prompts = List.copyOf(prompts);
        this.prefill = prefill;
        this.options = options;
        this.tokensPerBlock = tokensPerBlock;
        this.results = new WarmedPrompt[prompts.size()];
    }

    /** Works until all prompts are done, or it is cancelled. */
    WarmupReport run() {
        List<Thread> helpers = new ArrayList<>();
        for (int i = 1; i < Math.min(options.parallelism(), prompts.size()); i++) {
            helpers.add(Thread.ofVirtual().name("kvcache-warmup-" + i).start(this::work));
        }
        work();
        boolean interrupted = Thread.interrupted();
        if (interrupted) {
            stop(helpers);
        }
        for (Thread helper : helpers) {
            interrupted |= join(helper, helpers);
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
        return report();
    }

    /** Waits for a helper to the end; an interrupt stops all helpers. */
    private boolean join(Thread helper, List<Thread> helpers) {
        boolean interrupted = false;
        while (helper.isAlive()) {
            try {
                helper.join();
            } catch (InterruptedException e) {
                interrupted = true;
                stop(helpers);
            }
        }
        return interrupted;
    }

    private void stop(List<Thread> helpers) {
        synchronized (this) {
            stopped = true;
        }
        helpers.forEach(Thread::interrupt);
    }

    private synchronized WarmupReport report() {
        if (failure instanceof RuntimeException e) {
            throw e;
        }
        if (failure instanceof Error e) {
            throw e;
        }
        List<WarmedPrompt> list = new ArrayList<>();
        for (int i = 0; i < results.length; i++) {
            WarmedPrompt result = results[i];
            list.add(result != null ? result : ended(i, WarmedPrompt.Status.CANCELLED, null));
        }
        return new WarmupReport(list);
    }

    private static WarmedPrompt ended(int index, WarmedPrompt.Status status, @Nullable Throwable failure) {
        return new WarmedPrompt(index, status, 0, 0, null, failure);
    }

    private void work() {
        for (int index = take(); index >= 0; index = take()) {
            try {
                finish(warm(index));
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
    }

    private int take() {
        if (isCancelled()) {
            fail(null);
        }
        synchronized (this) {
            boolean over =
                    stopped || next == results.length || Thread.currentThread().isInterrupted();
            return over ? -1 : next++;
        }
    }

    private boolean isCancelled() {
        try {
            return options.cancelled().getAsBoolean();
        } catch (RuntimeException | Error e) {
            fail(e);
            return true;
        }
    }

    /** Ends the warm-up; what the caller's own code has thrown, if anything, is thrown at the end. */
    private synchronized void fail(@Nullable Throwable thrown) {
        stopped = true;
        failure = failure == null ? thrown : failure;
    }

    private void finish(WarmedPrompt result) {
        synchronized (this) {
            results[result.index()] = result;
        }
        synchronized (telling) {
            try {
                options.progress().accept(new WarmupProgress(++done, results.length, result));
            } catch (RuntimeException | Error e) {
                fail(e);
            }
        }
    }

    private WarmedPrompt warm(int index) throws InterruptedException {
        int[] prompt = prompts.get(index);
        // A look-up leaves a token to compute: with one more, never committed, all of the prompt can be found.
        int[] longer = Arrays.copyOf(prompt, prompt.length + 1);
        try (Sequence sequence = namespace.open(longer, options.open(), options.patience())) {
            if (sequence == null) {
                String message =
                        "no slot or no room in time: patience=" + options.patience() + " promptTokens=" + prompt.length;
                return ended(index, WarmedPrompt.Status.FAILED, new IllegalStateException(message));
            }
            return warm(index, prompt, sequence);
        } catch (InterruptedException e) {
            throw e;
        } catch (Exception | Error e) {
            return ended(index, WarmedPrompt.Status.FAILED, e);
        }
    }

    private WarmedPrompt warm(int index, int[] prompt, Sequence sequence) throws Exception {
        int cached = sequence.length();
        int full = prompt.length / tokensPerBlock * tokensPerBlock;
        if (cached < full) {
            prefill.prefill(sequence, prompt);
        }
        if (sequence.length() < full) {
            throw new IllegalStateException("prefill commits the whole prompt: promptTokens=" + prompt.length
                    + " committed=" + sequence.length());
        }
        RetentionOutcome outcome = sequence.retain(0, full, options.retention());
        WarmedPrompt.Status status = cached < full ? WarmedPrompt.Status.COMPUTED : WarmedPrompt.Status.CACHED;
        return new WarmedPrompt(index, status, cached, sequence.length() - cached, outcome, null);
    }
}
