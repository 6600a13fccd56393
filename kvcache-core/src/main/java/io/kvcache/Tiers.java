package io.kvcache;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executor;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.LongSupplier;
import org.agrona.concurrent.EpochClock;
import org.jspecify.annotations.Nullable;

/**
 * The tiers of a cache, in order, and what their threads are to do next.
 *
 * <p>Thread-safe: tiers are added under the lock of the {@link SequencePool}; tasks are handed out without it,
 * since executors may be somebody else's.
 */
final class Tiers {
    /** As many as an int has bits, less one. */
    static final int MOST = 31;

    private final LongSupplier now;
    private final EpochClock wallClock;
    private final @Nullable EventQueue events;
    private final ConcurrentLinkedQueue<Task> tasks = new ConcurrentLinkedQueue<>();
    private final ThreadLocal<Boolean> submitting = ThreadLocal.withInitial(() -> false);
    private volatile Tier[] tiers = new Tier[0]; // never written, only replaced

    private record Task(Tier tier, Executor executor, Runnable work, Runnable whenRefused) implements Runnable {
        @Override
        public void run() {
            try {
                work.run();
            } catch (RuntimeException | Error e) { // not a store's: those are caught where it is called
                tier.broke(e);
            }
        }
    }

    /**
     * Makes it without tiers.
     *
     * @param now nanoseconds since the cache was built
     * @param events is told when a tier is left alone, or used again; null: nobody listens
     */
    Tiers(LongSupplier now, EpochClock wallClock, @Nullable EventQueue events) {
        this.now = now;
        this.wallClock = wallClock;
        this.events = events;
    }

    /**
     * Adds a tier below the others.
     *
     * @throws IllegalArgumentException if there is one with its name, or too many
     */
    Tier add(TierOptions options) {
        Tier[] before = tiers;
        checkName(options, before);
        if (before.length == MOST) {
            throw new IllegalArgumentException("too many tiers: name=" + options.name() + " most=" + MOST);
        }
        Tier tier = new Tier(before.length, options, now, wallClock, events);
        Tier[] after = Arrays.copyOf(before, before.length + 1);
        after[before.length] = tier;
        tiers = after;
        return tier;
    }

    private static void checkName(TierOptions options, Tier[] tiers) {
        for (Tier tier : tiers) {
            if (tier.name().equals(options.name())) {
                throw new IllegalArgumentException("there is a tier with this name: name=" + options.name());
            }
        }
    }

    /** The tiers, not to be written. */
    Tier[] all() {
        return tiers;
    }

    boolean isEmpty() {
        return tiers.length == 0;
    }

    /** The place of a tier. */
    int index(String name) {
        for (Tier tier : tiers) {
            if (tier.name().equals(name)) {
                return tier.index;
            }
        }
        throw new IllegalArgumentException("no such tier: name=" + name + " tiers="
                + Arrays.stream(tiers).map(Tier::name).toList());
    }

    /** Whether any tier may be asked for blocks. */
    boolean admitsLoads(long time) {
        boolean admits = false;
        for (Tier tier : tiers) {
            admits |= tier.admitsLoads(time);
        }
        return admits;
    }

    /** The first tier, from one on, that a load may ask now; it has entered there. Null if there is none. */
    @Nullable
    Tier enterLoad(int from, long time) {
        Tier[] all = tiers;
        for (int i = from; i < all.length; i++) {
            if (all[i].entersLoad(time)) {
                return all[i];
            }
        }
        return null;
    }

    // ---- erase ----

    /** Says that a namespace must not be found any more; the lock is held. */
    void mustErase(String namespace) {
        for (Tier tier : tiers) {
            tier.erasures().ask(namespace);
        }
    }

    /**
     * Erases a namespace from all tiers at once, in their threads, and waits for each up to its deadline; the lock is not held. An
     * interrupt ends the waiting and stays set.
     *
     * @return the tiers that may still have it, each with the reason
     */
    List<String> erase(String namespace) {
        List<FutureTask<Optional<String>>> erasures = new ArrayList<>();
        Tier[] all = tiers;
        for (Tier tier : all) {
            FutureTask<Optional<String>> erasure = new FutureTask<>(() -> Optional.ofNullable(tier.erase(namespace)));
            erasures.add(erasure);
            plan(tier, tier.storers(), erasure, () -> erasure.cancel(false));
        }
        submit();
        List<String> unreached = new ArrayList<>();
        for (int i = 0; i < all.length; i++) {
            String name = all[i].name();
            outcome(erasures.get(i), all[i].options.deadlineNanos())
                    .ifPresent(reason -> unreached.add(name + ": " + reason));
        }
        return unreached;
    }

    private static Optional<String> outcome(FutureTask<Optional<String>> erasure, long nanos) {
        try {
            return erasure.get(nanos, TimeUnit.NANOSECONDS);
        } catch (TimeoutException e) {
            return Optional.of("not within its deadline");
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return Optional.of("interrupted");
        } catch (ExecutionException | CancellationException e) {
            return Optional.of(e.toString());
        }
    }

    List<TierStats> stats() {
        List<TierStats> stats = new ArrayList<>();
        for (Tier tier : tiers) {
            stats.add(tier.stats());
        }
        return stats;
    }

    /** Closes all stores. */
    void close() {
        for (Tier tier : tiers) {
            tier.close();
        }
    }

    // ---- tasks ----

    /**
     * Takes note of a task, to be handed to an executor by {@link #submit}, without a lock.
     *
     * @param whenRefused undoes what was noted of the task; called without the lock
     */
    void plan(Tier tier, Executor executor, Runnable work, Runnable whenRefused) {
        tasks.add(new Task(tier, executor, work, whenRefused));
    }

    /** Hands out what was planned; the lock is not held. An executor may run tasks at once, in this thread. */
    void submit() {
        if (tasks.isEmpty() || submitting.get()) {
            return; // by this very thread, further out
        }
        submitting.set(true);
        try {
            for (Task task = tasks.poll(); task != null; task = tasks.poll()) {
                submit(task);
            }
        } finally {
            submitting.set(false);
        }
    }

    private static void submit(Task task) {
        try {
            task.executor.execute(task);
        } catch (RuntimeException | Error e) { // full, shut down, or out of threads
            task.whenRefused.run();
        }
    }
}
