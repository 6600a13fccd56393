package io.kvcache.bench;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Serves requests from a queue that is never empty. In each step requests start, in their order, as long as the tokens of the next one
 * and one more fit; then each that runs gets one more token. Where there is no room for it, the one that started last gives way: it
 * goes back to the head of the queue, with the tokens that it has. What has all its tokens leaves at the end of the step.
 *
 * <p>Not thread-safe.
 */
final class MemorySimulation {
    private final TokenStorage storage;
    private final List<TraceRequest> requests;
    private final int count;
    private final ArrayDeque<Job> gaveWay = new ArrayDeque<>(); // the next one to start is first
    private final ArrayList<Job> running = new ArrayList<>(); // the one that started last is last
    private final MemoryTimeline timeline = new MemoryTimeline();
    private int begun;
    private long preemptions;
    private long recomputedTokens;

    /** A request that waits or runs. */
    private static final class Job {
        final int allTokens;
        int tokens;
        TokenStorage.@Nullable Stored stored;

        Job(TraceRequest request) {
            tokens = request.inputTokens();
            allTokens = Math.addExact(tokens, request.outputTokens());
        }

        TokenStorage.Stored stored() {
            return Objects.requireNonNull(stored);
        }

        boolean isComplete() {
            return stored().tokens() == allTokens;
        }
    }

    /** Prepares to serve so many requests; they begin anew where there are fewer. */
    MemorySimulation(TokenStorage storage, List<TraceRequest> requests, int count) {
        this.storage = storage;
        this.requests = requests;
        this.count = count;
    }

    /** Tokens of the longest request, when it is done. */
    static int longest(List<TraceRequest> requests) {
        return requests.stream()
                .mapToInt(request -> Math.addExact(request.inputTokens(), request.outputTokens()))
                .max()
                .orElseThrow();
    }

    /** Runs until the last request has started, which is before the queue is empty. */
    MemoryOutcome run() {
        while (begun < count) {
            start();
            grow();
            note();
            leave();
        }
        running.forEach(job -> job.stored().release());
        running.clear();
        return timeline.outcome(storage.peakReservedSlots(), preemptions, recomputedTokens);
    }

    private void start() {
        while (begun < count) {
            boolean again = !gaveWay.isEmpty();
            Job job = again ? gaveWay.element() : new Job(requests.get(begun % requests.size()));
            job.stored = storage.start(job.tokens);
            if (job.stored == null) {
                return;
            }
            running.add(job);
            if (again) {
                recomputedTokens += job.tokens;
                gaveWay.remove();
            } else {
                begun++;
            }
        }
    }

    private void grow() {
        if (running.isEmpty()) {
            throw new IllegalStateException("memory is too small for a request: begun=" + begun);
        }
        for (int i = 0; i < running.size(); i++) {
            Job job = running.get(i);
            boolean grown = job.isComplete();
            while (!grown && job.stored != null) {
                grown = job.stored().tryGrow();
                if (!grown) {
                    giveWay();
                }
            }
        }
    }

    /** Takes the memory of the one that started last, which may be the one that needs room. */
    private void giveWay() {
        if (running.size() == 1) {
            throw new IllegalStateException("memory is too small for a request alone: begun=" + begun);
        }
        Job job = running.removeLast();
        job.tokens = job.stored().tokens();
        job.stored().release();
        job.stored = null;
        gaveWay.addFirst(job);
        preemptions++;
    }

    private void note() {
        long used = 0;
        for (Job job : running) {
            used += job.stored().tokens();
        }
        timeline.add(running.size(), storage.reservedSlots(), used);
    }

    private void leave() {
        running.removeIf(job -> {
            boolean complete = job.isComplete();
            if (complete) {
                job.stored().release();
            }
            return complete;
        });
    }
}
